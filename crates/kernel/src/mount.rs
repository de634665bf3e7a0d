//! Mounts as descriptors (fsopen(2), open_tree(2), move_mount(2), mount_setattr(2)): a mount is
//! made detached, given its attributes, and only then attached at a place that is itself held
//! by descriptor, so no path is looked up twice. Called by `overlay`,
//! `runtime` and `self_exe`.

use crate::error::{Context, Error, Result, last_errno};
use crate::namespace::{Kind, Set};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxAttributes, StatxFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A mount held by descriptor. While detached it vanishes when the last descriptor is closed.
#[derive(Debug)]
pub struct Mount(OwnedFd);

/// Attributes of one mount, `MOUNT_ATTR_*` of linux/mount.h. They are not those of the file
/// system behind it: a read-only mount of a writable file system is common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(u64);

impl Attributes {
    pub const NONE: Attributes = Attributes(0);
    pub const READ_ONLY: Attributes = Attributes(0x1);
    pub const NOSUID: Attributes = Attributes(0x2);
    pub const NODEV: Attributes = Attributes(0x4);
    pub const NOEXEC: Attributes = Attributes(0x8);
    pub const NOATIME: Attributes = Attributes(0x10);
    pub const STRICTATIME: Attributes = Attributes(0x20);
    /// All bits of the access-time choice; must be cleared to set any of them. All clear: relatime.
    pub const ATIME_MASK: Attributes = Attributes(0x70);
    pub const NODIRATIME: Attributes = Attributes(0x80);
    /// Linux 5.14.
    pub const NOSYMFOLLOW: Attributes = Attributes(0x20_0000);

    pub const fn with(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }

    pub const fn without(self, other: Attributes) -> Attributes {
        Attributes(self.0 & !other.0)
    }

    pub const fn contains(self, other: Attributes) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn intersects(self, other: Attributes) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn intersection(self, other: Attributes) -> Attributes {
        Attributes(self.0 & other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// How mounts and unmounts travel between copies of a mount (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Private,
    Shared,
    Slave,
    Unbindable,
}

impl Propagation {
    fn flags(self) -> u64 {
        match self {
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Shared => libc::MS_SHARED,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// mount_attr of linux/mount.h (Linux 5.12).
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

impl Mount {
    /// A detached copy of the mount at `path`, or of all mounts below it too.
    pub fn bind(path: &Path, recursive: bool) -> Result<Mount> {
        open_tree(CWD, path, tree_flags(recursive)).map(Mount).during_at("clone mount", path)
    }

    /// [`Mount::bind`] of what an open (`O_PATH` is enough) descriptor means.
    pub fn bind_fd(fd: impl AsFd, recursive: bool) -> Result<Mount> {
        open_tree(fd.as_fd(), Path::new(""), tree_flags(recursive) | AT_EMPTY_PATH).map(Mount).during("clone mount")
    }

    /// [`Mount::bind`] of `path` below `directory`. The last component is followed if it is a link.
    pub fn bind_at(directory: impl AsFd, path: &Path, recursive: bool) -> Result<Mount> {
        open_tree(directory.as_fd(), path, tree_flags(recursive)).map(Mount).during_at("clone mount", path)
    }

    /// [`Mount::bind`] of `path` as the process `pidfd` sees it: the kernel clones mounts of the caller's namespace
    /// only. The caller must have one thread; its root is the namespace's root afterwards, its directory as before.
    pub fn bind_of_process(pidfd: impl AsFd, path: &Path, recursive: bool) -> Result<Mount> {
        let mount_namespace = Set::NONE.with(Kind::Mount);
        let own = crate::namespace::open(Path::new("/proc/self/ns/mnt"))?;
        let directory =
            openat(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).during("open working directory")?;
        crate::namespace::join_process(pidfd, mount_namespace)?;
        let mount = Mount::bind(path, recursive);
        crate::namespace::join(&own, Kind::Mount)?;
        rustix::process::fchdir(directory).during("return to working directory")?;
        mount
    }

    /// [`Mount::bind_fd`] of a descriptor from another mount namespace. The caller must have one thread; its root and its
    /// directory are as before.
    pub fn bind_fd_in(namespace: impl AsFd, fd: impl AsFd, recursive: bool) -> Result<Mount> {
        let own = crate::namespace::open(Path::new("/proc/self/ns/mnt"))?;
        let open = |path: &str| openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let root = open("/").during("open root directory")?;
        let directory = open(".").during("open working directory")?;
        crate::namespace::join(namespace, Kind::Mount)?;
        let mount = Mount::bind_fd(fd, recursive);
        crate::namespace::join(&own, Kind::Mount)?;
        // Joining has changed both to the namespace's.
        rustix::process::fchdir(root).during("return to root directory")?;
        rustix::process::chroot(".").during("return to root directory")?;
        rustix::process::fchdir(directory).during("return to working directory")?;
        mount
    }

    /// Sets and clears attributes of this mount, or of all mounts in its tree.
    /// `EPERM` when an attribute is locked by a more privileged user namespace.
    pub fn set_attributes(
        &self,
        set: Attributes,
        clear: Attributes,
        propagation: Option<Propagation>,
        recursive: bool,
    ) -> Result<()> {
        set_attributes_at(&self.0, Path::new(""), set, clear, propagation, recursive)
    }

    /// Shows files with the owners that the mapping of a user namespace makes of them (mount_setattr(2),
    /// MOUNT_ATTR_IDMAP, Linux 5.12). The mount must be detached and new. `EINVAL` where the file system cannot do it.
    pub fn map_ids(&self, user_namespace: impl AsFd, recursive: bool) -> Result<()> {
        const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;
        let attributes = MountAttr {
            set: MOUNT_ATTR_IDMAP,
            clear: 0,
            propagation: 0,
            user_namespace: user_namespace.as_fd().as_raw_fd() as u64,
        };
        mount_setattr(self.0.as_fd(), c"", flags_for(Path::new(""), recursive), &attributes).during("map ids of mount")
    }

    /// Attaches at `path`, relative to `directory`. Links are followed: use [`Mount::attach_to`]
    /// where the path is not ours.
    pub fn attach_at(&self, directory: impl AsFd, path: &Path) -> Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
        rustix::mount::move_mount(&self.0, "", directory, path, flags).during_at("attach mount", path)
    }

    /// Attaches on the very file or directory that `target` means.
    pub fn attach_to(&self, target: impl AsFd) -> Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&self.0, "", target, "", flags).during("attach mount")
    }

    /// Takes the mount off where it is attached, with all below it; whoever uses them keeps them (umount2(2), MNT_DETACH).
    /// `EINVAL` when it is not attached in our mount namespace.
    pub fn take_off(&self) -> Result<()> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH).during("unmount")
    }
}

const AT_EMPTY_PATH: OpenTreeFlags = OpenTreeFlags::AT_EMPTY_PATH;

fn tree_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

fn open_tree(directory: BorrowedFd<'_>, path: &Path, flags: OpenTreeFlags) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(directory, path, flags)
}

/// mount_setattr(2) on the mount at `path` below `directory` (an empty path means `directory` itself).
pub fn set_attributes_at(
    directory: impl AsFd,
    path: &Path,
    set: Attributes,
    clear: Attributes,
    propagation: Option<Propagation>,
    recursive: bool,
) -> Result<()> {
    // The kernel wants the whole access-time choice cleared where a part of it changes.
    let touches_atime = set.with(clear).intersects(Attributes::ATIME_MASK);
    let clear = if touches_atime { clear.with(Attributes::ATIME_MASK) } else { clear };
    let attributes = MountAttr {
        set: set.0,
        clear: clear.0,
        propagation: propagation.map_or(0, Propagation::flags),
        user_namespace: 0,
    };
    let flags = flags_for(path, recursive);
    rustix::path::Arg::into_with_c_str(path, |path| mount_setattr(directory.as_fd(), path, flags, &attributes))
        .during_at("set mount attributes", path)
}

fn flags_for(path: &Path, recursive: bool) -> libc::c_int {
    let empty = if path.as_os_str().is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    let all = if recursive { libc::AT_RECURSIVE } else { 0 };
    libc::AT_SYMLINK_NOFOLLOW | empty | all
}

fn mount_setattr(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
    attributes: &MountAttr,
) -> rustix::io::Result<()> {
    // SAFETY: `path` is NUL-terminated and `attributes` has the size that is passed; the kernel only reads both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

impl From<OwnedFd> for Mount {
    fn from(fd: OwnedFd) -> Mount {
        Mount(fd)
    }
}

impl From<Mount> for OwnedFd {
    fn from(mount: Mount) -> OwnedFd {
        mount.0
    }
}

impl AsFd for Mount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether something other than a directory is mounted on `name` in `directory` (statx(2), Linux 5.8). To unlink the
/// mount of another namespace is no error to the kernel: it would take the mount away there.
pub fn is_mounted_file(directory: impl AsFd, name: &OsStr) -> bool {
    let stat = rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
    stat.is_ok_and(|stat| {
        let is_directory = FileType::from_raw_mode(u32::from(stat.stx_mode)).is_dir();
        !is_directory && stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

/// Attributes of the mount that `fd` is on, those of its file system included (statvfs(3)).
pub fn attributes_of(fd: impl AsFd) -> Result<Attributes> {
    use rustix::fs::StatVfsMountFlags as Flag;
    // Not among rustix's names (linux/statfs.h).
    let no_symlinks = Flag::from_bits_retain(0x2000);
    let found = rustix::fs::fstatvfs(fd).during("stat file system")?.f_flag;
    let pairs = [
        (Flag::RDONLY, Attributes::READ_ONLY),
        (Flag::NOSUID, Attributes::NOSUID),
        (Flag::NODEV, Attributes::NODEV),
        (Flag::NOEXEC, Attributes::NOEXEC),
        (Flag::NOATIME, Attributes::NOATIME),
        (Flag::NODIRATIME, Attributes::NODIRATIME),
        (no_symlinks, Attributes::NOSYMFOLLOW),
    ];
    let named = pairs.iter().filter(|(flag, _)| found.contains(*flag));
    let all = named.fold(Attributes::NONE, |all, (_, attribute)| all.with(*attribute));
    // Strict is what is neither of the others.
    let relative = found.intersects(Flag::RELATIME | Flag::NOATIME);
    Ok(if relative { all } else { all.with(Attributes::STRICTATIME) })
}

/// A file system being configured (fsopen(2)): options first, then [`Filesystem::mount`].
#[derive(Debug)]
pub struct Filesystem {
    fd: OwnedFd,
    kind: String,
}

impl Filesystem {
    /// `ENODEV` when the kernel does not know the kind.
    pub fn open(kind: &str) -> Result<Filesystem> {
        let fd =
            rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).during(&format!("open file system {kind}"))?;
        Ok(Filesystem { fd, kind: kind.to_owned() })
    }

    /// The file system that is mounted where `target` is (fspick(2)), to change its options with [`Filesystem::reconfigure`].
    pub fn pick(target: impl AsFd) -> Result<Filesystem> {
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        let fd = rustix::mount::fspick(target, "", flags).during("choose file system")?;
        Ok(Filesystem { fd, kind: "again".to_owned() })
    }

    /// For all mounts of it. `EPERM` without CAP_SYS_ADMIN over the file system.
    pub fn reconfigure(self) -> Result<()> {
        let result = rustix::mount::fsconfig_reconfigure(&self.fd);
        self.checked(result, "").map(drop)
    }

    pub fn set_string(self, key: &str, value: impl rustix::path::Arg) -> Result<Filesystem> {
        let result = rustix::mount::fsconfig_set_string(&self.fd, key, value);
        self.checked(result, key)
    }

    pub fn set_flag(self, key: &str) -> Result<Filesystem> {
        let result = rustix::mount::fsconfig_set_flag(&self.fd, key);
        self.checked(result, key)
    }

    /// Creates the file system and a detached mount of it.
    pub fn mount(self, attributes: Attributes) -> Result<Mount> {
        let created = rustix::mount::fsconfig_create(&self.fd);
        let this = self.checked(created, "")?;
        // All defined bits fit 32 bits; the call's argument is an unsigned int.
        let attributes = MountAttrFlags::from_bits_retain(attributes.0 as u32);
        let mounted = rustix::mount::fsmount(&this.fd, FsMountFlags::FSMOUNT_CLOEXEC, attributes);
        mounted.map(Mount).map_err(|errno| this.error("", errno))
    }

    fn checked(self, result: rustix::io::Result<()>, key: &str) -> Result<Filesystem> {
        match result {
            Ok(()) => Ok(self),
            Err(errno) => Err(self.error(key, errno)),
        }
    }

    /// The kernel says in its own words what it dislikes, one message per read (fsopen(2)).
    fn error(&self, key: &str, errno: Errno) -> Error {
        let mut action = format!("mount {}", self.kind);
        if !key.is_empty() {
            action.push_str(&format!(" with option {key}"));
        }
        let mut message = [0; 256];
        if let Ok(n) = rustix::io::read(&self.fd, &mut message) {
            let text = String::from_utf8_lossy(&message[..n]);
            // "e tmpfs: Bad value for 'size'": a level letter goes before the text.
            let text = text.get(2..).unwrap_or_default().trim_end();
            if !text.is_empty() {
                action.push_str(&format!(" ({text})"));
            }
        }
        Error::new(action, errno)
    }
}

/// Changes the propagation of the mount at `path`, or of all mounts below it too.
pub fn set_propagation(path: &Path, propagation: Propagation, recursive: bool) -> Result<()> {
    set_attributes_at(CWD, path, Attributes::NONE, Attributes::NONE, Some(propagation), recursive)
}

/// Takes the topmost mount at `path` off, with all below it; whoever uses them keeps them (umount2(2), MNT_DETACH).
/// `EINVAL` when nothing is mounted there, `ENOENT` when there is no such path.
pub fn detach(path: &Path) -> Result<()> {
    let flags = rustix::mount::UnmountFlags::DETACH | rustix::mount::UnmountFlags::NOFOLLOW;
    rustix::mount::unmount(path, flags).during_at("unmount", path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn a_detached_tmpfs_is_usable_and_visible_nowhere() {
        if !is_root() {
            return;
        }
        let mount =
            Filesystem::open("tmpfs").unwrap().set_string("size", "64k").unwrap().mount(Attributes::NODEV).unwrap();
        let file =
            rustix::fs::openat(&mount, "x", rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY, 0o600.into());
        std::fs::File::from(file.unwrap()).write_all(b"x").unwrap();
        mount.set_attributes(Attributes::READ_ONLY, Attributes::NONE, None, false).unwrap();
        let denied = rustix::fs::openat(&mount, "x", rustix::fs::OFlags::WRONLY, 0.into());
        assert_eq!(denied.unwrap_err(), Errno::ROFS);
    }

    #[test]
    fn the_kernels_words_are_in_the_error() {
        if !is_root() {
            return;
        }
        let error = Filesystem::open("tmpfs").unwrap().set_string("size", "nonsense").unwrap_err();
        assert_eq!(error.errno, Errno::INVAL);
        assert!(error.action.contains("size"), "{error}");
    }

    #[test]
    fn unknown_kind() {
        if is_root() {
            assert_eq!(Filesystem::open("nosuchfs").unwrap_err().errno, Errno::NODEV);
        }
    }
}
