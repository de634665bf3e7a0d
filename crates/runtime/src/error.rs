//! What can go wrong between a specification and a running program, in three kinds that callers treat
//! differently: the specification, the set-up around the program, and the program itself.

use rustix::io::Errno;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The specification asks for what cannot be or is not known; nothing was started.
    Invalid(String),
    /// A step of the set-up failed: what was tried, on which path, and the errno.
    Setup(kernel::Error),
    /// A hook has failed: which, and what it wrote.
    Hook(String),
    /// Everything is ready but the program cannot be executed.
    Exec(ExecError),
    /// The container's first process was ended before it could report, for example by `kill -9` or for lack of memory.
    Ended,
}

/// Why a program cannot be executed; shells and docker give 127 and 126 for the first two kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecError {
    /// The first argument as given.
    pub program: String,
    pub kind: ExecErrorKind,
    pub errno: Errno,
    /// In words: `executable file not found in $PATH`.
    pub reason: String,
    /// What to do about it, where something is known.
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecErrorKind {
    /// The file, its interpreter or the working directory does not exist: 127.
    NotFound,
    /// It exists but may not be executed, is a directory, or is no program for this machine: 126.
    Permission,
    /// Anything else, such as a lack of memory: 126.
    Other,
}

impl ExecErrorKind {
    /// The exit code that shells and docker give.
    pub fn exit_code(self) -> i32 {
        match self {
            ExecErrorKind::NotFound => 127,
            ExecErrorKind::Permission | ExecErrorKind::Other => 126,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(text) | Error::Hook(text) => f.write_str(text),
            Error::Setup(error) => error.fmt(f),
            Error::Exec(error) => error.fmt(f),
            Error::Ended => f.write_str("the container's first process was killed while it was being set up"),
        }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec: {:?}: {}", self.program, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Error {
        Error::Setup(error)
    }
}

pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::Invalid(text.into())
}
