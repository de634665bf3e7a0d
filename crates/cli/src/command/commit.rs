//! `brig commit`.
//! The engine freezes, packs and names; here the id is printed.

use super::budget;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use engine::Container;

/// Prints the new image's id.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::commit::read(&parsed)?;
    let engine = place.engine_for_images()?;
    let container = Container::find(&engine, &asked.container)?;
    let id = engine::commit::commit(&engine, &container, asked.options)?;
    budget::keep(&engine, std::slice::from_ref(&id));
    output::print(&format!("{id}\n"))
}
