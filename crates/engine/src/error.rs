//! The engine's one error. Variants exist where a caller behaves differently: exit code on the
//! command line, status code in an API. Texts are whole sentences for the user, lower case.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub enum Error {
    /// No such container, volume or image; the text says which.
    NotFound(String),
    /// A prefix or name that fits several objects.
    Ambiguous(String),
    /// A name that is taken.
    NameInUse(String),
    /// The object's state forbids it: already running, not running, paused, in use.
    Conflict(String),
    /// The request makes no sense, whatever the state.
    Invalid(String),
    /// Not available in this version or on this machine; the text says what would help.
    Unsupported(String),
    /// Root is needed.
    NeedsRoot(String),
    /// The command could not be executed: 127 not found, 126 not executable.
    CommandNotFound(String),
    CommandNotExecutable(String),
    /// The kernel, the store or the registry failed.
    Image(image::Error),
    Registry(Box<registry::Error>),
    Kernel(kernel::Error),
    /// Anything else, already worded.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound(text)
            | Error::Ambiguous(text)
            | Error::NameInUse(text)
            | Error::Conflict(text)
            | Error::Invalid(text)
            | Error::Unsupported(text)
            | Error::NeedsRoot(text)
            | Error::CommandNotFound(text)
            | Error::CommandNotExecutable(text)
            | Error::Failed(text) => f.write_str(text),
            Error::Image(error) => error.fmt(f),
            Error::Registry(error) => error.fmt(f),
            Error::Kernel(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Error {
        Error::Image(error)
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Error {
        Error::Registry(Box::new(error))
    }
}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Error {
        Error::Kernel(error)
    }
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Error {
        match error {
            net::Error::NotFound(text) => Error::NotFound(text),
            net::Error::Conflict(text) => Error::Conflict(text),
            net::Error::Invalid(text) => Error::Invalid(text),
            net::Error::Unsupported(text) => Error::Unsupported(text),
            net::Error::Kernel(error) => Error::Kernel(error),
            error => Error::Failed(error.to_string()),
        }
    }
}
