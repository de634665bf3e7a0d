//! `brig load`, and where archives are read from.
//! `import` reads through the same `Source`.

use super::budget;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use engine::images::files;
use image::archive::Input;
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;

/// Prints the names of the images that came in.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::load::read(&parsed)?;
    let source = source(asked.input.as_deref())?;
    let engine = place.engine_for_images()?;
    let platform = asked.platform.as_ref();
    let (path, reach) = (source.path(), flags::access::of_environment(false));
    let stdin = &mut std::io::stdin().lock();
    let input = match source {
        Source::File(file) => Input::File(file),
        Source::Stdin => Input::Stream(stdin),
    };
    let loaded = files::load(&engine, &reach, input, path.as_deref(), platform)?;
    budget::keep(&engine, &loaded.iter().map(|loaded| loaded.image.id.clone()).collect::<Vec<_>>());
    let mut text = String::new();
    for loaded in loaded {
        if loaded.names.is_empty() {
            let _ = writeln!(text, "Loaded image ID: {}", loaded.image.id);
        }
        for name in &loaded.names {
            let _ = writeln!(text, "Loaded image: {}", name.familiar());
        }
    }
    output::print(&text)
}

/// Where an archive comes from.
pub enum Source {
    File(File),
    Stdin,
}

impl Source {
    /// Where it lies, for the image policy; also of a file that is standard input.
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Source::File(file) => files::path_of(file),
            Source::Stdin => files::path_of(std::io::stdin()),
        }
    }
}

/// The file, or standard input when that is no terminal.
pub fn source(path: Option<&str>) -> Result<Source, Failure> {
    match path.filter(|path| *path != "-") {
        Some(path) => Ok(Source::File(File::open(path).map_err(|error| Failure::file("open", path, &error))?)),
        None if kernel::terminal::is_terminal(std::io::stdin()) => {
            Err(Failure::message("standard input is a terminal: give a file or redirect standard input"))
        }
        None => {
            kernel::fifo::enlarge(std::io::stdin(), output::sink::CAPACITY);
            Ok(Source::Stdin)
        }
    }
}
