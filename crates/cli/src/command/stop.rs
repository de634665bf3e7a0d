//! `brig stop`.
//! The engine sends the signal, waits and kills.

use super::each::each_container;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;

/// Prints the names of those stopped.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::stop::read(parsed)?;
    let engine = place.engine()?;
    each_container(&engine, &asked.containers, |container| {
        engine::lifecycle::stop(&engine, container, asked.signal, asked.timeout_seconds)
    })
}
