//! `brig create`: a container that waits for `start`.
//! The same as `run` up to the point where something would run.

use super::containers::{self, IdFile};
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;

/// Prints the id.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::create::read(&parsed)?;
    let engine = place.engine()?;
    let id_file = IdFile::make(asked.cidfile.as_deref())?;
    let streams = containers::streams(&asked);
    let options = containers::options(&engine, asked, streams)?;
    let container = engine::create::create(&engine, options)?;
    if let Some(file) = id_file {
        file.write(container.id())?;
    }
    output::print(&format!("{}\n", container.id()))
}
