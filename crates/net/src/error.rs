//! The crate's one error: variants where the engine acts differently.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub enum Error {
    /// No such network or endpoint.
    NotFound(String),
    /// In use, taken, or already there.
    Conflict(String),
    /// No address is left; those of containers that were killed may be.
    Exhausted(String),
    Invalid(String),
    /// The machine lacks something; the text says what.
    Unsupported(String),
    /// A host port that somebody has.
    PortInUse {
        host: String,
    },
    Kernel(kernel::Error),
    /// Anything else, already worded.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound(text)
            | Error::Conflict(text)
            | Error::Exhausted(text)
            | Error::Invalid(text)
            | Error::Unsupported(text)
            | Error::Failed(text) => f.write_str(text),
            Error::PortInUse { host } => write!(f, "Bind for {host} failed: port is already allocated"),
            Error::Kernel(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Error {
        Error::Kernel(error)
    }
}
