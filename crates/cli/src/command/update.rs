//! `brig update`.
//! Limits change while the container runs; a restart is not needed.

use super::each::each_container;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;

/// Prints the names of those changed.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::update::read(parsed)?;
    let engine = place.engine()?;
    each_container(&engine, &asked.containers, |container| {
        engine::update::update(&engine, container, &asked.resources, asked.restart)
    })
}
