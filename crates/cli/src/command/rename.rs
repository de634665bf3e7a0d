//! `brig rename`.
//! Names are checked and reserved by the engine.

use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::globals::Place;
use engine::Container;

/// Prints nothing.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    if let [old, new] = parsed.arguments.as_slice() {
        engine::lifecycle::rename(&engine, &Container::find(&engine, old)?, new)?;
    }
    Ok(0)
}
