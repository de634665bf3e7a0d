//! What holds for every command: the words of the command line as text, and where brig keeps its things. `--root` and
//! `--state` come before the command; BRIG_ROOT and BRIG_STATE stand in for them.

use crate::failure::{ENGINE_FAILED, Failure};
use engine::Engine;
use std::ffi::OsString;
use std::path::PathBuf;

/// The two directories of an engine.
pub struct Place {
    root: PathBuf,
    state: PathBuf,
}

impl Place {
    /// Opens the engine there.
    pub fn engine(&self) -> Result<Engine, Failure> {
        Ok(Engine::open(&self.root, &self.state)?)
    }

    /// The same for a command that brings images in: a mistake in brig.toml is told before anything has come.
    pub fn engine_for_images(&self) -> Result<Engine, Failure> {
        let engine = self.engine()?;
        engine.settings()?;
        Ok(engine)
    }
}

/// The arguments as text; one that is not valid UTF-8 is an error.
pub fn words(arguments: impl Iterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    let word = |argument: OsString| {
        argument.into_string().map_err(|bad| Failure::message(format!("argument {bad:?} is not valid UTF-8")))
    };
    arguments.map(word).collect()
}

/// Takes `--root` and `--state` from the front of `words`.
pub fn place(words: &mut Vec<String>) -> Result<Place, Failure> {
    let (mut root, mut state) = (None, None);
    while let Some(first) = words.first() {
        let (name, attached) = match first.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (first.as_str(), None),
        };
        let slot = match name {
            "--root" => &mut root,
            "--state" => &mut state,
            _ => break,
        };
        let taken = if attached.is_some() { 1 } else { 2 };
        let missing = || Failure::Message(format!("flag needs an argument: {name}"), ENGINE_FAILED);
        *slot = Some(attached.or_else(|| words.get(1).cloned()).ok_or_else(missing)?);
        words.drain(..taken);
    }
    Ok(Place {
        root: directory(root, "BRIG_ROOT", "--root", engine::engine::DEFAULT_ROOT)?,
        state: directory(state, "BRIG_STATE", "--state", engine::engine::DEFAULT_STATE)?,
    })
}

fn directory(typed: Option<String>, variable: &str, flag: &str, default: &str) -> Result<PathBuf, Failure> {
    let value = typed.map(OsString::from).or_else(|| std::env::var_os(variable)).filter(|value| !value.is_empty());
    let path = value.map_or_else(|| PathBuf::from(default), PathBuf::from);
    std::path::absolute(&path).map_err(|error| Failure::file(flag, &path.to_string_lossy(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> (Vec<String>, Result<Place, Failure>) {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let place = place(&mut words);
        (words, place)
    }

    #[test]
    fn taken_from_the_front_only() {
        let (words, place) = split("--root /a --state=/b run --root x");
        let place = place.unwrap();
        assert_eq!((place.root, place.state), (PathBuf::from("/a"), PathBuf::from("/b")));
        assert_eq!(words, ["run", "--root", "x"]);
        assert!(split("--root").1.is_err());
        assert_eq!(split("--rootless ps").0.len(), 2);
    }
}
