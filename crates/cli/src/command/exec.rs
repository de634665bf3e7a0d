//! `brig exec`: one more process in a container that runs.

use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::terminal;
use engine::Container;

/// The exit code is that of the process.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let mut asked = flags::exec::read(&parsed)?;
    let (tty, stdin) = (asked.options.tty, asked.options.stdin_open && !asked.options.detach);
    terminal::check_input(tty, stdin)?;
    kernel::self_exe::ensure_sealed()?;
    let engine = place.engine()?;
    let container = Container::find(&engine, &asked.container)?;
    if tty {
        asked.options.console_size = terminal::size();
    }
    let session = engine::exec::exec(&engine, &container, &asked.options)?;
    if asked.options.detach {
        return Ok(0);
    }
    let side = terminal::Side { tty, detach_keys: asked.detach_keys, forward_signals: true };
    terminal::relay_session(session, stdin, &side)
}
