//! `brig cp`.
//! Where a copy lands, and how links are kept from leading outside, is `engine::copy`'s business.

use crate::failure::{Failure, Outcome};
use crate::flags::cp::Place as End;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output::sink::Sink;
use engine::Container;
use engine::copy::{self, CopyOptions};
use std::path::Path;

/// Prints nothing, unless the target is standard output.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::cp::read(parsed)?;
    let options = CopyOptions { archive: asked.archive, follow_link: asked.follow_link };
    let engine = place.engine()?;
    match (&asked.source, &asked.target) {
        (End::Container { name, path }, End::Local(target)) => {
            copy::from_container(&engine, &Container::find(&engine, name)?, path, Path::new(target), &options)?;
        }
        (End::Local(source), End::Container { name, path }) => {
            copy::to_container(&engine, &Container::find(&engine, name)?, Path::new(source), path, &options)?;
        }
        (End::Container { name, path }, _) => {
            let mut sink = Sink::stdout("redirect it")?;
            let container = Container::find(&engine, name)?;
            let written = copy::stream_from_container(&engine, &container, path, &mut sink, &options);
            return sink.finish(written.map_err(Failure::from));
        }
        (_, End::Container { name, path }) => {
            let container = Container::find(&engine, name)?;
            copy::stream_to_container(&engine, &container, &mut std::io::stdin().lock(), path, &options)?;
        }
        _ => return Err(Failure::message("must specify at least one container source (CONTAINER:PATH)")),
    }
    Ok(0)
}
