//! `brig tag`.
//! A second name for an image; nothing is copied.

use crate::failure::{Failure, Outcome};
use crate::flags::Parsed;
use crate::globals::Place;
use spec::Reference;

/// Prints nothing.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    if let [source, target] = parsed.arguments.as_slice() {
        let name = Reference::parse(target).map_err(|error| Failure::message(error.to_string()))?;
        let image = engine.store().resolve(source)?;
        engine.store().tag(&image, &name)?;
    }
    Ok(0)
}
