//! Text on the terminal: tables, templates, sizes and times as docker words them; and the two doors to it, `print` and
//! `complain`.

pub mod context;
pub mod inspect;
pub mod listing;
pub mod quote;
pub mod size;
pub mod table;
pub mod template;
pub mod time;

use crate::failure::{Failure, Outcome};
use std::io::Write;

/// Writes all of `text` to stdout. `Ok` carries exit code 0.
pub fn print(text: &str) -> Outcome {
    bytes(text.as_bytes())
}

/// As `print`, for bytes. A reader that has gone away ends the command as SIGPIPE would, without a word.
pub fn bytes(bytes: &[u8]) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(0),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Told(141)),
        Err(error) => Err(Failure::file("write to", "standard output", &error)),
    }
}

/// One line on stderr.
pub fn complain(text: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "brig: {text}");
}
