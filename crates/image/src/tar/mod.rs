//! Tar archives as they occur in images: ustar, GNU and PAX read from a stream, ustar with PAX
//! records written. Knows no file system; `unpack` and `export` do.
//!
//! Sources: POSIX.1-2017 pax, the GNU tar manual's "Basic Tar Format" and "Storing Sparse Files".

mod header;
mod pax;
mod read;
mod sparse;
mod write;

pub use read::Reader;
pub use write::Writer;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Size of everything in an archive is a multiple of this, in bytes.
pub const BLOCK: usize = 512;

/// Largest extended header, long name or sparse map that is read, in bytes.
pub const EXTENSION_SIZE_MAX: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    File,
    /// `link` names an earlier entry.
    Hardlink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

impl Kind {
    /// Whether the entry's data is a file's content.
    pub fn has_data(self) -> bool {
        self == Kind::File
    }
}

/// A stretch of data in a sparse file; everything else is zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub length: u64,
}

/// What an archive says about one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// As in the archive: may be absolute, or have `..` or a slash at the end.
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    pub kind: Kind,
    /// The lower twelve bits of `st_mode`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Size of the file in bytes, holes included.
    pub size: u64,
    /// Seconds since 1970, and nanoseconds within the second.
    pub mtime: (i64, u32),
    pub device_major: u32,
    pub device_minor: u32,
    /// Names and values, in the order of the archive.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// For a sparse file, where its data goes; ordered and not overlapping.
    pub extents: Option<Vec<Extent>>,
}

#[derive(Debug)]
pub enum Error {
    /// The reader or writer below has failed, or the archive ends too early.
    Io(io::Error),
    /// The archive is broken; reads as a sentence after its name.
    Invalid(String),
}

impl Error {
    pub(crate) fn invalid(why: impl fmt::Display) -> Error {
        Error::Invalid(why.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("ends in the middle of an archive")
            }
            Error::Io(error) => write!(f, "cannot be read: {error}"),
            Error::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// A name of an archive as a relative path without `.` and `..`; `None` when it leads outside. Works on the text alone:
/// links in the file system are another matter.
pub(crate) fn clean(name: &[u8]) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if !path.pop() => return None,
            _ => {}
        }
    }
    Some(path)
}

/// Bytes of padding after `size` bytes of data.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

#[cfg(test)]
mod tests;
