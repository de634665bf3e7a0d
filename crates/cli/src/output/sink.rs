//! Where archives are written to: standard output, or a file that appears under its name only when it is complete.
//! `save`, `export` and `cp` write through it.

use crate::failure::{Failure, Outcome};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes that are written at once, and what a pipe is asked to hold: with 64 KiB writer and reader wake each other up
/// for most of the time.
pub const CAPACITY: usize = 1 << 20;

/// Standard output, or a file that appears under its name only when it is complete.
pub struct Sink {
    out: BufWriter<Box<dyn Write>>,
    /// Temporary and final name.
    file: Option<(PathBuf, PathBuf)>,
    /// Nobody reads our end of the pipe.
    broken: bool,
}

impl Sink {
    /// The file of that name, or standard output for none and for `-`.
    pub fn open(path: Option<&str>) -> Result<Sink, Failure> {
        let Some(path) = path.filter(|path| *path != "-") else {
            return Sink::stdout("redirect it, or name a file with -o");
        };
        let target = PathBuf::from(path);
        let failed = |error| Failure::file("open", path, &error);
        // A pipe or a device cannot be replaced by renaming; it is written as it is.
        if target.exists() && !target.is_file() {
            let file = OpenOptions::new().write(true).open(&target).map_err(failed)?;
            return Ok(Sink::new(Box::new(file), None));
        }
        let (temporary, file) = create_beside(&target).map_err(failed)?;
        Ok(Sink::new(Box::new(file), Some((temporary, target))))
    }

    /// Standard output. Refuses to fill a terminal with an archive; `remedy` says what to do then.
    pub fn stdout(remedy: &str) -> Result<Sink, Failure> {
        if kernel::terminal::is_terminal(std::io::stdout()) {
            return Err(Failure::message(format!(
                "cowardly refusing to write an archive to a terminal: standard output is one, {remedy}"
            )));
        }
        // Not the one of the standard library, which cuts what it is given after the last line in it.
        let out = std::io::stdout().as_fd().try_clone_to_owned().map_err(|error| {
            Failure::message(format!("cannot write to standard output: {error}: redirect it to a file"))
        })?;
        kernel::fifo::enlarge(&out, CAPACITY);
        Ok(Sink::new(Box::new(File::from(out)), None))
    }

    fn new(out: Box<dyn Write>, file: Option<(PathBuf, PathBuf)>) -> Sink {
        Sink { out: BufWriter::with_capacity(CAPACITY, out), file, broken: false }
    }

    /// Writes what is left and gives the file its name, if all was `written` so far. A reader that went away ends the
    /// command as SIGPIPE would.
    pub fn finish(mut self, written: Result<(), Failure>) -> Outcome {
        let flushed = self.out.flush();
        if self.broken || flushed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            return Err(Failure::reader_gone());
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

/// A new file in the directory of `target`. Never one that is there: in a directory that others may write to it could be a
/// link to anything.
fn create_beside(target: &Path) -> std::io::Result<(PathBuf, File)> {
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut number = std::process::id();
    loop {
        let temporary = target.with_file_name(format!(".{name}.{number}"));
        // For nobody else's eyes, as docker does it: a container's files may be in it.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary) {
            // Left by a command that was killed, or not ours at all.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number = number.wrapping_add(1),
            created => return Ok((temporary, created?)),
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
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "a container's files are nobody else's business");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_the_temporary_file_is_not_followed() {
        let directory = std::env::temp_dir().join(format!("brig-cli-sink-link-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let (target, victim) = (directory.join("x.tar"), directory.join("victim"));
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, directory.join(format!(".x.tar.{}", std::process::id()))).unwrap();
        let mut sink = Sink::open(target.to_str()).unwrap();
        sink.write_all(b"archive").unwrap();
        sink.finish(Ok(())).unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        assert_eq!(std::fs::read(&target).unwrap(), b"archive");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
