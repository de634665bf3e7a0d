//! `brig attach`: our terminal on a container that runs.
//! Only for containers that run: another state is an error that says what to do.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::terminal;
use engine::Container;
use engine::attach::Streams;
use engine::state::Status;

/// The exit code is that of the container's command.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::attach::read(&parsed)?;
    let engine = place.engine()?;
    let container = Container::find(&engine, &asked.container)?;
    match container.status() {
        Status::Running => {}
        Status::Paused => return Err(Failure::message("You cannot attach to a paused container, unpause it first")),
        Status::Restarting => {
            return Err(Failure::message("You cannot attach to a restarting container, wait until it is running"));
        }
        _ => return Err(Failure::message("You cannot attach to a stopped container, start it first")),
    }
    let process = &container.record.options.process;
    let streams = Streams { stdin: !asked.no_stdin && process.stdin_open, stdout: true, stderr: true };
    terminal::check_input(process.tty, streams.stdin)?;
    let client = engine::attach::attach(&engine, &container, streams)?;
    let side = terminal::Side {
        tty: process.tty,
        detach_keys: asked.detach_keys,
        forward_signals: asked.sig_proxy,
        detached_code: 1,
    };
    terminal::relay(&engine, &container, client, streams, &side)
}
