//! `brig top`.
//! Columns are ps(1)'s; the engine reads them.

use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::globals::Place;
use crate::output;
use crate::output::table;
use engine::Container;

/// Prints the processes as a table.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    let name = parsed.arguments.first().map_or("", String::as_str);
    let container = Container::find(&engine, name)?;
    let processes = engine::top::top(&engine, &container, parsed.arguments.get(1..).unwrap_or_default())?;
    let mut lines = vec![processes.titles.join("\t")];
    lines.extend(processes.rows.iter().map(|row| row.join("\t").trim_end().to_owned()));
    output::print(&table::align_with(&lines, 20, 3))
}
