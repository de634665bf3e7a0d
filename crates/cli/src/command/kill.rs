//! `brig kill`.
//! Any signal to a container's first process; KILL without a name for one.

use super::each::each;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use engine::Container;

/// Prints the names of those signalled.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::kill::read(parsed)?;
    let engine = place.engine()?;
    each(&asked.containers, |name| {
        let killed = Container::find(&engine, name)
            .and_then(|container| engine::lifecycle::kill(&engine, &container, asked.signal));
        killed.map_err(|error| Failure::message(format!("cannot kill container: {name}: {error}")))
    })
}
