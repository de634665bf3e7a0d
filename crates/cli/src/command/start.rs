//! `brig start`: containers that exist already, in the background or with our terminal.
//! Containers that run already are no error, as in docker.

use super::each::each_container;
use crate::failure::{Failure, Outcome};
use crate::flags::start::Start;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::terminal;
use engine::attach::Streams;
use engine::{Container, Engine};

/// Prints the names, or with `-a` and `-i` gives the exit code of the container's command.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::start::read(parsed)?;
    kernel::self_exe::ensure_sealed()?;
    let engine = place.engine()?;
    if asked.attach || asked.interactive {
        return attached(&engine, &asked);
    }
    each_container(&engine, &asked.containers, |container| match container.is_running() {
        true => Ok(()),
        false => engine::run::start(&engine, container, Streams::NONE).map(|_| ()),
    })
}

fn attached(engine: &Engine, asked: &Start) -> Outcome {
    let [name] = asked.containers.as_slice() else {
        return Err(Failure::message("you cannot start and attach multiple containers at once"));
    };
    let mut container = Container::find(engine, name)?;
    let process = container.record.options.process.clone();
    let streams = Streams { stdin: asked.interactive && process.stdin_open, stdout: true, stderr: true };
    terminal::check_input(process.tty, streams.stdin)?;
    let client = match container.is_running() {
        true => engine::attach::attach(engine, &container, streams)?,
        // Docker's exit code for a command that cannot be executed is 1 here, unlike that of `run`.
        false => {
            engine::run::start(engine, &mut container, streams).map_err(|error| Failure::message(error.to_string()))?
        }
    };
    let side = terminal::Side {
        tty: process.tty,
        detach_keys: asked.detach_keys.clone(),
        forward_signals: asked.sig_proxy,
        detached_code: 0,
    };
    terminal::relay(engine, &container, client, streams, &side)
}
