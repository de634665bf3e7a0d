//! What can go wrong with a container of ours. The words are runc's where it has some: engines look for them.

use std::fmt;
use std::path::Path;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone)]
pub enum Error {
    /// There is no container of this name.
    NotFound,
    /// There is one already.
    Exists,
    /// It has no process.
    NotRunning,
    /// What was asked for cannot be; nothing was done.
    Invalid(String),
    Runtime(runtime::Error),
    Kernel(kernel::Error),
}

impl Error {
    /// A file of the bundle or of our state that cannot be read or written.
    pub(crate) fn file(action: &str, path: &Path, error: &std::io::Error) -> Error {
        let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
        Error::Kernel(kernel::Error::at(action, path, errno))
    }
}

pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::Invalid(text.into())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound => f.write_str("container does not exist"),
            Error::Exists => f.write_str("container with given ID already exists"),
            Error::NotRunning => f.write_str("container not running"),
            Error::Invalid(text) => f.write_str(text),
            Error::Runtime(error) => error.fmt(f),
            Error::Kernel(error) => kernel_words(error, f),
        }
    }
}

/// As [`kernel::Error`] shows itself, with the system's own words in lower case, as Go's programs print them.
fn kernel_words(error: &kernel::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&error.action)?;
    if let Some(path) = &error.path {
        write!(f, " {}", path.display())?;
    }
    let text = std::io::Error::from(error.errno).to_string();
    write!(f, ": {}", text.split(" (os error").next().unwrap_or_default().to_lowercase())
}

impl std::error::Error for Error {}

impl From<runtime::Error> for Error {
    fn from(error: runtime::Error) -> Error {
        match error {
            runtime::Error::Setup(error) => Error::Kernel(error),
            other => Error::Runtime(other),
        }
    }
}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Error {
        Error::Kernel(error)
    }
}
