//! `brig save`, and where archives are written to.

use crate::failure::{Failure, Outcome};
use crate::flags::save::Archive;
use crate::flags::{self, Parsed};
use crate::globals::Place;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Writes the images as one archive.
pub fn run(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::save::read(parsed)?;
    let engine = place.engine()?;
    let mut sink = Sink::open(asked.output.as_deref())?;
    match asked.archive {
        Archive::Docker => engine.store().save_docker(&asked.images, &mut sink)?,
        Archive::Oci => engine.store().save_oci(&asked.images, &mut sink)?,
    }
    sink.finish()
}

/// Standard output, or a file that appears under its name only when it is complete.
pub struct Sink {
    out: BufWriter<Box<dyn Write>>,
    /// Temporary and final name.
    file: Option<(PathBuf, PathBuf)>,
}

impl Sink {
    /// Refuses to fill a terminal with an archive.
    pub fn open(path: Option<&str>) -> Result<Sink, Failure> {
        let capacity = 1 << 16;
        let Some(path) = path.filter(|path| *path != "-") else {
            if kernel::terminal::is_terminal(std::io::stdout()) {
                return Err(Failure::message("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
            }
            return Ok(Sink { out: BufWriter::with_capacity(capacity, Box::new(std::io::stdout())), file: None });
        };
        let target = PathBuf::from(path);
        // A pipe or a device cannot be replaced by renaming; it is written as it is.
        if target.exists() && !target.is_file() {
            let file = std::fs::OpenOptions::new().write(true).open(&target).map_err(|error| Failure::file("open", path, &error))?;
            return Ok(Sink { out: BufWriter::with_capacity(capacity, Box::new(file)), file: None });
        }
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = target.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = std::fs::File::create(&temporary).map_err(|error| Failure::file("open", path, &error))?;
        Ok(Sink { out: BufWriter::with_capacity(capacity, Box::new(file)), file: Some((temporary, target)) })
    }

    /// Writes what is left and gives the file its name.
    pub fn finish(mut self) -> Outcome {
        match self.out.flush() {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Err(Failure::Told(141)),
            Err(error) => return Err(Failure::file("write to", "the archive", &error)),
        }
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
        self.out.write(bytes)
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
        sink.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        std::fs::remove_file(path).unwrap();
    }
}
