//! `brig diff`.
//! Read from the layers, so the container may run or not.

use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::globals::Place;
use crate::output;
use engine::Container;
use engine::changes::Kind;
use std::fmt::Write as _;

/// Prints a line for each path: `A` added, `C` changed, `D` deleted.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    let name = parsed.arguments.first().map_or("", String::as_str);
    let container = Container::find(&engine, name)?;
    let mut text = String::new();
    for change in engine::changes::changes(&engine, &container)? {
        let letter = match change.kind {
            Kind::Added => 'A',
            Kind::Changed => 'C',
            Kind::Deleted => 'D',
        };
        let _ = writeln!(text, "{letter} {}", change.path.display());
    }
    output::print(&text)
}
