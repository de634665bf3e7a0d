//! What can go wrong with images. Variants are those on which a caller acts differently: exit
//! code, HTTP status, a pull that may help. The words of the first three are docker's.

use rustix::io::Errno;
use spec::Digest;
use std::fmt;
use std::path::Path;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub enum Error {
    /// No image has this name or id.
    NotFound { name: String },
    /// Several images have an id that starts so.
    Ambiguous { prefix: String },
    /// It is in use by a container or by another name; the text says by which.
    InUse(String),
    /// What the user typed is no name of an image.
    Name(spec::reference::Error),
    /// What the user typed makes no sense otherwise.
    Argument(String),
    /// Content that is broken, or that we refuse: `what` names it, `why` continues the sentence.
    Invalid { what: String, why: String },
    /// Content that is not what its name says.
    Mismatch { what: String, expected: Digest, actual: Digest },
    /// The reader or writer that the caller handed in has failed.
    Stream(std::io::Error),
    /// The store's own files.
    Io(kernel::Error),
}

impl Error {
    pub(crate) fn invalid(what: impl Into<String>, why: impl fmt::Display) -> Error {
        Error::Invalid { what: what.into(), why: why.to_string() }
    }

    /// For `map_err` on standard file functions.
    pub(crate) fn io(action: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Error::Io(kernel::Error::at(action, path, errno))
        }
    }

    /// What a reader or writer of ours reported, or one that the caller handed in.
    pub fn stream(error: std::io::Error) -> Error {
        error.downcast::<Error>().unwrap_or_else(Error::Stream)
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::NotFound { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound { name } => write!(f, "No such image: {name}"),
            Error::Ambiguous { prefix } => {
                write!(f, "image id prefix {prefix} is ambiguous: give more digits")
            }
            Error::InUse(why) => f.write_str(why),
            Error::Name(error) => error.fmt(f),
            Error::Argument(why) => f.write_str(why),
            Error::Invalid { what, why } => write!(f, "{what} {why}"),
            Error::Mismatch { what, expected, actual } => {
                write!(f, "{what} does not have the content it should: expected {expected}, got {actual}")
            }
            Error::Stream(error) => error.fmt(f),
            Error::Io(error) if error.errno == Errno::NOSPC || error.errno == Errno::DQUOT => {
                let remedy = "remove images or containers, also interrupted downloads (`brig image prune`), \
                              or use another disk with --root";
                write!(f, "{error}; the disk is full: {remedy}")
            }
            Error::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Name(error) => Some(error),
            Error::Stream(error) => Some(error),
            Error::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Error {
        Error::Io(error)
    }
}

impl From<spec::reference::Error> for Error {
    fn from(error: spec::reference::Error) -> Error {
        Error::Name(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_comes_with_a_remedy() {
        let text = Error::Io(kernel::Error::at("write", "/x/y", Errno::NOSPC)).to_string();
        assert!(text.starts_with("write /x/y: ") && text.contains("--root"), "{text}");
        assert_eq!(Error::NotFound { name: "x:latest".to_owned() }.to_string(), "No such image: x:latest");
    }
}
