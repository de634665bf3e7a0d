//! `brig container prune`, and the question before anything is pruned.
//! `volume prune` asks and reports through here as well.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::size;
use engine::lifecycle::Remove;
use engine::list::Filters;
use engine::state::Status;
use std::fmt::Write as _;
use std::io::BufRead;

/// Removes all containers that do not run.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::container_prune::read(&parsed)?;
    let engine = place.engine()?;
    let filters = Filters::parse(&asked.filters)?;
    if !asked.force && !confirmed("This will remove all stopped containers.")? {
        return Ok(0);
    }
    let (mut removed, mut reclaimed) = (Vec::new(), 0_u64);
    for container in engine::list::all(&engine)? {
        let stopped = matches!(container.status(), Status::Created | Status::Exited);
        if !stopped || !filters.matches(&engine, &container)? {
            continue;
        }
        // Measured while it is there; what cannot be measured is removed all the same.
        let bytes = docker::wire::size::of_container(&engine, &container).map_or(0, |sizes| sizes.writable);
        match engine::lifecycle::remove(&engine, &container, Remove { force: false, volumes: false }) {
            Ok(()) => {
                removed.push(container.id().to_string());
                reclaimed = reclaimed.saturating_add(bytes);
            }
            // Started or removed by somebody else meanwhile.
            Err(engine::Error::NotFound(_) | engine::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    output::print(&report("Containers", &removed, reclaimed))
}

/// What was deleted, and the space that came free.
pub fn report(kind: &str, names: &[String], bytes: u64) -> String {
    let mut text = String::new();
    if !names.is_empty() {
        let _ = writeln!(text, "Deleted {kind}:\n{}\n", names.join("\n"));
    }
    let _ = writeln!(text, "Total reclaimed space: {}", size::decimal(bytes));
    text
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
