//! A container's files as the container sees them, from outside: its rootfs and, where it does not
//! run, the volumes and binds that its next start would mount. Paths are resolved here name by
//! name as in the container, and opened beneath the root that holds them, so nothing that is
//! swapped meanwhile leads out.

use super::tree::Place;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::MountSource;
use kernel::Context;
use kernel::beneath::Root;
use kernel::lock::Lock;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// Made by the start of a container and none of its files: as a source they are empty.
const PSEUDO: [&str; 3] = ["/proc", "/sys", "/dev"];

pub struct View {
    root: Root,
    /// Innermost first.
    mounts: Vec<Mounted>,
    running: bool,
    read_only: bool,
    name: String,
    /// Has an empty directory for each of `PSEUDO`.
    skeleton: PathBuf,
    /// While we hold its writable layer mounted nobody starts the container.
    _lock: Option<Lock>,
}

struct Mounted {
    target: PathBuf,
    /// On the host; `None` for a tmpfs.
    source: Option<PathBuf>,
    read_only: bool,
}

/// Where a path leads.
#[derive(Debug)]
pub struct Resolved {
    /// Absolute, without links; the last component may be one if it was not to be followed.
    pub path: PathBuf,
    /// `None`: there is nothing of this name, but its directory exists.
    pub kind: Option<FileType>,
}

impl Resolved {
    pub fn is_directory(&self) -> bool {
        self.kind == Some(FileType::Directory)
    }
}

impl View {
    pub fn open(engine: &Engine, container: &Container) -> Result<View> {
        let (container, lock) = container.held_still(engine)?;
        Ok(View {
            root: container.rootfs(engine)?,
            mounts: mounts(engine, &container),
            running: container.is_running(),
            read_only: container.record.options.storage.read_only,
            name: container.name().to_owned(),
            skeleton: crate::skeleton::ensure(engine.paths())?,
            _lock: lock,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Of a directory, for tests: a container without mounts.
    #[cfg(test)]
    pub fn of_directory(root: &Path, running: bool) -> View {
        let skeleton = root.with_file_name("skeleton");
        let (mounts, name) = (Vec::new(), "box".to_owned());
        View { root: Root::open(root).unwrap(), mounts, running, read_only: false, name, skeleton, _lock: None }
    }

    /// Follows links as the container would; the last component only if `follow_last`.
    /// `NotFound` when something before the last component is missing.
    pub fn resolve(&self, path: &Path, follow_last: bool) -> Result<Resolved> {
        let mut at = PathBuf::from("/");
        let mut kind = Some(FileType::Directory);
        let mut todo = reversed_names(path);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                at.pop();
                kind = Some(FileType::Directory);
                continue;
            }
            if kind != Some(FileType::Directory) {
                return Err(self.missing(path));
            }
            at.push(&name);
            let Some(fd) = self.open_entry(&at)? else {
                kind = None;
                continue;
            };
            let stat = rustix::fs::fstat(&fd).during_at("stat", &at)?;
            kind = Some(FileType::from_raw_mode(stat.st_mode));
            if kind != Some(FileType::Symlink) || (todo.is_empty() && !follow_last) {
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(kernel::Error::at("resolve", path, Errno::LOOP).into());
            }
            let target = rustix::fs::readlinkat(&fd, "", Vec::new()).during_at("read link", &at)?;
            let target = OsString::from_vec(target.into_bytes());
            at.pop();
            if target.as_bytes().starts_with(b"/") {
                at = PathBuf::from("/");
            }
            kind = Some(FileType::Directory);
            todo.extend(reversed_names(Path::new(&target)));
        }
        Ok(Resolved { path: at, kind })
    }

    /// Docker's text for a path that is not there.
    pub fn missing(&self, path: &Path) -> Error {
        Error::NotFound(format!("Could not find the file {} in container {}", path.display(), self.name))
    }

    /// Opens the directory of a resolved path.
    pub fn place(&self, path: &Path) -> Result<Place> {
        if let Some((mounted, source)) = self.covering(path) {
            let below = path.strip_prefix(&mounted.target).unwrap_or(Path::new(""));
            return place_in_mount(source, below);
        }
        let (directory, name) = self.root.parent_of(path)?;
        Ok(Place { directory, name })
    }

    /// For a walk through the container's tree: the place that a mount puts at `path` and that
    /// the directory there does not show.
    pub fn mounted_at(&self, path: &Path) -> Result<Option<Place>> {
        match self.covering(path) {
            Some((mounted, source)) if mounted.target == path => place_in_mount(source, Path::new("")).map(Some),
            _ => Ok(None),
        }
    }

    /// As `mounted_at`, for reading: what the kernel shows in a running container's `/proc` and
    /// the like is not copied along with `/`.
    pub fn shown_at(&self, path: &Path) -> Result<Option<Place>> {
        if self.running && PSEUDO.iter().any(|pseudo| path == Path::new(pseudo)) {
            return Ok(Some(place_in_mount(&self.skeleton, path.strip_prefix("/").unwrap_or(path))?));
        }
        self.mounted_at(path)
    }

    /// The root that holds `path`, and `path` below it.
    pub fn root_of(&self, path: &Path) -> Result<(Root, PathBuf)> {
        let Some((mounted, source)) = self.covering(path) else {
            return Ok((Root::from_fd(self.root.open_dir("/")?), path.to_owned()));
        };
        let below = path.strip_prefix(&mounted.target).unwrap_or(Path::new(""));
        match (source.parent(), source.file_name()) {
            (Some(parent), Some(name)) if source.is_file() => Ok((Root::open(parent)?, name.into())),
            _ => Ok((Root::open(source)?, below.to_owned())),
        }
    }

    /// Docker's rule: a read-only volume or root file system is not written to from outside either.
    pub fn check_writable(&self, path: &Path) -> Result<()> {
        match self.mounts.iter().find(|mounted| path.starts_with(&mounted.target)) {
            Some(mounted) if mounted.read_only => Err(Error::Invalid("mounted volume is marked read-only".into())),
            None if self.read_only => Err(Error::Invalid("container rootfs is marked read-only".into())),
            _ => Ok(()),
        }
    }

    /// The mount of a stopped container that holds `path`. A running one's root shows its mounts.
    fn covering(&self, path: &Path) -> Option<(&Mounted, &Path)> {
        if self.running {
            return None;
        }
        let mounted = self.mounts.iter().find(|mounted| path.starts_with(&mounted.target))?;
        Some((mounted, mounted.source.as_deref()?))
    }

    fn open_entry(&self, path: &Path) -> Result<Option<OwnedFd>> {
        let place = match self.place(path) {
            Ok(place) => place,
            Err(Error::Kernel(error)) if is_absent(error.errno) => return Ok(None),
            Err(error) => return Err(error),
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(errno) if is_absent(errno) => Ok(None),
            Err(errno) => Err(kernel::Error::at("open", path, errno).into()),
        }
    }
}

fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

/// Volumes, binds and tmpfs of the container, the innermost first.
fn mounts(engine: &Engine, container: &Container) -> Vec<Mounted> {
    let record = &container.record;
    let mut mounts: Vec<Mounted> = Vec::new();
    for volume in &record.volumes {
        let source = Some(crate::volumes::data_path(engine, &volume.name));
        mounts.push(Mounted { target: clean(Path::new(&volume.target)), source, read_only: volume.read_only });
    }
    for mount in &record.options.storage.mounts {
        let (source, read_only) = match &mount.source {
            MountSource::Bind { path, .. } => (Some(PathBuf::from(path)), mount.read_only),
            MountSource::Tmpfs { .. } => (None, mount.read_only),
            MountSource::Volume { .. } => continue,
        };
        mounts.push(Mounted { target: clean(Path::new(&mount.target)), source, read_only });
    }
    mounts.sort_by_key(|mounted| std::cmp::Reverse(mounted.target.as_os_str().len()));
    mounts
}

/// `below` what is mounted; the host's path itself may be a file.
fn place_in_mount(source: &Path, below: &Path) -> Result<Place> {
    if !below.as_os_str().is_empty() {
        let (directory, name) = Root::open(source)?.parent_of(below)?;
        return Ok(Place { directory, name });
    }
    if source.is_dir() {
        return Ok(Place { directory: Root::open(source)?.into_fd(), name: ".".into() });
    }
    let (Some(parent), Some(name)) = (source.parent(), source.file_name()) else {
        return Err(kernel::Error::at("open", source, Errno::NOENT).into());
    };
    Ok(Place { directory: Root::open(parent)?.into_fd(), name: name.to_owned() })
}

/// Absolute, without `.` and `..`, by text alone (Go's filepath.Clean, which docker applies first).
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for name in path.as_os_str().as_bytes().split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                clean.pop();
            }
            name => clean.push(OsStr::from_bytes(name)),
        }
    }
    clean
}

fn reversed_names(path: &Path) -> Vec<OsString> {
    let names = path.as_os_str().as_bytes().split(|b| *b == b'/');
    let names = names.filter(|name| !name.is_empty() && *name != b".");
    names.rev().map(|name| OsStr::from_bytes(name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A stopped container with `/vol` and the read-only `/vol/inner` mounted, `/tmpfs` not.
    fn stopped(name: &str) -> (Scratch, View) {
        let top = std::env::temp_dir().join(format!("brig-view-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&top);
        for directory in ["root/etc", "root/vol", "volume/sub", "inner"] {
            std::fs::create_dir_all(top.join(directory)).unwrap();
        }
        std::fs::write(top.join("root/etc/file"), "").unwrap();
        std::fs::write(top.join("secret"), "").unwrap();
        symlink("/vol/sub", top.join("root/link")).unwrap();
        symlink("../../../../secret", top.join("root/out")).unwrap();
        symlink("../../etc", top.join("volume/sub/back")).unwrap();
        symlink("loop", top.join("root/loop")).unwrap();
        let mounted = |target: &str, source: Option<&str>, read_only| Mounted {
            target: target.into(),
            source: source.map(|source| top.join(source)),
            read_only,
        };
        let view = View {
            root: Root::open(&top.join("root")).unwrap(),
            mounts: vec![
                mounted("/vol/inner", Some("inner"), true),
                mounted("/tmpfs", None, false),
                mounted("/vol", Some("volume"), false),
            ],
            running: false,
            read_only: true,
            name: "c".into(),
            skeleton: top.join("skeleton"),
            _lock: None,
        };
        (Scratch(top), view)
    }

    #[test]
    fn links_lead_across_mounts_and_never_outside() {
        let (_scratch, view) = stopped("links");
        for (path, follow, expected, kind) in [
            ("/etc/file", false, "/etc/file", Some(FileType::RegularFile)),
            ("/link", false, "/link", Some(FileType::Symlink)),
            ("/link", true, "/vol/sub", Some(FileType::Directory)),
            ("/link/back/file", false, "/etc/file", Some(FileType::RegularFile)),
            ("/link/new", true, "/vol/sub/new", None),
            ("/out", true, "/secret", None),
            ("/vol/inner", true, "/vol/inner", Some(FileType::Directory)),
            ("/", true, "/", Some(FileType::Directory)),
        ] {
            let resolved = view.resolve(Path::new(path), follow).unwrap();
            assert_eq!((resolved.path, resolved.kind), (expected.into(), kind), "{path}");
        }
        for missing in ["/no/file", "/etc/file/x", "/etc/no/../file"] {
            let error = view.resolve(Path::new(missing), true);
            if missing.contains("..") {
                assert!(error.is_ok());
            } else {
                assert_eq!(error.unwrap_err().to_string(), format!("Could not find the file {missing} in container c"));
            }
        }
        assert!(view.resolve(Path::new("/loop"), true).is_err());
    }

    #[test]
    fn writable_is_what_the_innermost_mount_says() {
        let (_scratch, view) = stopped("writable");
        for (path, text) in [
            ("/etc", "container rootfs is marked read-only"),
            ("/vol/inner/x", "mounted volume is marked read-only"),
            ("/vol/x", ""),
            ("/tmpfs/x", ""),
            ("/volume", "container rootfs is marked read-only"),
        ] {
            let result =
                view.check_writable(Path::new(path)).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(result, text, "{path}");
        }
    }

    #[test]
    fn places() {
        let (scratch, view) = stopped("places");
        for (path, directory, name) in [
            ("/vol/sub/x", "volume/sub", "x"),
            ("/vol", "volume", "."),
            ("/etc/file", "root/etc", "file"),
            ("/", "root", "."),
        ] {
            let place = view.place(Path::new(path)).unwrap();
            let there =
                std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place.directory)));
            assert_eq!((there.unwrap(), place.name), (scratch.0.join(directory), name.into()), "{path}");
        }
        assert!(view.mounted_at(Path::new("/vol/inner")).unwrap().is_some());
        assert!(view.mounted_at(Path::new("/vol/sub")).unwrap().is_none());
    }

    #[test]
    fn cleaning() {
        for (path, expected) in [("a/../b//./c", "/b/c"), ("../..", "/"), ("/x/.", "/x"), ("", "/")] {
            assert_eq!(clean(Path::new(path)), Path::new(expected));
        }
    }
}
