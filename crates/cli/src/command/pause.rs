//! `brig pause` and `brig unpause`.
//! Two commands that are each other's reverse.

use super::each::each_container;
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::globals::Place;

/// Freezes; prints the names.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    each_container(&engine, &parsed.arguments, |container| engine::lifecycle::pause(&engine, container))
}

/// Thaws; prints the names.
pub fn undo(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    each_container(&engine, &parsed.arguments, |container| engine::lifecycle::unpause(&engine, container))
}
