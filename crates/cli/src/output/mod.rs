//! Text on the terminal: tables, templates, sizes and times as docker words them; and the two doors to it, `print` and
//! `complain`. Archives go out through `sink`.

pub mod context;
pub mod inspect;
pub mod listing;
pub mod progress;
pub mod quote;
pub mod sink;
pub mod size;
pub mod table;
pub mod template;
pub mod time;

use crate::failure::{Failure, Outcome};
use std::io::Write;

/// Writes all of `text` to stdout. `Ok` carries exit code 0.
pub fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map(|()| 0).map_err(|error| Failure::output(&error))
}

/// One line on stderr.
pub fn complain(text: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "brig: {text}");
}
