//! `brig image check`.
//! The checking is `image`'s, the repair the engine's; here both become lines.

use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use engine::images::check;
use image::check::{Damage, Owner, Part};
use spec::Reference;

/// Prints what is damaged, what was mended, and how much was looked at. 1 if something is damaged still.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::image_check::read(&parsed)?;
    let engine = place.engine()?;
    let report = check::check(&engine, &mut |_| ())?;
    for damage in &report.damages {
        output::print(&line(damage))?;
    }
    let mut report = report;
    if asked.repair && !report.damages.is_empty() {
        let (repairs, now) = check::repair(&engine, &asked.reach, &report)?;
        for repair in repairs {
            match repair.failure {
                None if asked.quiet => {}
                None => _ = output::print(&format!("{}: fetched again\n", name(&repair.image)))?,
                Some(why) => output::complain(&format!("{} cannot be repaired: {why}", name(&repair.image))),
            }
        }
        report = now;
    }
    let left = report.damages.len();
    if !asked.quiet {
        let (images, layers, blobs) = (report.images, report.layers, report.blobs);
        output::print(&format!("{images} images, {layers} layers, {blobs} blobs: {left} damaged\n"))?;
    }
    Ok(u8::from(left > 0))
}

fn line(damage: &Damage) -> String {
    let part = match &damage.part {
        Part::Blob(digest) => format!("blob {digest}"),
        Part::Layer(diff_id) => format!("layer {diff_id}"),
    };
    let names: Vec<String> = damage.images.iter().map(name).collect();
    format!("{part} {} (part of {})\n", damage.why, names.join(", "))
}

/// A tag if there is one, else the id.
fn name(image: &Owner) -> String {
    let tag = image.names.iter().find(|name| name.digest().is_none());
    tag.map_or_else(|| image.id.short().to_owned(), Reference::familiar)
}
