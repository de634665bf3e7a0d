//! `brig exec`: one more process in a container that runs.
//! The process is ours, not a monitor's: when we are killed its output has nowhere to go.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::terminal;
use engine::Container;
use engine::exec::ExecOptions;

/// The exit code is that of the process.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    // Before the flags are read: the second execution must find an --env-file that is a pipe still full.
    kernel::self_exe::ensure_sealed()?;
    let mut asked = flags::exec::read(&parsed)?;
    let (tty, stdin) = (asked.options.tty, asked.options.stdin_open && !asked.options.detach);
    terminal::check_input(tty, stdin)?;
    let engine = place.engine()?;
    let container = Container::find(&engine, &asked.container)?;
    if tty {
        asked.options.console_size = terminal::size();
    }
    let session =
        engine::exec::exec(&engine, &container, &asked.options).map_err(|error| failure(error, &asked.options))?;
    if asked.options.detach {
        return Ok(0);
    }
    let side = terminal::Side { tty, detach_keys: asked.detach_keys, forward_signals: true, detached_code: 1 };
    terminal::relay_session(session, stdin, &side)
}

/// Docker's exit codes: 128 where `-w` is no absolute path, and one for all where nobody waits for the command.
fn failure(error: engine::Error, options: &ExecOptions) -> Failure {
    let relative = options.workdir.as_ref().is_some_and(|path| !path.starts_with('/'));
    match error {
        engine::Error::CommandNotFound(text) | engine::Error::CommandNotExecutable(text) if options.detach => {
            Failure::message(text)
        }
        engine::Error::Invalid(text) if relative && !options.detach => Failure::Message(text, 128),
        other => Failure::Engine(other),
    }
}
