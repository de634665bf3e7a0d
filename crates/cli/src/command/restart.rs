//! `brig restart`.
//! Stopping and starting are the engine's; here names are read and printed.

use super::each::each_container;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;

/// Prints the names of those restarted.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::stop::read(parsed)?;
    kernel::self_exe::ensure_sealed()?;
    let engine = place.engine()?;
    each_container(&engine, &asked.containers, |container| {
        engine::lifecycle::restart(&engine, container, asked.signal, asked.timeout_seconds)
    })
}
