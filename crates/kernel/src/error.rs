//! One error for all kernel calls: what was tried, on what, and the errno.

use std::fmt;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Displayed as `open /run/brig/x: No such file or directory (ENOENT)`-like text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The action in plain words, lower case: `mount overlay`, `write pids.max`.
    pub action: String,
    /// The object it failed on, where there is one.
    pub path: Option<PathBuf>,
    pub errno: rustix::io::Errno,
}

impl Error {
    pub fn new(action: impl Into<String>, errno: rustix::io::Errno) -> Error {
        Error { action: action.into(), path: None, errno }
    }

    pub fn at(action: impl Into<String>, path: impl AsRef<Path>, errno: rustix::io::Errno) -> Error {
        Error { action: action.into(), path: Some(path.as_ref().to_owned()), errno }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.action)?;
        if let Some(path) = &self.path {
            write!(f, " {}", path.display())?;
        }
        write!(f, ": {}", self.errno)
    }
}

impl std::error::Error for Error {}

/// Adds words to a bare errno: `open(…).during("open", path)?`.
pub trait Context<T> {
    fn during(self, action: &str) -> Result<T>;
    fn during_at(self, action: &str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn during(self, action: &str) -> Result<T> {
        self.map_err(|errno| Error::new(action, errno))
    }

    fn during_at(self, action: &str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|errno| Error::at(action, path, errno))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn during(self, action: &str) -> Result<T> {
        self.map_err(|e| Error::new(action, errno_of(&e)))
    }

    fn during_at(self, action: &str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|e| Error::at(action, path, errno_of(&e)))
    }
}

/// What the system call made last on this thread has failed with, for those that are made through `libc`.
pub(crate) fn last_errno() -> rustix::io::Errno {
    errno_of(&std::io::Error::last_os_error())
}

fn errno_of(error: &std::io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO)
}
