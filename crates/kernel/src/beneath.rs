//! Opening paths that an image, a container or a user chose, beneath a root directory
//! (openat2(2), Linux 5.6): links, `..` and absolute names resolve as if the root were `/`, and
//! magic links of /proc are refused. Called by whoever touches a rootfs or a layer.
//!
//! Nothing here checks a path and then uses it: each function returns a descriptor of what it
//! found, and the caller works on that.

use crate::error::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// As many as the kernel follows itself (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// A directory out of which no lookup leads.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Root {
    /// Opens a directory of our own; `path` itself is trusted.
    pub fn open(path: &Path) -> Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).during_at("open", path)?;
        Ok(Root { fd })
    }

    /// Takes a descriptor of a directory, for example a detached mount; `O_PATH` is enough.
    pub fn from_fd(fd: OwnedFd) -> Root {
        Root { fd }
    }

    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Opens `path` below the root, close-on-exec. `mode` counts when `flags` create a file.
    /// The last component is followed unless `flags` has `NOFOLLOW`.
    pub fn open_file(&self, path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        open_in(&self.fd, path, flags, mode).during_at("open", path)
    }

    /// A descriptor (`O_PATH`) of the directory at `path`, links followed.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open_file(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    /// Splits into the (opened) parent directory and the last name, for calls that act on
    /// names. For the root itself, or a path that ends in `..`, the name is `.`.
    pub fn parent_of(&self, path: impl AsRef<Path>) -> Result<(OwnedFd, OsString)> {
        let path = path.as_ref();
        match path.file_name() {
            Some(name) => {
                let parent = path.parent().unwrap_or(Path::new(""));
                Ok((self.open_dir(or_dot(parent))?, name.to_owned()))
            }
            None => Ok((self.open_dir(or_dot(path))?, ".".into())),
        }
    }

    /// Opens the directory at `path` and creates what is missing of it, with `mode` (less the
    /// umask). Where a link leads to nothing its target is created, inside the root.
    pub fn create_dir_all(&self, path: impl AsRef<Path>, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match open_in(&self.fd, or_dot(path), flags, Mode::empty()) {
            Err(Errno::NOENT) => self.create_missing(path, mode).during_at("create directory", path),
            other => other.during_at("open", path),
        }
    }

    /// A descriptor of what is at `path`; an empty file is created there if it is missing, with the directories above it.
    /// Where a link leads to nothing its target is created, inside the root.
    pub fn create_file_all(&self, path: impl AsRef<Path>, mode: Mode, directory_mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        // Only a file of our own making is opened: to open somebody's device already does something.
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
        let mut here = path.to_owned();
        for _ in 0..LINKS_MAX {
            let (Some(name), Some(above)) = (here.file_name(), here.parent()) else {
                return Err(Errno::ISDIR).during_at("create file", path);
            };
            let parent = self.create_dir_all(above, directory_mode)?;
            match rustix::fs::openat(&parent, name, flags, mode) {
                Err(Errno::EXIST) => {}
                opened => return opened.during_at("create file", path),
            }
            match rustix::fs::readlinkat(&parent, name, Vec::new()) {
                // The text of a link counts from where it lies.
                Ok(target) => here = above.join(OsStr::from_bytes(target.as_bytes())),
                // No link.
                Err(Errno::INVAL) => return open_entry(&parent, name).during_at("open", path),
                Err(errno) => return Err(errno).during_at("read link", path),
            }
        }
        Err(Errno::LOOP).during_at("create file", path)
    }

    /// Walks component by component. Each step holds a descriptor and follows no link by
    /// itself, so a rename under our feet can mislead the walk but not lead it outside.
    fn create_missing(&self, path: &Path, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let mut stack: Vec<OwnedFd> = Vec::new();
        let mut todo: Vec<OsString> = reversed_components(path);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                stack.pop();
                continue;
            }
            let parent = stack.last().unwrap_or(&self.fd);
            let here = match open_entry(parent, &name) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(parent, &name, mode) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                    open_entry(parent, &name)?
                }
                other => other?,
            };
            let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&here)?.st_mode);
            if kind.is_dir() {
                stack.push(here);
            } else if kind.is_symlink() {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                let target = rustix::fs::readlinkat(&here, "", Vec::new())?.into_bytes();
                let target = OsString::from_vec(target);
                if target.as_bytes().starts_with(b"/") {
                    stack.clear();
                }
                todo.extend(reversed_components(Path::new(&target)));
            } else {
                return Err(Errno::NOTDIR);
            }
        }
        match stack.pop() {
            Some(fd) => Ok(fd),
            None => open_in(&self.fd, Path::new("."), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()),
        }
    }
}

/// openat2 with `RESOLVE_IN_ROOT`. The kernel answers `EAGAIN` when something was renamed while
/// it resolved a `..`; that passes, but an attacker who renames for ever must not hold us for ever.
fn open_in(root: &OwnedFd, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // openat2 refuses a mode where nothing is created, and an empty path.
    let creates = flags.intersects(OFlags::CREATE) || flags.contains(OFlags::TMPFILE);
    let mode = if creates { mode } else { Mode::empty() };
    let mut attempts = 0;
    loop {
        match rustix::fs::openat2(root, or_dot(path), flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) if attempts < 1000 => attempts += 1,
            result => return result,
        }
    }
}

/// Opens `path` below `directory` as openat(2) does, but refuses (`EXDEV`) to leave it and
/// (`ELOOP`) to follow any link at all. For trees where no link is expected.
pub fn open_without_links(directory: impl AsFd, path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let path = path.as_ref();
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(directory, or_dot(path), flags | OFlags::CLOEXEC, mode, resolve).during_at("open", path)
}

fn open_entry(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn reversed_components(path: &Path) -> Vec<OsString> {
    let parts = path.as_os_str().as_bytes().split(|&b| b == b'/');
    let names = parts.filter(|part| !part.is_empty() && *part != b".");
    names.rev().map(|part| OsStr::from_bytes(part).to_owned()).collect()
}

fn or_dot(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Opens for reading what `found` (`O_PATH`) means, if that is a regular file; else `EINVAL`. Looking comes first: to
/// open a device already does something (a watchdog starts), and on the host no device cgroup forbids it.
pub fn open_regular(found: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let found = found.as_fd();
    if !FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode).is_file() {
        return Err(Errno::INVAL);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, format!("/proc/self/fd/{}", found.as_raw_fd()), flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("brig-beneath-{name}-{}", std::process::id()));
            std::fs::create_dir_all(path.join("root")).unwrap();
            std::fs::write(path.join("secret"), "outside").unwrap();
            Scratch(path)
        }

        fn root(&self) -> PathBuf {
            self.0.join("root")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn read(root: &Root, path: &str) -> Result<String> {
        let fd = root.open_file(path, OFlags::RDONLY, Mode::empty())?;
        Ok(std::io::read_to_string(std::fs::File::from(fd)).unwrap())
    }

    #[test]
    fn nothing_leads_outside() {
        let scratch = Scratch::new("outside");
        symlink("/secret", scratch.root().join("absolute")).unwrap();
        symlink("../secret", scratch.root().join("relative")).unwrap();
        symlink("/proc/self/root", scratch.root().join("magic")).unwrap();
        let root = Root::open(&scratch.root()).unwrap();
        for path in ["../secret", "/../../secret", "absolute", "relative", "magic/etc/passwd"] {
            assert_eq!(read(&root, path).unwrap_err().errno, Errno::NOENT, "{path}");
        }
        std::fs::write(scratch.root().join("secret"), "inside").unwrap();
        for path in ["../secret", "/secret", "absolute", "relative", "a/../secret/../secret"] {
            let result = read(&root, path);
            if path.starts_with("a/") {
                assert!(result.is_err());
            } else {
                assert_eq!(result.unwrap(), "inside", "{path}");
            }
        }
    }

    #[test]
    fn parents() {
        let scratch = Scratch::new("parents");
        std::fs::create_dir(scratch.root().join("a")).unwrap();
        let root = Root::open(&scratch.root()).unwrap();
        for (path, name) in [("a/b", "b"), ("/b", "b"), ("b", "b"), ("/", "."), ("", "."), ("a/..", ".")] {
            assert_eq!(root.parent_of(path).unwrap().1, name, "{path}");
        }
        assert_eq!(root.parent_of("missing/x").unwrap_err().errno, Errno::NOENT);
    }

    #[test]
    fn directories_are_created_inside_even_through_links() {
        let scratch = Scratch::new("create");
        symlink("/run/x", scratch.root().join("dangling")).unwrap();
        symlink("../../up", scratch.root().join("up")).unwrap();
        symlink("loop", scratch.root().join("loop")).unwrap();
        std::fs::write(scratch.root().join("file"), "").unwrap();
        let root = Root::open(&scratch.root()).unwrap();
        let mode = Mode::from_raw_mode(0o755);
        root.create_dir_all("dangling/y", mode).unwrap();
        assert!(scratch.root().join("run/x/y").is_dir());
        assert_eq!(root.create_dir_all("up/z", mode).unwrap_err().errno, Errno::LOOP);
        root.create_dir_all("../../p/../q", mode).unwrap();
        assert!(scratch.root().join("q").is_dir());
        assert!(!scratch.0.join("q").exists() && !scratch.0.join("up").exists());
        assert_eq!(root.create_dir_all("loop/a", mode).unwrap_err().errno, Errno::LOOP);
        assert_eq!(root.create_dir_all("file/a", mode).unwrap_err().errno, Errno::NOTDIR);
        root.create_dir_all("/", mode).unwrap();
    }

    #[test]
    fn files_are_created_inside_even_through_links() {
        let scratch = Scratch::new("files");
        let root = Root::open(&scratch.root()).unwrap();
        symlink("/tmp/foo/bar", scratch.root().join("jump")).unwrap();
        symlink("jump/../../hosts", scratch.root().join("hosts")).unwrap();
        symlink("loop", scratch.root().join("loop")).unwrap();
        let (file, directory) = (Mode::from_raw_mode(0o644), Mode::from_raw_mode(0o755));
        let create = |path: &str| root.create_file_all(path, file, directory).map(drop).map_err(|error| error.errno);
        assert_eq!(create("/hosts"), Ok(()));
        assert!(scratch.root().join("tmp/hosts").is_file());
        assert!(scratch.root().join("tmp/foo/bar").is_dir());
        assert_eq!(create("/jump/x"), Ok(()));
        assert!(scratch.root().join("tmp/foo/bar/x").is_file());
        assert_eq!(create("/jump/x"), Ok(()));
        assert_eq!(create("/loop"), Err(Errno::LOOP));
        assert_eq!(create("/"), Err(Errno::ISDIR));
    }

    #[test]
    fn without_links() {
        let scratch = Scratch::new("nolinks");
        symlink("root", scratch.0.join("link")).unwrap();
        let root = Root::open(&scratch.0).unwrap();
        let open = |path: &str| open_without_links(&root, path, OFlags::PATH, Mode::empty());
        assert!(open("root").is_ok());
        assert_eq!(open("link/x").unwrap_err().errno, Errno::LOOP);
        assert_eq!(open("../x").unwrap_err().errno, Errno::XDEV);
    }
}
