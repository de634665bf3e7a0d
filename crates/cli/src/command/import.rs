//! `brig import`.

use super::load;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use image::import::Import;

/// Prints the new image's id.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::import::read(&parsed)?;
    if asked.source.contains("://") {
        return Err(Failure::message(format!("cannot import from {}: download it and give the file, or pipe it in with '-'", asked.source)));
    }
    let mut source = load::source(Some(&asked.source))?;
    let engine = place.engine()?;
    let message = asked.message.unwrap_or_else(|| format!("Imported from {}", asked.source));
    let import = Import { name: asked.name, changes: asked.changes, message, platform: asked.platform };
    let image = engine.store().import(&mut source, &import)?;
    output::print(&format!("{}\n", image.id))
}
