//! `brig wait`.
//! Asks the engine for each container in turn; one that has ended answers at once.

use super::each::each_printing;
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::globals::Place;
use engine::Container;

/// Prints the exit codes.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    each_printing(&parsed.arguments, |name| {
        let container = Container::find(&engine, name)?;
        Ok(engine::lifecycle::wait(&engine, &container)?.to_string())
    })
}
