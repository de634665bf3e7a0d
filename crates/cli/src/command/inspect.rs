//! `brig inspect` and its forms for one kind of object.
//! The objects are made by `docker::wire`, the text by `output::inspect`.

use crate::failure::{Failure, Outcome};
use crate::flags::inspect::{Inspect, Kind};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use docker::wire;
use engine::{Container, Engine, Error};
use serde_json::Value;

/// Objects of any kind, or of `--type`.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    show(place, &flags::inspect::read(parsed)?)
}

/// Containers.
pub fn container(place: &Place, parsed: Parsed) -> Outcome {
    show(place, &flags::inspect::read_container(parsed))
}

/// Images.
pub fn image(place: &Place, parsed: Parsed) -> Outcome {
    show(place, &flags::inspect::read_kind(parsed, Some(Kind::Image)))
}

/// Volumes.
pub fn volume(place: &Place, parsed: Parsed) -> Outcome {
    show(place, &flags::inspect::read_kind(parsed, Some(Kind::Volume)))
}

/// Volumes.
pub fn network(place: &Place, parsed: Parsed) -> Outcome {
    show(place, &flags::inspect::read_kind(parsed, Some(Kind::Network)))
}

/// What was found is printed, the rest complained about; one missing object makes the exit code 1.
fn show(place: &Place, asked: &Inspect) -> Outcome {
    let engine = place.engine()?;
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for name in &asked.names {
        match object(&engine, asked, name) {
            Ok(value) => found.push(value),
            Err(failure) => problems.push(failure.text()),
        }
    }
    output::print(&output::inspect::render(&found, asked.format.as_deref())?)?;
    for problem in &problems {
        output::complain(problem);
    }
    Ok(u8::from(!problems.is_empty()))
}

fn object(engine: &Engine, asked: &Inspect, name: &str) -> Result<Value, Failure> {
    let kinds: &[Kind] = match &asked.kind {
        Some(kind) => std::slice::from_ref(kind),
        None => &[Kind::Container, Kind::Image, Kind::Volume, Kind::Network],
    };
    for kind in kinds {
        let value = match kind {
            Kind::Container => one_container(engine, name, asked.size),
            Kind::Image => one_image(engine, name),
            Kind::Network => one_network(engine, name),
            Kind::Volume => one_volume(engine, name),
        };
        match value {
            Err(Failure::Engine(error)) if kinds.len() > 1 && is_not_found(&error) => {}
            value => return value,
        }
    }
    Err(Failure::message(format!("No such object: {name}")))
}

fn one_container(engine: &Engine, name: &str, with_size: bool) -> Result<Value, Failure> {
    let container = Container::find(engine, name)?;
    let sizes = if with_size { Some(wire::size::of_container(engine, &container)?) } else { None };
    Ok(wire::container::inspect(engine, &container, sizes))
}

fn one_image(engine: &Engine, name: &str) -> Result<Value, Failure> {
    Ok(wire::image::inspect(engine, &engine.store().resolve(name)?))
}

fn one_volume(engine: &Engine, name: &str) -> Result<Value, Failure> {
    Ok(wire::volume::inspect(&engine::volumes::inspect(engine, name)?))
}

fn one_network(engine: &Engine, name: &str) -> Result<Value, Failure> {
    let network = engine::network::find(engine, name)?;
    Ok(wire::network::inspect(&network, &engine::network::endpoints_of(engine, &network)?))
}

fn is_not_found(error: &Error) -> bool {
    match error {
        Error::NotFound(_) => true,
        Error::Image(error) => error.is_not_found(),
        _ => false,
    }
}
