//! Directory → archive: `export` and `cp` from a container, and the layer that `commit` makes of
//! an overlay's upper directory. Equal trees give equal archives: names are sorted, and nothing
//! depends on inode numbers.
//!
//! The tree may be a running container's, so everything is opened by descriptor without following
//! a link, and a file that shrinks meanwhile is filled up with zeros.

use crate::descent::{DIRECTORY, Descent, PATH_LENGTH_MAX};
use crate::error::{Error, Result};
use crate::tar::{self, Entry, Kind, Writer};
use crate::unpack::is_whiteout;
use kernel::beneath::{Root, open_regular};
use kernel::{Context, overlay, xattr};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Writes what is at `path` beneath `root` as an archive; there it is called `name`, and what is
/// below it `name/…`. With an empty name (for a directory) there is no entry for itself: so does
/// `export`. A link at the end of `path` is written as a link. Sockets are left out.
pub fn tar_of(root: &Root, path: &Path, name: &str, output: &mut dyn Write) -> Result<()> {
    let (parent, last) = root.parent_of(path)?;
    let mut packer = Packer::new(output, false);
    packer.add_tree(&parent, &last, name.as_bytes())?;
    packer.finish()
}

/// Writes an overlay's upper directory as the archive of a layer.
pub fn layer_of(upper: &Path, output: &mut dyn Write) -> Result<()> {
    let root = Root::open(upper)?;
    let mut packer = Packer::new(output, true);
    packer.add_tree(&root.open_dir("/")?, ".".as_ref(), b"")?;
    packer.finish()
}

/// Descriptors that a walk holds for the levels above: more than most trees are deep.
const OPEN_MAX: usize = 64;

/// A directory of which some names are still to be added.
struct Level {
    names: std::vec::IntoIter<OsString>,
    /// Of its own name in the archive.
    name_length: usize,
}

struct Packer<'a> {
    writer: Writer<&'a mut dyn Write>,
    /// Whether whiteouts are to be translated.
    is_layer: bool,
    /// First names of files that have several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<'a> Packer<'a> {
    fn new(output: &'a mut dyn Write, is_layer: bool) -> Packer<'a> {
        Packer { writer: Writer::new(output), is_layer, links: HashMap::new() }
    }

    fn finish(self) -> Result<()> {
        self.writer.finish().map(|_| ()).map_err(output_error)
    }

    fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<()> {
        self.writer.append(entry, data).map_err(output_error)
    }

    /// Adds `file` and, if it is a directory, everything below, in the order of names.
    fn add_tree(&mut self, parent: &OwnedFd, file: &OsStr, name: &[u8]) -> Result<()> {
        let Some(top) = self.add(parent, file, name)? else { return Ok(()) };
        let mut levels = vec![Level { names: sorted_names(&top)?.into_iter(), name_length: name.len() }];
        let mut descent = Descent::new(top, OPEN_MAX);
        let mut path = name.to_vec();
        while let Some(level) = levels.last_mut() {
            let Some(child) = level.names.next() else {
                levels.pop();
                descent.up()?;
                continue;
            };
            path.truncate(level.name_length);
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(child.as_bytes());
            if path.len() > PATH_LENGTH_MAX {
                return Err(too_deep(&path));
            }
            if let Some(directory) = self.add(descent.current(), &child, &path)? {
                levels.push(Level { names: sorted_names(&directory)?.into_iter(), name_length: path.len() });
                descent.down(directory)?;
            }
        }
        Ok(())
    }

    /// Adds one file; of a directory the entry alone, and gives it opened.
    fn add(&mut self, parent: &OwnedFd, file: &OsStr, name: &[u8]) -> Result<Option<OwnedFd>> {
        let stat = rustix::fs::statat(parent, file, AtFlags::SYMLINK_NOFOLLOW).during_at("stat", file)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return self.add_directory(parent, file, name).map(Some);
        }
        self.add_other(parent, file, name, &stat).map(|()| None)
    }

    fn add_other(&mut self, parent: &OwnedFd, file: &OsStr, name: &[u8], stat: &Stat) -> Result<()> {
        if self.is_layer && is_whiteout(stat) {
            return self.append(&marker(&beside(name, b".wh.", base(name))), &mut io::empty());
        }
        if stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&key) {
                let entry = Entry { link: first.clone(), kind: Kind::Hardlink, ..common(name, stat) };
                return self.append(&entry, &mut io::empty());
            }
            self.links.insert(key, name.to_vec());
        }
        let mut entry = common(name, stat);
        entry.kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return self.add_file(parent, file, name),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, file, Vec::new()).during_at("read link", file)?;
                entry.link = target.into_bytes();
                Kind::Symlink
            }
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Fifo => Kind::Fifo,
            // An archive cannot hold a socket.
            _ => return Ok(()),
        };
        if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
            (entry.device_major, entry.device_minor) =
                (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        }
        entry.xattrs = xattrs(parent, file)?;
        self.append(&entry, &mut io::empty())
    }

    fn add_file(&mut self, parent: &OwnedFd, file: &OsStr, name: &[u8]) -> Result<()> {
        // In the meantime it may have become something else: a fifo that nobody writes to, or a device.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(parent, file, flags, Mode::empty()).during_at("open", file)?;
        let open = match open_regular(&found) {
            Err(Errno::INVAL) => return Err(kernel::Error::at("read changing file", file, Errno::AGAIN).into()),
            open => File::from(open.during_at("open", file)?),
        };
        // What counts is the file that is open now.
        let stat = rustix::fs::fstat(&open).during_at("stat", file)?;
        let mut entry = common(name, &stat);
        entry.size = u64::try_from(stat.st_size).unwrap_or(0);
        entry.xattrs = xattrs(parent, file)?;
        self.append(&entry, &mut open.chain(io::repeat(0)))
    }

    fn add_directory(&mut self, parent: &OwnedFd, file: &OsStr, name: &[u8]) -> Result<OwnedFd> {
        let directory = rustix::fs::openat(parent, file, DIRECTORY, Mode::empty()).during_at("open", file)?;
        let stat = rustix::fs::fstat(&directory).during_at("stat", file)?;
        if !name.is_empty() {
            let entry = Entry {
                path: [name, b"/"].concat(),
                kind: Kind::Directory,
                xattrs: xattrs(parent, file)?,
                ..common(name, &stat)
            };
            self.append(&entry, &mut io::empty())?;
        }
        if self.is_layer && is_opaque(&directory)? {
            self.append(&marker(&inside(name, b".wh..wh..opq")), &mut io::empty())?;
        }
        Ok(directory)
    }
}

fn too_deep(path: &[u8]) -> Error {
    let start = String::from_utf8_lossy(&path[..40]);
    let why = format_args!("cannot hold {start:?}…: the path has more than {PATH_LENGTH_MAX} bytes");
    Error::invalid("archive", why)
}

/// Whether nothing of the layers below shows through an upper directory.
pub(crate) fn is_opaque(directory: &OwnedFd) -> Result<bool> {
    Ok(xattr::get_at(directory, ".".as_ref(), overlay::OPAQUE)?.as_deref() == Some(b"y"))
}

/// Names in a directory that is open for reading, sorted as bytes.
pub(crate) fn sorted_names(directory: impl AsFd) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).during("list directory")? {
        let entry = entry.during("list directory")?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What every kind has. Times are whole seconds, as docker writes them: fractions would double
/// the size of an archive of small files.
fn common(name: &[u8], stat: &Stat) -> Entry {
    Entry {
        path: name.to_vec(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (stat.st_mtime, 0),
        ..Entry::default()
    }
}

/// An empty file whose name says something about a directory.
fn marker(name: &[u8]) -> Entry {
    Entry { path: name.to_vec(), ..Entry::default() }
}

fn base(name: &[u8]) -> &[u8] {
    name.rsplit(|&b| b == b'/').next().unwrap_or(name)
}

/// `dir/x` → `dir/<prefix><last>`.
fn beside(name: &[u8], prefix: &[u8], last: &[u8]) -> Vec<u8> {
    [&name[..name.len() - base(name).len()], prefix, last].concat()
}

fn inside(name: &[u8], child: &[u8]) -> Vec<u8> {
    if name.is_empty() { child.to_vec() } else { [name, child].join(&b'/') }
}

/// Those that mean something elsewhere: not overlay's own, not labels of this machine. A name with a `=` cannot be written
/// such that it is read again (PAX ends it there), so it is left out.
fn xattrs(parent: &OwnedFd, file: &OsStr) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let all = xattr::list_at(parent, file)?.into_iter().map(|(key, value)| (key.into_bytes(), value));
    let travels = |key: &[u8]| {
        let is = |prefix: &[u8]| key.starts_with(prefix);
        let whole = !key.contains(&b'=');
        whole && (key == b"security.capability" || (is(b"user.") && !is(b"user.overlay.")) || is(b"system.posix_acl_"))
    };
    Ok(all.filter(|(key, _)| travels(key)).collect())
}

/// An archive that could not be written: an output that failed is told from a tree that did.
pub(crate) fn output_error(error: tar::Error) -> Error {
    match error {
        tar::Error::Io(error) => Error::stream(error),
        other => Error::invalid("archive", other),
    }
}

#[cfg(test)]
mod tests;
