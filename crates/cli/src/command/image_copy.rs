//! `brig image copy`.
//! Opens the store only if it is one of the ends, and gives a new archive its name when it is complete.

use super::budget;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place as Directories;
use crate::output;
use crate::output::progress::Board;
use crate::output::sink::Sink;
use engine::images::copy::{self, Copy, CopyProgress, CopyStep, Place};
use std::io::Write;

/// Prints progress and the digest.
pub fn run(place: &Directories, parsed: Parsed) -> Outcome {
    let asked = flags::image_copy::read(&parsed)?;
    let is_store = |place: &Place| matches!(place, Place::Store(_));
    let engine = match (is_store(&asked.from), is_store(&asked.to)) {
        (_, true) => Some(place.engine_for_images()?),
        (true, false) => Some(place.engine()?),
        (false, false) => None,
    };
    let mut sink = match &asked.to {
        Place::Archive { path, .. } => Some(Sink::open(path.to_str())?),
        _ => None,
    };
    let mut board = Board::stdout(asked.quiet);
    let request = Copy {
        engine: engine.as_ref(),
        from: &asked.from,
        from_reach: &asked.from_reach,
        to: &asked.to,
        to_reach: &asked.to_reach,
        output: sink.as_mut().map(|sink| sink as &mut dyn Write),
        platforms: asked.platforms,
        referrers: asked.referrers,
    };
    let copied = copy::copy(request, &mut |event| show(&mut board, event));
    let digest = match sink {
        Some(sink) => {
            let (digest, written) = match copied {
                Ok(digest) => (Some(digest), Ok(())),
                Err(error) => (None, Err(Failure::from(error))),
            };
            sink.finish(written)?;
            digest
        }
        None => Some(copied?),
    };
    if let (Place::Store(name), Some(engine)) = (&asked.to, &engine) {
        budget::keep(engine, &[engine.store().resolve(name)?.id]);
    }
    output::print(&digest.map(|digest| format!("{digest}\n")).unwrap_or_default())
}

fn show<W: Write>(board: &mut Board<W>, event: CopyProgress<'_>) {
    let (digest, step) = match event {
        CopyProgress::Manifest { digest } => return board.step(digest.short(), "Manifest copied"),
        CopyProgress::Blob { digest, step } => (digest.short(), step),
    };
    match step {
        CopyStep::AlreadyExists => board.step(digest, "Already exists"),
        CopyStep::Mounted => board.step(digest, "Mounted"),
        CopyStep::Copying { current, total } => board.count(digest, "Copying", current, total),
        CopyStep::Copied => board.step(digest, "Copied"),
    }
}
