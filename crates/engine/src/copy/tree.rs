//! Copying a file or a whole tree from one directory into another, one name at a time. Called by
//! `copy.rs` (cp) and `volumes.rs` (the image's files into a new volume).
//!
//! Either side may belong to a running container that swaps names while we work, so no link is
//! ever followed: each step opens one name in an open directory, and owner, mode and times are set
//! on what was opened. Sockets are left out, as by tar. Holes of sparse files are filled.

use crate::error::{Error, Result};
use kernel::Context;
use kernel::beneath::open_regular;
use kernel::mount::is_mounted_file;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Two descriptors are open for each level; a tree made to exhaust them (or the stack) ends here.
const DEPTH_MAX: usize = 256;
const BUFFER_BYTES: usize = 128 << 10;

/// Who owns the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The numbers of the source.
    Same,
    Fixed {
        uid: u32,
        gid: u32,
    },
}

/// A name in an open directory, `.` for the directory itself.
#[derive(Debug)]
pub struct Place {
    pub directory: OwnedFd,
    pub name: OsString,
}

/// Where something is mounted that the directory does not show; asked with each path on that side.
pub type Mounts<'a> = &'a dyn Fn(&Path) -> Result<Option<Place>>;

/// Where the copy is below `Step::top`, and its own device and inode.
struct FirstCopy {
    path: PathBuf,
    identity: (u64, u64),
}

pub struct Copier<'a> {
    owner: Owner,
    source_mounts: Option<Mounts<'a>>,
    target_mounts: Option<Mounts<'a>>,
    /// Files with several names, by device and inode: the first copy of each.
    linked: HashMap<(u64, u64), FirstCopy>,
    depth: usize,
    buffer: Vec<u8>,
}

impl<'a> Copier<'a> {
    pub fn new(owner: Owner) -> Copier<'a> {
        Copier {
            owner,
            source_mounts: None,
            target_mounts: None,
            linked: HashMap::new(),
            depth: 0,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    pub fn with_source_mounts(mut self, mounts: Mounts<'a>) -> Copier<'a> {
        self.source_mounts = Some(mounts);
        self
    }

    pub fn with_target_mounts(mut self, mounts: Mounts<'a>) -> Copier<'a> {
        self.target_mounts = Some(mounts);
        self
    }

    /// Copies `source` to `target`. The paths are those of the two sides' users, for mounts and
    /// for errors. A file replaces a file; a directory is merged into a directory; anything else
    /// in the way is an error.
    pub fn copy(&mut self, source: &Place, source_path: &Path, target: &Place, target_path: &Path) -> Result<()> {
        let top = target.directory.as_fd();
        let step = Step { top, below_top: PathBuf::from(&target.name), source_path, target_path };
        self.entry(source.directory.as_fd(), &source.name, top, &target.name, &step)
    }

    /// Copies what is in the directory `source` into the directory `target`, which keeps its
    /// attributes.
    pub fn copy_content(
        &mut self,
        source: &Place,
        source_path: &Path,
        target: &Place,
        target_path: &Path,
    ) -> Result<()> {
        let source = open_directory(source.directory.as_fd(), &source.name, source_path)?;
        let target = open_directory(target.directory.as_fd(), &target.name, target_path)?;
        let step = Step { top: target.as_fd(), below_top: PathBuf::new(), source_path, target_path };
        self.children(&source, target.as_fd(), &step)
    }

    /// Gives the directory `target` the owner, mode, times and attributes of `source`.
    pub fn copy_attributes(
        &self,
        source: &Place,
        source_path: &Path,
        target: &Place,
        target_path: &Path,
    ) -> Result<()> {
        let from = open_directory(source.directory.as_fd(), &source.name, source_path)?;
        let to = open_directory(target.directory.as_fd(), &target.name, target_path)?;
        let stat = rustix::fs::fstat(&from).during_at("stat", source_path)?;
        let step = Step { top: to.as_fd(), below_top: PathBuf::new(), source_path, target_path };
        self.attributes(from.as_fd(), OsStr::new("."), to.as_fd(), &stat, &step)
    }

    fn entry(&mut self, from: BorrowedFd, name: &OsStr, to: BorrowedFd, new_name: &OsStr, step: &Step) -> Result<()> {
        let source = lookup(self.source_mounts, step.source_path)?;
        let target = lookup(self.target_mounts, step.target_path)?;
        let (from, name) = source.as_ref().map_or((from, name), |place| (place.directory.as_fd(), &place.name));
        let (to, new_name) = target.as_ref().map_or((to, new_name), |place| (place.directory.as_fd(), &place.name));
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).during_at("lstat", step.source_path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(from, name, to, new_name, step),
            FileType::RegularFile => self.file(from, name, to, new_name, step),
            FileType::Symlink => self.link(from, name, to, new_name, &stat, step),
            FileType::Socket => Ok(()),
            _ => self.special(from, name, to, new_name, &stat, step),
        }
    }

    fn directory(
        &mut self,
        from: BorrowedFd,
        name: &OsStr,
        to: BorrowedFd,
        new_name: &OsStr,
        step: &Step,
    ) -> Result<()> {
        let source = open_directory(from, name, step.source_path)?;
        match rustix::fs::mkdirat(to, new_name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there =
                    rustix::fs::statat(to, new_name, AtFlags::SYMLINK_NOFOLLOW).during_at("lstat", step.target_path)?;
                if !FileType::from_raw_mode(there.st_mode).is_dir() {
                    return Err(mixed("non-directory", step.target_path, "directory", step.source_path));
                }
            }
            Err(errno) => return Err(kernel::Error::at("make directory", step.target_path, errno).into()),
        }
        let target = open_directory(to, new_name, step.target_path)?;
        self.children(&source, target.as_fd(), step)?;
        // After the children: making them changes its time, and its mode might forbid it.
        let stat = rustix::fs::fstat(&source).during_at("stat", step.source_path)?;
        self.attributes(from, name, target.as_fd(), &stat, step)
    }

    fn children(&mut self, source: &OwnedFd, target: BorrowedFd, step: &Step) -> Result<()> {
        if self.depth == DEPTH_MAX {
            return Err(Error::Invalid(format!(
                "{}: more than {DEPTH_MAX} directories deep",
                step.source_path.display()
            )));
        }
        self.depth += 1;
        for entry in Dir::read_from(source).during_at("list", step.source_path)? {
            let entry = entry.during_at("list", step.source_path)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let step = Step {
                top: step.top,
                below_top: step.below_top.join(name),
                source_path: &step.source_path.join(name),
                target_path: &step.target_path.join(name),
            };
            self.entry(source.as_fd(), name, target, name, &step)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn file(&mut self, from: BorrowedFd, name: &OsStr, to: BorrowedFd, new_name: &OsStr, step: &Step) -> Result<()> {
        // The name may have become a FIFO or a device since it was looked at.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(from, name, flags, Mode::empty()).during_at("open", step.source_path)?;
        let source = match open_regular(&found) {
            Err(Errno::INVAL) => {
                let path = step.source_path.display();
                return Err(Error::Conflict(format!("{path} changed while it was copied: try again")));
            }
            source => source.during_at("open", step.source_path)?,
        };
        let stat = rustix::fs::fstat(&source).during_at("stat", step.source_path)?;
        if stat.st_nlink > 1 && self.link_again(&stat, to, new_name, step)? {
            return Ok(());
        }
        let target = create_file(to, new_name, step)?;
        if stat.st_nlink > 1 {
            let identity = identity(&rustix::fs::fstat(&target).during_at("stat", step.target_path)?);
            self.linked.insert(self::identity(&stat), FirstCopy { path: step.below_top.clone(), identity });
        }
        self.data(&source, &target, step)?;
        self.attributes(from, name, target.as_fd(), &stat, step)
    }

    /// True when the file had been copied under another name and could be linked to that.
    fn link_again(&mut self, stat: &Stat, to: BorrowedFd, new_name: &OsStr, step: &Step) -> Result<bool> {
        let Some(first) = self.linked.get(&identity(stat)) else { return Ok(false) };
        let (Some(parent), Some(name)) = (first.path.parent(), first.path.file_name()) else { return Ok(false) };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let Ok(parent) = kernel::beneath::open_without_links(step.top, parent, flags, Mode::empty()) else {
            return Ok(false);
        };
        // A mount may hide the copy and show another file of that name.
        let there = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW);
        if !there.is_ok_and(|there| identity(&there) == first.identity) {
            return Ok(false);
        }
        make_room(to, new_name, step)?;
        // On another file system it cannot be linked: a copy it is, then.
        Ok(rustix::fs::linkat(parent, name, to, new_name, AtFlags::empty()).is_ok())
    }

    fn data(&mut self, source: &OwnedFd, target: &OwnedFd, step: &Step) -> Result<()> {
        let (mut source, mut target) = (Plain(source), Plain(target));
        loop {
            // Within the kernel where both file systems can, with shared blocks where they have them.
            match rustix::fs::copy_file_range(source.0, None, target.0, None, 1 << 30) {
                // 0 can also mean "not for this file" (/proc): reading decides.
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => break,
                Err(errno) => return Err(kernel::Error::at("write", step.target_path, errno).into()),
            }
        }
        loop {
            match source.read(&mut self.buffer).during_at("read", step.source_path)? {
                0 => return Ok(()),
                count => target.write_all(&self.buffer[..count]).during_at("write", step.target_path)?,
            }
        }
    }

    fn link(
        &mut self,
        from: BorrowedFd,
        name: &OsStr,
        to: BorrowedFd,
        new_name: &OsStr,
        stat: &Stat,
        step: &Step,
    ) -> Result<()> {
        let text = rustix::fs::readlinkat(from, name, Vec::new()).during_at("read link", step.source_path)?;
        make_room(to, new_name, step)?;
        rustix::fs::symlinkat(text, to, new_name).during_at("make link", step.target_path)?;
        let (uid, gid) = self.owner(stat);
        rustix::fs::chownat(to, new_name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .during_at("set owner of", step.target_path)?;
        rustix::fs::utimensat(to, new_name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
            .during_at("set time of", step.target_path)?;
        Ok(())
    }

    /// FIFOs and devices.
    fn special(
        &mut self,
        from: BorrowedFd,
        name: &OsStr,
        to: BorrowedFd,
        new_name: &OsStr,
        stat: &Stat,
        step: &Step,
    ) -> Result<()> {
        make_room(to, new_name, step)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        rustix::fs::mknodat(to, new_name, kind, Mode::empty(), stat.st_rdev).during_at("make", step.target_path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(to, new_name, flags, Mode::empty()).during_at("open", step.target_path)?;
        self.attributes(from, name, target.as_fd(), stat, step)
    }

    /// Owner first: changing it drops set-user-id bits and capabilities. The bits stay dropped
    /// where the owner is another one than at the source, as with cp(1): a program that was to run
    /// as its owner must not come to run as somebody else.
    fn attributes(&self, from: BorrowedFd, name: &OsStr, target: BorrowedFd, stat: &Stat, step: &Step) -> Result<()> {
        let (uid, gid) = self.owner(stat);
        // Works on O_PATH descriptors, too, unlike the f… calls.
        let path = format!("/proc/self/fd/{}", target.as_raw_fd());
        rustix::fs::chown(&path, Some(uid), Some(gid)).during_at("set owner of", step.target_path)?;
        for (key, value) in kernel::xattr::list_at(from, name)? {
            if !is_copied(key.to_bytes()) {
                continue;
            }
            match rustix::fs::setxattr(&path, &key, &value, rustix::fs::XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(errno) => return Err(kernel::Error::at("set attribute of", step.target_path, errno).into()),
            }
        }
        let same = uid.as_raw() == stat.st_uid && gid.as_raw() == stat.st_gid;
        let mode = stat.st_mode & if same { 0o7777 } else { 0o1777 };
        rustix::fs::chmod(&path, Mode::from_raw_mode(mode)).during_at("set mode of", step.target_path)?;
        rustix::fs::utimensat(rustix::fs::CWD, &path, &times(stat), AtFlags::empty())
            .during_at("set time of", step.target_path)?;
        Ok(())
    }

    fn owner(&self, stat: &Stat) -> (Uid, Gid) {
        match self.owner {
            Owner::Same => (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid)),
            Owner::Fixed { uid, gid } => (Uid::from_raw(uid), Gid::from_raw(gid)),
        }
    }
}

/// Where the walk is.
struct Step<'a> {
    top: BorrowedFd<'a>,
    below_top: PathBuf,
    source_path: &'a Path,
    target_path: &'a Path,
}

/// Read and Write on a borrowed descriptor.
struct Plain<'a>(&'a OwnedFd);

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match rustix::io::read(self.0, &mut *buffer) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

impl Write for Plain<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(rustix::io::write(self.0, bytes)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn lookup(mounts: Option<Mounts<'_>>, path: &Path) -> Result<Option<Place>> {
    mounts.map_or(Ok(None), |mounts| mounts(path))
}

fn open_directory(directory: BorrowedFd, name: &OsStr, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty()).during_at("open", path)?)
}

/// A new file in place of an old one; the old one itself where it is a mount (`/etc/hosts`).
fn create_file(to: BorrowedFd, name: &OsStr, step: &Step) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let created = if is_mounted_file(to, name) {
        rustix::fs::openat(to, name, flags | OFlags::TRUNC | OFlags::NONBLOCK, Mode::empty())
    } else {
        make_room(to, name, step)?;
        rustix::fs::openat(to, name, flags | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR)
    };
    Ok(created.during_at("create", step.target_path)?)
}

/// Removes what has the name, unless it is a directory or a mount: to unlink a mount of another
/// namespace is no error to the kernel, it would take the mount away from the container.
fn make_room(to: BorrowedFd, name: &OsStr, step: &Step) -> Result<()> {
    if is_mounted_file(to, name) {
        return Err(kernel::Error::at("replace", step.target_path, Errno::BUSY).into());
    }
    match rustix::fs::unlinkat(to, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(mixed("directory", step.target_path, "non-directory", step.source_path)),
        Err(errno) => Err(kernel::Error::at("replace", step.target_path, errno).into()),
    }
}

fn mixed(what: &str, target: &Path, other: &str, source: &Path) -> Error {
    Error::Invalid(format!("cannot overwrite {what} {:?} with {other} {:?}", target, source))
}

/// Not what belongs to one file system or one machine's labels.
fn is_copied(key: &[u8]) -> bool {
    key.starts_with(b"user.") || key.starts_with(b"system.posix_acl_") || key == b"security.capability"
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("brig-tree-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(path.join("from")).unwrap();
            std::fs::create_dir_all(path.join("to")).unwrap();
            Scratch(path)
        }

        fn from(&self, name: &str) -> PathBuf {
            self.0.join("from").join(name)
        }

        fn to(&self, name: &str) -> PathBuf {
            self.0.join("to").join(name)
        }

        fn place(&self, directory: &str, name: &str) -> Place {
            Place { directory: std::fs::File::open(self.0.join(directory)).unwrap().into(), name: name.into() }
        }

        fn copy(&self, name: &str, owner: Owner) -> Result<()> {
            let (source, target) = (self.place("from", name), self.place("to", name));
            Copier::new(owner).copy(&source, &Path::new("/").join(name), &target, &Path::new("/").join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn trees_come_whole() {
        let scratch = Scratch::new("whole");
        std::fs::create_dir_all(scratch.from("d/e")).unwrap();
        std::fs::write(scratch.from("d/file"), vec![7; 300_000]).unwrap();
        std::fs::hard_link(scratch.from("d/file"), scratch.from("d/e/same")).unwrap();
        symlink("../nowhere", scratch.from("d/link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, scratch.from("d/fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(scratch.from("d/socket")).unwrap();
        std::fs::set_permissions(scratch.from("d/e"), PermissionsExt::from_mode(0o1751)).unwrap();
        scratch.copy("d", Owner::Same).unwrap();
        assert_eq!(std::fs::read(scratch.to("d/file")).unwrap(), vec![7; 300_000]);
        let inode = |name: &str| std::fs::metadata(scratch.to(name)).unwrap().ino();
        assert_eq!(inode("d/file"), inode("d/e/same"));
        assert_eq!(std::fs::read_link(scratch.to("d/link")).unwrap(), Path::new("../nowhere"));
        assert_eq!(std::fs::metadata(scratch.to("d/fifo")).unwrap().mode(), 0o010400);
        assert!(!scratch.to("d/socket").exists());
        assert_eq!(std::fs::metadata(scratch.to("d/e")).unwrap().mode() & 0o7777, 0o1751);
        let time = |path: PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(time(scratch.from("d")), time(scratch.to("d")));
        // Once more over what is there.
        scratch.copy("d", Owner::Same).unwrap();
    }

    #[test]
    fn owners_and_their_bits() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new("owner");
        for (name, mode) in [("su", 0o4755), ("plain", 0o640)] {
            std::fs::write(scratch.from(name), "").unwrap();
            std::os::unix::fs::chown(scratch.from(name), Some(1000), Some(1001)).unwrap();
            std::fs::set_permissions(scratch.from(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let look = |name: &str| {
            let metadata = std::fs::metadata(scratch.to(name)).unwrap();
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
        };
        scratch.copy("su", Owner::Same).unwrap();
        assert_eq!(look("su"), (1000, 1001, 0o4755));
        scratch.copy("su", Owner::Fixed { uid: 0, gid: 0 }).unwrap();
        assert_eq!(look("su"), (0, 0, 0o755));
        scratch.copy("plain", Owner::Fixed { uid: 5, gid: 6 }).unwrap();
        assert_eq!(look("plain"), (5, 6, 0o640));
    }

    #[test]
    fn links_in_the_way_are_replaced_or_refused_and_never_followed() {
        let scratch = Scratch::new("links");
        std::fs::create_dir(scratch.0.join("outside")).unwrap();
        std::fs::write(scratch.0.join("outside/file"), "safe").unwrap();
        std::fs::write(scratch.from("file"), "new").unwrap();
        symlink("../outside/file", scratch.to("file")).unwrap();
        scratch.copy("file", Owner::Same).unwrap();
        assert_eq!(std::fs::read(scratch.0.join("outside/file")).unwrap(), b"safe");
        assert_eq!(std::fs::read(scratch.to("file")).unwrap(), b"new");
        std::fs::create_dir(scratch.from("d")).unwrap();
        std::fs::write(scratch.from("d/file"), "new").unwrap();
        symlink("../outside", scratch.to("d")).unwrap();
        let error = scratch.copy("d", Owner::Same).unwrap_err().to_string();
        assert_eq!(error, "cannot overwrite non-directory \"/d\" with directory \"/d\"");
        assert_eq!(std::fs::read(scratch.0.join("outside/file")).unwrap(), b"safe");
    }

    #[test]
    fn a_file_does_not_replace_a_directory() {
        let scratch = Scratch::new("mixed");
        std::fs::write(scratch.from("x"), "").unwrap();
        std::fs::create_dir(scratch.to("x")).unwrap();
        let error = scratch.copy("x", Owner::Same).unwrap_err().to_string();
        assert_eq!(error, "cannot overwrite directory \"/x\" with non-directory \"/x\"");
    }

    #[test]
    fn a_mounted_file_is_written_and_not_replaced() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new("mounted");
        std::fs::write(scratch.0.join("mounted"), "old content").unwrap();
        for name in ["file", "link"] {
            std::fs::write(scratch.to(name), "below").unwrap();
            rustix::mount::mount_bind(scratch.0.join("mounted"), scratch.to(name)).unwrap();
        }
        std::fs::write(scratch.from("file"), "new").unwrap();
        symlink("x", scratch.from("link")).unwrap();
        let (file, link) = (scratch.copy("file", Owner::Same), scratch.copy("link", Owner::Same));
        for name in ["file", "link"] {
            rustix::mount::unmount(scratch.to(name), rustix::mount::UnmountFlags::DETACH).unwrap();
        }
        file.unwrap();
        assert!(link.unwrap_err().to_string().starts_with("replace /link: "));
        assert_eq!(std::fs::read(scratch.0.join("mounted")).unwrap(), b"new");
        assert_eq!(std::fs::read(scratch.to("file")).unwrap(), b"below");
    }

    #[test]
    fn mounts_show_through() {
        let scratch = Scratch::new("mounts");
        std::fs::create_dir_all(scratch.from("d/m")).unwrap();
        std::fs::create_dir(scratch.0.join("volume")).unwrap();
        std::fs::write(scratch.0.join("volume/inside"), "v").unwrap();
        let mounts = |path: &Path| Ok((path == Path::new("/d/m")).then(|| scratch.place("volume", ".")));
        let (source, target) = (scratch.place("from", "d"), scratch.place("to", "d"));
        let mut copier = Copier::new(Owner::Same).with_source_mounts(&mounts);
        copier.copy(&source, Path::new("/d"), &target, Path::new("/d")).unwrap();
        assert_eq!(std::fs::read(scratch.to("d/m/inside")).unwrap(), b"v");
    }

    #[test]
    fn files_of_unknown_length_and_deep_trees() {
        let scratch = Scratch::new("special");
        let source = Place { directory: std::fs::File::open("/proc").unwrap().into(), name: "version".into() };
        let target = scratch.place("to", "version");
        Copier::new(Owner::Same).copy(&source, Path::new("/proc/version"), &target, Path::new("/version")).unwrap();
        assert_eq!(std::fs::read(scratch.to("version")).unwrap(), std::fs::read("/proc/version").unwrap());
        let mut deep = scratch.from("d");
        for _ in 0..DEPTH_MAX + 5 {
            deep.push("d");
        }
        std::fs::create_dir_all(deep).unwrap();
        let error = scratch.copy("d", Owner::Same).unwrap_err().to_string();
        assert!(error.contains("deep") || error.contains("open files"), "{error}");
    }
}
