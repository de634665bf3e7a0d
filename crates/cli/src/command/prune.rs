//! `brig container prune`, and the question before anything is pruned.
//! The other prunes ask and report through here as well.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::size;
use engine::prune::Filters;
use std::io::BufRead;

/// Removes all containers that do not run.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::container_prune::read(&parsed)?;
    let filters = Filters::parse(&asked.filters)?;
    if !asked.force && !confirmed("This will remove all stopped containers.")? {
        return Ok(0);
    }
    let engine = place.engine()?;
    let (removed, freed) = engine::prune::containers(&engine, &filters)?;
    let removed: Vec<String> = removed.iter().map(ToString::to_string).collect();
    output::print(&report("Containers", &removed, freed))
}

/// What was deleted, and the space that came free.
pub fn report(kind: &str, names: &[String], bytes: u64) -> String {
    format!("{}Total reclaimed space: {}\n", deleted(kind, names), size::decimal(bytes))
}

/// What was deleted; nothing if that is nothing.
pub fn deleted(kind: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("Deleted {kind}:\n{}\n\n", names.join("\n")) }
}

/// Asks on stdout, reads the answer from stdin; anything but yes is no.
pub fn confirmed(warning: &str) -> Result<bool, Failure> {
    output::print(&format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::file("read from", "standard input", &error))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
