//! `brig import`.
//! An archive of a root file system becomes an image of one layer.

use super::budget;
use super::load::{self, Source};
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use image::import::Import;
use spec::{Platform, Timestamp};

/// Prints the new image's id.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::import::read(&parsed)?;
    if asked.source.contains("://") {
        return Err(Failure::message(format!(
            "cannot import from {}: download it and give the file, or pipe it in with '-'",
            asked.source
        )));
    }
    let source = load::source(Some(&asked.source))?;
    let engine = place.engine()?;
    let import = Import {
        name: asked.name.as_ref(),
        changes: &asked.changes,
        message: &asked.message.unwrap_or_else(|| format!("Imported from {}", asked.source)),
        platform: asked.platform.unwrap_or_else(Platform::host),
        created: Timestamp::now(),
    };
    let image = match source {
        Source::File(mut file) => image::import::import(engine.store(), &mut file, &import)?,
        Source::Stdin => image::import::import(engine.store(), &mut std::io::stdin().lock(), &import)?,
    };
    budget::keep(&engine, std::slice::from_ref(&image.id));
    output::print(&format!("{}\n", image.id))
}
