//! `brig save`, and where archives are written to.
//! `export` writes through the same `Sink`.

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use engine::Engine;
use image::Image;
use image::archive::{self, Saved};
use spec::Reference;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Writes the images as one archive.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::save::read(parsed)?;
    let engine = place.engine()?;
    // Nothing is removed between finding the images and writing the last of them.
    let _lease = engine.store().use_images()?;
    let mut images: Vec<(Image, Vec<Reference>)> = Vec::new();
    for name in &asked.images {
        for (image, name) in named(&engine, name)? {
            match images.iter_mut().find(|(known, _)| known.id == image.id) {
                Some((_, names)) => names.extend(name),
                None => images.push((image, name.into_iter().collect())),
            }
        }
    }
    let saved: Vec<Saved<'_>> = images.iter().map(|(image, names)| Saved { image, names }).collect();
    let mut sink = Sink::open(asked.output.as_deref())?;
    let written = archive::save(engine.store(), &saved, asked.format, &mut sink);
    sink.finish(written.map_err(Failure::from))
}

/// What a word on the command line means: an id, a name, or without tag all tags of a repository.
fn named(engine: &Engine, word: &str) -> Result<Vec<(Image, Option<Reference>)>, Failure> {
    let reference = Reference::parse_untagged(word).ok();
    if let Some(wanted) = reference.as_ref().filter(|name| name.tag().is_none() && name.digest().is_none()) {
        let same = |name: &&Reference| name.registry() == wanted.registry() && name.repository() == wanted.repository();
        let mut found = Vec::new();
        for image in engine.store().list()? {
            let names: Vec<Reference> = image.tags().filter(same).cloned().collect();
            found.extend(names.into_iter().map(|name| (image.clone(), Some(name))));
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let image = engine.store().resolve(word)?;
    let name = reference.filter(|name| image.names.contains(name) && name.digest().is_none());
    Ok(vec![(image, name)])
}

/// Standard output, or a file that appears under its name only when it is complete.
pub struct Sink {
    out: BufWriter<Box<dyn Write>>,
    /// Temporary and final name.
    file: Option<(PathBuf, PathBuf)>,
    /// Nobody reads our end of the pipe.
    broken: bool,
}

impl Sink {
    /// Refuses to fill a terminal with an archive.
    pub fn open(path: Option<&str>) -> Result<Sink, Failure> {
        let capacity = 1 << 16;
        let Some(path) = path.filter(|path| *path != "-") else {
            if kernel::terminal::is_terminal(std::io::stdout()) {
                return Err(Failure::message("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
            }
            return Ok(Sink {
                out: BufWriter::with_capacity(capacity, Box::new(std::io::stdout())),
                file: None,
                broken: false,
            });
        };
        let target = PathBuf::from(path);
        // A pipe or a device cannot be replaced by renaming; it is written as it is.
        if target.exists() && !target.is_file() {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(&target)
                .map_err(|error| Failure::file("open", path, &error))?;
            return Ok(Sink { out: BufWriter::with_capacity(capacity, Box::new(file)), file: None, broken: false });
        }
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = target.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = std::fs::File::create(&temporary).map_err(|error| Failure::file("open", path, &error))?;
        Ok(Sink {
            out: BufWriter::with_capacity(capacity, Box::new(file)),
            file: Some((temporary, target)),
            broken: false,
        })
    }

    /// Writes what is left and gives the file its name, if all was `written` so far. A reader that went away ends the
    /// command as SIGPIPE would.
    pub fn finish(mut self, written: Result<(), Failure>) -> Outcome {
        let flushed = self.out.flush();
        if self.broken || flushed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            return Err(Failure::Told(141));
        }
        written?;
        flushed.map_err(|error| Failure::file("write to", "the archive", &error))?;
        if let Some((temporary, target)) = self.file.take() {
            std::fs::rename(&temporary, &target).map_err(|error| {
                let _ = std::fs::remove_file(&temporary);
                Failure::file("rename the archive to", &target.to_string_lossy(), &error)
            })?;
        }
        Ok(0)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes);
        self.broken |= written.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.file {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_complete() {
        let path = std::env::temp_dir().join(format!("brig-cli-sink-{}", std::process::id()));
        let name = path.to_str().unwrap();
        let mut sink = Sink::open(Some(name)).unwrap();
        sink.write_all(b"x").unwrap();
        drop(sink);
        assert!(!path.exists());
        let mut sink = Sink::open(Some(name)).unwrap();
        sink.write_all(b"x").unwrap();
        sink.finish(Ok(())).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        std::fs::remove_file(path).unwrap();
    }
}
