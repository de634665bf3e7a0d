//! `brig load`.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use std::fs::File;
use std::io::Read;

/// Prints the images that came in.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::load::read(&parsed)?;
    let mut source = source(asked.input.as_deref())?;
    let engine = place.engine()?;
    let images = engine.store().load(&mut source, asked.platform.as_ref())?;
    let mut text = String::new();
    for image in images {
        let names: Vec<String> = image.tags().map(|name| format!("Loaded image: {}\n", name.familiar())).collect();
        match names.is_empty() {
            true => text.push_str(&format!("Loaded image ID: {}\n", image.id)),
            false => text.extend(names),
        }
    }
    output::print(&text)
}

/// The file, or standard input when that is no terminal.
pub fn source(path: Option<&str>) -> Result<Box<dyn Read>, Failure> {
    match path.filter(|path| *path != "-") {
        Some(path) => Ok(Box::new(File::open(path).map_err(|error| Failure::file("open", path, &error))?)),
        None if kernel::terminal::is_terminal(std::io::stdin()) => {
            Err(Failure::message("requested load from stdin, but stdin is empty: use -i FILE or redirect standard input"))
        }
        None => Ok(Box::new(std::io::stdin())),
    }
}
