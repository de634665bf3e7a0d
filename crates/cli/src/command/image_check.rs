//! `brig image check`.
//! The checking is `image`'s, the repair the engine's; here both become lines.

use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::progress::Board;
use crate::output::size;
use engine::images::check;
use image::check::{Damage, Owner, Part, Report};
use spec::Reference;

/// Prints what is damaged, what was mended, and how much was looked at. 1 if something is damaged still.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::image_check::read(&parsed)?;
    let engine = place.engine()?;
    let mut board = Board::stderr(asked.quiet);
    let progress = &mut |part: &Part, done, all| board.count("Checking", &short_name_of(part), done, all);
    let report = check::check(&engine, progress)?;
    for damage in &report.damages {
        output::print(&line(damage))?;
    }
    let mut report = report;
    if asked.repair && !report.damages.is_empty() {
        let (repairs, now) = check::repair(&engine, &asked.reach, &report, progress)?;
        for repair in repairs {
            let kept = repair.failure.is_none().then(|| running(&repair.running)).flatten();
            match repair.failure {
                None if asked.quiet => {}
                None => _ = output::print(&format!("{}: fetched again\n", name(&repair.image)))?,
                Some(why) => output::complain(&format!("{} cannot be repaired: {why}", name(&repair.image))),
            }
            if let Some(line) = kept {
                output::complain(&line);
            }
        }
        report = now;
    }
    let freed = if asked.repair && !report.unused.is_empty() { check::remove_unused(&engine)? } else { 0 };
    let left = report.damages.len();
    if !asked.quiet {
        output::print(&unused(&report, freed))?;
        let (images, layers, blobs) = (report.images, report.layers, report.blobs);
        output::print(&format!("{images} images, {layers} layers, {blobs} blobs: {left} damaged\n"))?;
    }
    Ok(u8::from(left > 0))
}

/// Who goes on with what was damaged.
fn running(containers: &[String]) -> Option<String> {
    let short: Vec<&str> = containers.iter().map(|id| id.get(..12).unwrap_or(id)).collect();
    (!short.is_empty())
        .then(|| format!("restart these containers: they run on the damaged layers: {}", short.join(" ")))
}

fn line(damage: &Damage) -> String {
    let names: Vec<String> = damage.images.iter().map(name).collect();
    format!("{} {} (part of {})\n", name_of(&damage.part), damage.why, names.join(", "))
}

/// What killed commands have left, and what became of it.
fn unused(report: &Report, freed: u64) -> String {
    let layers = report.unused.iter().filter(|(part, _)| matches!(part, Part::Layer(_))).count();
    let (blobs, bytes) = (report.unused.len() - layers, report.unused.iter().map(|(_, bytes)| bytes).sum());
    if report.unused.is_empty() {
        return String::new();
    }
    match freed {
        0 => format!(
            "unused: {layers} layers, {blobs} blobs ({}); `brig image prune` removes them\n",
            size::short(bytes)
        ),
        freed => format!("unused: {layers} layers, {blobs} blobs ({}), removed\n", size::short(freed)),
    }
}

fn short_name_of(part: &Part) -> String {
    match part {
        Part::Blob(digest) => format!("blob {}", digest.short()),
        Part::Layer(diff_id) => format!("layer {}", diff_id.short()),
    }
}

fn name_of(part: &Part) -> String {
    match part {
        Part::Blob(digest) => format!("blob {digest}"),
        Part::Layer(diff_id) => format!("layer {diff_id}"),
    }
}

/// A tag if there is one, else the id.
fn name(image: &Owner) -> String {
    let tag = image.names.iter().find(|name| name.digest().is_none());
    tag.map_or_else(|| image.id.short().to_owned(), Reference::familiar)
}
