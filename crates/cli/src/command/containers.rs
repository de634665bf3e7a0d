//! What `run` and `create` do alike before the engine makes a container: get the image and look after `--cidfile`.
//! Called before anything exists that would have to be undone.

use super::pull;
use crate::failure::Failure;
use crate::flags::container::Container as Asked;
use engine::Engine;
use engine::attach::Streams;
use engine::options::Options;
use spec::ContainerId;
use std::io::Write;

/// The file of `--cidfile`: made before the container, so that a path that cannot be written spoils nothing, and removed
/// again when no id was written to it.
pub struct IdFile {
    path: String,
    file: Option<std::fs::File>,
}

impl IdFile {
    /// Makes the file; it must not exist.
    pub fn make(path: Option<&str>) -> Result<Option<IdFile>, Failure> {
        let Some(path) = path else { return Ok(None) };
        match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Some(IdFile { path: path.to_owned(), file: Some(file) })),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::message(format!(
                "container ID file found, make sure the other container isn't running or delete {path}"
            ))),
            Err(error) => Err(Failure::file("create the container ID file", path, &error)),
        }
    }

    /// Writes the id; the file stays.
    pub fn write(mut self, id: &ContainerId) -> Result<(), Failure> {
        match self.file.take() {
            Some(mut file) => {
                file.write_all(id.as_str().as_bytes()).map_err(|error| Failure::file("write to", &self.path, &error))
            }
            None => Ok(()),
        }
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Gets the image and gives the options with the streams that are attached.
pub fn options(engine: &Engine, asked: Asked, streams: Streams) -> Result<Options, Failure> {
    let image = pull::ensure(engine, &asked.image)?;
    let mut options = Options { image, ..asked.options };
    options.process.attach_stdin = streams.stdin;
    options.process.attach_stdout = streams.stdout;
    options.process.attach_stderr = streams.stderr;
    if options.process.tty {
        options.process.console_size = crate::terminal::size();
    }
    Ok(options)
}

/// The streams that `-a` names, or those that docker attaches without it.
pub fn streams(asked: &Asked) -> Streams {
    if asked.attach.is_empty() {
        return Streams { stdin: asked.options.process.stdin_open, stdout: true, stderr: true };
    }
    let has = |name: &str| asked.attach.iter().any(|stream| stream == name);
    Streams { stdin: has("STDIN"), stdout: has("STDOUT"), stderr: has("STDERR") }
}
