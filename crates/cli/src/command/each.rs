//! Commands on several objects: each is tried, its name printed when done and its error when not, and one error among them
//! makes the exit code 1.

use crate::failure::{Failure, Outcome};
use crate::output;
use engine::{Container, Engine};

/// Runs `act` for every name and prints those that it succeeded for.
pub fn each(names: &[String], mut act: impl FnMut(&str) -> Result<(), Failure>) -> Outcome {
    each_printing(names, |name| act(name).map(|()| name.to_owned()))
}

/// As `each`, printing what `act` returns.
pub fn each_printing(names: &[String], mut act: impl FnMut(&str) -> Result<String, Failure>) -> Outcome {
    let mut code = 0;
    for name in names {
        match act(name) {
            Ok(text) => _ = output::print(&format!("{text}\n"))?,
            Err(failure @ Failure::Told(_)) => return Err(failure),
            Err(failure) => {
                output::complain(&failure.text());
                code = 1;
            }
        }
    }
    Ok(code)
}

/// As `each`, for containers.
pub fn each_container(
    engine: &Engine,
    names: &[String],
    mut act: impl FnMut(&mut Container) -> engine::Result<()>,
) -> Outcome {
    each(names, |name| {
        let mut container = Container::find(engine, name)?;
        Ok(act(&mut container)?)
    })
}
