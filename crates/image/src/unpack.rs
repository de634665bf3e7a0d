//! Archive → directory, without ever leaving it. Layers, `cp` into a container and `ADD` come
//! through here; the archive is not trusted.
//!
//! Every name is cleaned of `.` and `..` as text (one that leads out is refused), its directory is
//! opened beneath the root with openat2, and the last component is created in that directory
//! without following a link. Directories get their times last, since filling them changes them.

use crate::error::{Error, Result};
use crate::tar::{self, Entry, Kind, Reader};
use crate::whiteout::{Whiteout, whiteout};
use kernel::beneath::Root;
use kernel::mount::is_mounted_file;
use kernel::{Context, overlay, xattr};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How to unpack.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Directory below the root that the archive's names start from.
    pub base: PathBuf,
    /// Layers: `.wh.x` becomes what overlay takes for "x is deleted".
    pub whiteouts: bool,
    /// Everything belongs to this user and group, rather than to whom the archive says.
    pub owner: Option<(u32, u32)>,
    /// `cp`: refuse to put a directory where there is a file, or the other way round, and leave
    /// the owner and mode of the base as they are.
    pub keep_kinds: bool,
}

impl Options {
    pub(crate) fn layer() -> Options {
        Options { whiteouts: true, ..Options::default() }
    }
}

/// Unpacks an uncompressed archive beneath `root`; returns the sum of its files' sizes in bytes.
/// On an error what has been unpacked stays: callers unpack into something temporary, or accept
/// half a `cp`.
pub fn unpack(archive: &mut dyn Read, root: &Root, options: &Options) -> Result<u64> {
    let mut unpacker = Unpacker { root, options, parent: None, directories: Vec::new(), size: 0 };
    let mut reader = Reader::new(archive);
    while let Some(entry) = reader.next_entry().map_err(archive_error)? {
        unpacker.entry(&entry, &mut reader)?;
    }
    unpacker.finish()?;
    Ok(unpacker.size)
}

pub(crate) fn archive_error(error: tar::Error) -> Error {
    match error {
        tar::Error::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => Error::stream(error),
        other => Error::invalid("archive", other),
    }
}

/// A directory that the archive has an entry for.
struct Mentioned {
    path: PathBuf,
    inode: u64,
    mtime: (i64, u32),
}

/// Cleans a name as text. What leads out is refused, since no honest archive has it.
pub(crate) fn clean(name: &[u8]) -> Result<PathBuf> {
    tar::clean(name).ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        Error::invalid("archive", format_args!("has the entry {name:?}, which leads outside"))
    })
}

struct Unpacker<'a> {
    root: &'a Root,
    options: &'a Options,
    /// The directory of the last entry: the next one is mostly in the same.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Where times must be set at the end.
    directories: Vec<Mentioned>,
    size: u64,
}

impl Unpacker<'_> {
    fn entry(&mut self, entry: &Entry, data: &mut Reader<&mut dyn Read>) -> Result<()> {
        let path = self.clean(&entry.path)?;
        let Some(name) = path.file_name().filter(|_| path != self.options.base) else {
            return self.base_itself(entry, &path);
        };
        let parent_path = path.parent().unwrap_or(Path::new(""));
        if self.options.whiteouts
            && let Some(asked) = whiteout(name)?
        {
            return self.whiteout(parent_path, &asked);
        }
        if entry.kind == Kind::Directory {
            // The cached descriptor stays right for its path unless an entry replaces a directory.
            self.make_directory(parent_path, name, &path, entry)
        } else {
            self.make_other(parent_path, name, entry, data)
        }
        .map_err(|error| with_path(error, &path))
    }

    /// Absolute names count from the base.
    fn clean(&self, name: &[u8]) -> Result<PathBuf> {
        Ok(self.options.base.iter().chain(&clean(name)?).collect())
    }

    /// The entry for `./`.
    fn base_itself(&mut self, entry: &Entry, path: &Path) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(Error::invalid("archive", "has an entry for its root that is no directory"));
        }
        // `cp` fills a directory of the container, which stays as it is.
        if self.options.keep_kinds {
            return Ok(());
        }
        let fd = self.parent(path)?.as_fd().try_clone_to_owned().during("copy descriptor")?;
        self.set_directory(&fd, path, entry)
    }

    /// Opens a directory, creating what the archive does not mention.
    fn parent(&mut self, path: &Path) -> Result<&OwnedFd> {
        let cached = self.parent.take().filter(|(known, _)| known == path);
        let (path, fd) = match cached {
            Some(cached) => cached,
            None => {
                let fd = match self.root.open_dir(path) {
                    Err(error) if error.errno == Errno::NOENT => {
                        self.root.create_dir_all(path, Mode::from_raw_mode(0o755))?
                    }
                    result => result?,
                };
                (path.to_owned(), fd)
            }
        };
        let (_, fd) = self.parent.insert((path, fd));
        Ok(fd)
    }

    fn make_directory(&mut self, parent_path: &Path, name: &OsStr, path: &Path, entry: &Entry) -> Result<()> {
        let keep_kinds = self.options.keep_kinds;
        let parent = self.parent(parent_path)?;
        let mut hides = false;
        match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
            Err(Errno::EXIST) => {
                let existing = stat(parent, name)?;
                if !FileType::from_raw_mode(existing.st_mode).is_dir() {
                    if keep_kinds {
                        return Err(Error::Argument(format!("cannot overwrite non-directory {path:?} with directory")));
                    }
                    // A whiteout of the same layer: what is below must stay hidden.
                    hides = is_whiteout(&existing);
                    // Hence `self.parent` is set anew below: it may have led through a link of this name.
                    rustix::fs::unlinkat(parent, name, AtFlags::empty()).during("replace")?;
                    rustix::fs::mkdirat(parent, name, Mode::RWXU).during("create directory")?;
                }
            }
            result => result.during("create directory")?,
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).during("open")?;
        if hides && self.options.whiteouts {
            set_opaque(&fd)?;
        }
        self.set_directory(&fd, path, entry)?;
        // The entries that follow are mostly in it.
        self.parent = Some((path.to_owned(), fd));
        Ok(())
    }

    fn set_directory(&mut self, fd: &OwnedFd, path: &Path, entry: &Entry) -> Result<()> {
        let (uid, gid) = self.owner(entry);
        rustix::fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH).during("change owner")?;
        // By the name ".": the descriptor may be O_PATH, on which fchmod(2) does not work.
        rustix::fs::chmodat(fd, ".", Mode::from_raw_mode(entry.mode), AtFlags::empty()).during("change mode")?;
        set_xattrs(fd, ".".as_ref(), entry)?;
        let inode = rustix::fs::fstat(fd).during("stat")?.st_ino;
        self.directories.push(Mentioned { path: path.to_owned(), inode, mtime: entry.mtime });
        Ok(())
    }

    fn make_other(
        &mut self,
        parent_path: &Path,
        name: &OsStr,
        entry: &Entry,
        data: &mut Reader<&mut dyn Read>,
    ) -> Result<()> {
        let link_source = match entry.kind {
            Kind::Hardlink => {
                let target = self.clean(&entry.link)?;
                Some(self.root.parent_of(&target).map_err(|e| link_error(entry, e))?)
            }
            _ => None,
        };
        let keep_kinds = self.options.keep_kinds;
        let (uid, gid) = self.owner(entry);
        let parent = self.parent(parent_path)?;
        let mut replaced = false;
        loop {
            match create(parent, name, entry, link_source.as_ref()) {
                Ok(created) => {
                    if let Some(file) = created {
                        fill_file(&file, entry, data)?;
                        set_file(&file, uid, gid, entry)?;
                        // Holes cost nothing: a few sparse files may claim more than there are bytes.
                        self.size = self.size.saturating_add(entry.size);
                    } else if entry.kind != Kind::Hardlink {
                        set_special(parent, name, uid, gid, entry)?;
                    }
                    // The descriptor may have been of what is gone now.
                    if replaced {
                        self.parent = None;
                    }
                    return Ok(());
                }
                Err(Errno::EXIST) if !replaced => {
                    replaced = true;
                    if link_source.as_ref().is_some_and(|source| is_same(source, parent, name)) {
                        return Ok(());
                    }
                    if keep_kinds && is_mounted_file(parent, name) {
                        return write_in_place(parent, name, entry, data);
                    }
                    remove_existing(parent, name, keep_kinds)?;
                }
                Err(Errno::NOENT) if entry.kind == Kind::Hardlink => {
                    return Err(link_error(entry, kernel::Error::new("link", Errno::NOENT)));
                }
                Err(errno) => return Err(kernel::Error::new(format!("create {}", word(entry.kind)), errno).into()),
            }
        }
    }

    /// Marks `x` as deleted, or everything below a directory.
    fn whiteout(&mut self, parent_path: &Path, asked: &Whiteout<'_>) -> Result<()> {
        let parent = self.parent(parent_path)?;
        let hidden = match asked {
            Whiteout::Opaque => return set_opaque(parent),
            Whiteout::Ignored => return Ok(()),
            Whiteout::Of(hidden) => *hidden,
        };
        match rustix::fs::mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            // The same layer brings it anew: that hides a lower file by itself, and a lower
            // directory when it is opaque.
            Err(Errno::EXIST) => {
                let existing = stat(parent, hidden)?;
                if FileType::from_raw_mode(existing.st_mode).is_dir() {
                    set_opaque_at(parent, hidden)?;
                }
                Ok(())
            }
            result => Ok(result.during_at("create whiteout", parent_path.join(hidden))?),
        }
    }

    fn owner(&self, entry: &Entry) -> (Option<Uid>, Option<Gid>) {
        let (uid, gid) = self.options.owner.unwrap_or((entry.uid, entry.gid));
        (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
    }

    /// Times of directories, when nothing will be created in them any more.
    fn finish(&mut self) -> Result<()> {
        self.parent = None;
        for Mentioned { path, inode, mtime } in std::mem::take(&mut self.directories) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let directory = match self.root.open_file(&path, flags, Mode::empty()) {
                // A later entry has put something else in its place, or in the place of what led to it.
                Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                result => result?,
            };
            if rustix::fs::fstat(&directory).during("stat")?.st_ino == inode {
                rustix::fs::futimens(&directory, &times(mtime)).during_at("set times of", &path)?;
            }
        }
        Ok(())
    }
}

/// Creates the file without following anything; a regular one is returned open.
fn create(
    parent: &OwnedFd,
    name: &OsStr,
    entry: &Entry,
    link_source: Option<&(OwnedFd, OsString)>,
) -> rustix::io::Result<Option<File>> {
    let private = Mode::RUSR | Mode::WUSR;
    let node = |kind, device| rustix::fs::mknodat(parent, name, kind, private, device).map(|()| None);
    let device = || rustix::fs::makedev(entry.device_major, entry.device_minor);
    match entry.kind {
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(parent, name, flags, private).map(|fd| Some(File::from(fd)))
        }
        Kind::Symlink => rustix::fs::symlinkat(entry.link.as_slice(), parent, name).map(|()| None),
        Kind::Hardlink => match link_source {
            Some((source_parent, source)) => {
                rustix::fs::linkat(source_parent, source, parent, name, AtFlags::empty()).map(|()| None)
            }
            None => Err(Errno::INVAL),
        },
        Kind::Fifo => node(FileType::Fifo, 0),
        Kind::CharDevice => node(FileType::CharacterDevice, device()),
        Kind::BlockDevice => node(FileType::BlockDevice, device()),
        Kind::Directory => Err(Errno::ISDIR),
    }
}

/// The contents of a file that is mounted in the container, such as /etc/hosts: its place cannot be taken.
fn write_in_place(parent: &OwnedFd, name: &OsStr, entry: &Entry, data: &mut Reader<&mut dyn Read>) -> Result<()> {
    if entry.kind != Kind::File {
        return Err(kernel::Error::at("replace what is mounted on", Path::new(name), Errno::BUSY).into());
    }
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, Mode::empty()).during("open")?;
    fill_file(&File::from(file), entry, data)
}

/// Content, at its places when the file is sparse. Memory use does not depend on the size.
fn fill_file(file: &File, entry: &Entry, data: &mut Reader<&mut dyn Read>) -> Result<()> {
    let mut buffer = vec![0; (64 << 10).min(entry.size as usize).max(1)];
    let whole = [tar::Extent { offset: 0, length: entry.size }];
    for extent in entry.extents.as_deref().unwrap_or(&whole) {
        let (mut offset, end) = (extent.offset, extent.offset + extent.length);
        while offset < end {
            let want = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
            let count = match data.read(&mut buffer[..want]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(|error| archive_error(tar::Error::Io(error)))?,
            };
            if count == 0 {
                // The headers promised more: sizes are checked when they are read.
                return Err(Error::invalid("archive", "ends in the middle of a file"));
            }
            file.write_all_at(&buffer[..count], offset).during("write")?;
            offset += count as u64;
        }
    }
    if entry.extents.is_some() {
        file.set_len(entry.size).during("set size")?;
    }
    Ok(())
}

/// Owner before mode, since a change of owner clears setuid; attributes after both, since a
/// change of owner clears security.capability too; time last.
fn set_file(file: &File, uid: Option<Uid>, gid: Option<Gid>, entry: &Entry) -> Result<()> {
    rustix::fs::fchown(file, uid, gid).during("change owner")?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode)).during("change mode")?;
    for (key, value) in wanted_xattrs(entry) {
        ignore_unsupported(xattr::set(file, &key, value))?;
    }
    Ok(rustix::fs::futimens(file, &times(entry.mtime)).during("set times")?)
}

/// The same for what cannot be opened.
fn set_special(parent: &OwnedFd, name: &OsStr, uid: Option<Uid>, gid: Option<Gid>, entry: &Entry) -> Result<()> {
    rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).during("change owner")?;
    if entry.kind != Kind::Symlink {
        // By descriptor: in a running container the name may be a link by now, which would lead to the host's files.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).during("open")?;
        if FileType::from_raw_mode(rustix::fs::fstat(&fd).during("stat")?.st_mode).is_symlink() {
            return Err(kernel::Error::at("change mode of changing", Path::new(name), Errno::AGAIN).into());
        }
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        rustix::fs::chmod(path, Mode::from_raw_mode(entry.mode)).during("change mode")?;
    }
    set_xattrs(parent, name, entry)?;
    Ok(rustix::fs::utimensat(parent, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW).during("set times")?)
}

fn set_xattrs(parent: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<()> {
    for (key, value) in wanted_xattrs(entry) {
        ignore_unsupported(xattr::set_at(parent, name, &key, value))?;
    }
    Ok(())
}

/// Overlay's own attributes would let an image lie to the kernel about its layers.
pub(crate) fn wanted_xattrs(entry: &Entry) -> impl Iterator<Item = (CString, &[u8])> {
    entry.xattrs.iter().filter_map(|(key, value)| {
        let own = key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.");
        let key = CString::new(key.as_slice()).ok()?;
        (!own).then_some((key, value.as_slice()))
    })
}

/// As docker: an attribute that this file system or security module does not take is left out.
fn ignore_unsupported(result: kernel::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.errno == Errno::OPNOTSUPP => Ok(()),
        // security.selinux where SELinux rules otherwise, user.* on a link or device.
        Err(error) if error.errno == Errno::PERM => {
            let capability = error.path.as_deref() == Some(Path::new("security.capability"));
            if capability { Err(error.into()) } else { Ok(()) }
        }
        result => Ok(result?),
    }
}

fn set_opaque(directory: &OwnedFd) -> Result<()> {
    Ok(xattr::set_at(directory, ".".as_ref(), overlay::OPAQUE, b"y")?)
}

fn set_opaque_at(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    Ok(xattr::set_at(parent, name, overlay::OPAQUE, b"y")?)
}

fn stat(parent: &OwnedFd, name: &OsStr) -> Result<rustix::fs::Stat> {
    Ok(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).during_at("stat", name)?)
}

/// Whether overlay takes it for a deletion.
pub(crate) fn is_whiteout(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_char_device() && stat.st_rdev == 0
}

/// A hard link to itself, twice in one archive.
fn is_same((source_parent, source): &(OwnedFd, OsString), parent: &OwnedFd, name: &OsStr) -> bool {
    match (stat(source_parent, source), stat(parent, name)) {
        (Ok(one), Ok(other)) => one.st_dev == other.st_dev && one.st_ino == other.st_ino,
        _ => false,
    }
}

/// Makes room for an entry that is no directory.
fn remove_existing(parent: &OwnedFd, name: &OsStr, keep_kinds: bool) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) if keep_kinds => {
            Err(Error::Argument(format!("cannot overwrite directory {name:?} with non-directory")))
        }
        Err(Errno::ISDIR) => Ok(kernel::remove::tree_at(parent, Path::new(name))?),
        result => Ok(result.during_at("replace", name)?),
    }
}

fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Hardlink => "hard link",
        Kind::Symlink => "link",
        Kind::CharDevice | Kind::BlockDevice => "device",
        Kind::Directory => "directory",
        Kind::Fifo => "fifo",
    }
}

pub(crate) fn link_error(entry: &Entry, error: kernel::Error) -> Error {
    let (path, link) = (String::from_utf8_lossy(&entry.path), String::from_utf8_lossy(&entry.link));
    match error.errno {
        Errno::NOENT | Errno::NOTDIR => {
            Error::invalid("archive", format_args!("links {path:?} to {link:?}, which it does not have"))
        }
        _ => error.into(),
    }
}

/// Errors of calls on descriptors know no path.
fn with_path(error: Error, path: &Path) -> Error {
    match error {
        Error::Io(kernel::Error { action, path: None, errno }) => {
            Error::Io(kernel::Error { action, path: Some(path.to_owned()), errno })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
