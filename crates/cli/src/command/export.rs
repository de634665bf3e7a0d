//! `brig export`.
//! Streams; nothing is held in memory.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output::sink::Sink;
use engine::Container;

/// Writes a tar archive to stdout or the file.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::export::read(&parsed);
    let engine = place.engine()?;
    let container = Container::find(&engine, &asked.container)?;
    let mut sink = Sink::open(asked.output.as_deref())?;
    let written = engine::export::export(&engine, &container, &mut sink);
    sink.finish(written.map_err(Failure::from))
}
