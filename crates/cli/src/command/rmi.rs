//! `brig rmi`.
//! What may go and what a container still needs is decided by the engine.

use super::each::each_printing;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use engine::images::Removed;

/// Prints what was untagged and deleted.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::rmi::read(parsed);
    let engine = place.engine()?;
    each_printing(&asked.images, |name| {
        let removed = engine::images::remove(&engine, name, asked.force)?;
        let lines: Vec<String> = removed
            .iter()
            .map(|removed| match removed {
                Removed::Untagged(name) => format!("Untagged: {name}"),
                Removed::Deleted(id) => format!("Deleted: {id}"),
            })
            .collect();
        Ok(lines.join("\n"))
    })
}
