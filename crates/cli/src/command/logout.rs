//! `brig logout`.
//! Asks no registry; only what is stored here goes.

use super::login::called;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;

/// Prints what was forgotten.
pub fn run(_: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::logout::read(&parsed)?;
    if asked.all {
        let gone = engine::images::logout_all(&asked.reach)?;
        let lines: Vec<String> = gone.iter().map(|registry| removing(registry)).collect();
        return output::print(&lines.concat());
    }
    let registry = called(&asked.registry);
    match engine::images::logout(&asked.reach, &asked.registry)? {
        true => output::print(&removing(registry)),
        false => output::print(&format!("Not logged in to {registry}\n")),
    }
}

fn removing(registry: &str) -> String {
    format!("Removing login credentials for {registry}\n")
}
