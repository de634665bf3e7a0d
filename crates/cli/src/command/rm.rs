//! `brig rm`.
//! What a removal takes along, and what it refuses, is decided by `engine::lifecycle`.

use super::each::each;
use crate::failure::Outcome;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use engine::lifecycle::Remove;
use engine::{Container, Error};

/// Prints the names of those removed. With `--force` a container that does not exist is no failure.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::rm::read(parsed);
    let engine = place.engine()?;
    let mut missing = Vec::new();
    let names: Vec<String> = match asked.force {
        true => asked.containers.into_iter().filter(|name| exists(&engine, name, &mut missing)).collect(),
        false => asked.containers,
    };
    let code = each(&names, |name| {
        let container = Container::find(&engine, name)?;
        Ok(engine::lifecycle::remove(&engine, &container, Remove { force: asked.force, volumes: asked.volumes })?)
    })?;
    for text in missing {
        output::complain(&text);
    }
    Ok(code)
}

fn exists(engine: &engine::Engine, name: &str, missing: &mut Vec<String>) -> bool {
    match Container::find(engine, name) {
        Err(error @ Error::NotFound(_)) => {
            missing.push(error.to_string());
            false
        }
        _ => true,
    }
}
