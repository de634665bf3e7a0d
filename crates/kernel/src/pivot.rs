//! Changing the root of a mount namespace for good (pivot_root(2)). Called by `runtime` once the
//! container's tree is complete; nothing of the old tree is reachable afterwards.

use crate::cgroup::unescape;
use crate::error::{Context, Error, Result};
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Makes the mount that `root` is the root of the root of the namespace, lets go of the old tree and
/// changes to `/`. All mounts must be private, or the host would see them go.
pub fn pivot(root: impl AsFd) -> Result<()> {
    rustix::process::fchdir(root).during("change to the new root")?;
    // "." twice stacks the old root on the new one: no directory for it is needed, and the
    // unmount of "." takes off the topmost, which is the old one (pivot_root(2), notes).
    match rustix::process::pivot_root(".", ".") {
        Ok(()) => {}
        Err(Errno::INVAL) if is_initial_ramfs() => return move_over_root(),
        Err(errno) => return Err(Error::new("pivot root", errno)),
    }
    rustix::mount::unmount(".", UnmountFlags::DETACH).during("let go of the old root")?;
    rustix::process::chdir("/").during("change to /")
}

/// As [`pivot`], but the new root is moved over the old one instead of changing places with it: for a root that cannot
/// be pivoted away. The old tree stays mounted below, so that a container with the right to mount may come back to it;
/// but without the old procfs and sysfs, whose sight would let the container mount whole ones of its own.
pub fn change_root(root: impl AsFd) -> Result<()> {
    rustix::process::fchdir(root).during("change to the new root")?;
    hide_proc_and_sys()?;
    move_over_root()
}

/// As long as a whole procfs or sysfs is mounted anywhere in the namespace, the kernel lets a user namespace in it mount
/// another (mount_namespaces(7), the restrictions). Those outside of the working directory go.
fn hide_proc_and_sys() -> Result<()> {
    const TABLE: &str = "/proc/self/mountinfo";
    let own = rustix::process::getcwd(Vec::new()).during("find the new root")?;
    let own = Path::new(std::ffi::OsStr::from_bytes(own.as_bytes()));
    // Read at once: /proc itself is among them.
    let table = std::fs::read_to_string(TABLE).during_at("read", TABLE)?;
    let points = table.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let kind = file_system.split(' ').next()?;
        matches!(kind, "proc" | "sysfs").then(|| mount.split(' ').nth(4).map(unescape))?
    });
    let mut points: Vec<PathBuf> = points.filter(|point| !point.starts_with(own)).collect();
    // Those on top of others first.
    points.reverse();
    for point in points {
        match rustix::mount::unmount(&point, UnmountFlags::DETACH) {
            Ok(()) | Err(Errno::NOENT) => {}
            // Locked, or covered: then it is to be covered for good.
            Err(Errno::INVAL | Errno::PERM) => {
                rustix::mount::mount("tmpfs", &point, "tmpfs", MountFlags::empty(), None).during_at("cover", &point)?;
            }
            Err(errno) => return Err(Error::at("unmount", point, errno)),
        }
    }
    Ok(())
}

/// On the kernel's initial RAM file system, which cannot be pivoted away, the new root is moved over
/// it and becomes the root of the process. The old tree lies below, reachable by no path.
fn move_over_root() -> Result<()> {
    use rustix::mount::MoveMountFlags as Move;
    let flags = Move::MOVE_MOUNT_F_SYMLINKS | Move::MOVE_MOUNT_T_SYMLINKS;
    let cwd = rustix::fs::CWD;
    rustix::mount::move_mount(cwd, ".", cwd, "/", flags).during("move the new root over /")?;
    rustix::process::chroot(".").during("change root")?;
    rustix::process::chdir("/").during("change to /")
}

fn is_initial_ramfs() -> bool {
    const RAMFS_MAGIC: u64 = 0x8584_58f6;
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let kind = rustix::fs::statfs("/").map_or(0, |stat| stat.f_type as u64);
    kind == RAMFS_MAGIC || kind == TMPFS_MAGIC
}

/// Makes `root` the root directory of the calling process and of those that it makes, and of nobody else: for a container
/// that has no mount namespace of its own. Who has CAP_SYS_CHROOT in it finds the way out (chroot(2), notes).
pub fn chroot(root: impl AsFd) -> Result<()> {
    rustix::process::fchdir(root).during("change to the new root")?;
    rustix::process::chroot(".").during("change root")?;
    rustix::process::chdir("/").during("change to /")
}

/// True when the file system at `path` is mounted read-only.
pub fn is_read_only(path: impl rustix::path::Arg) -> Result<bool> {
    let stat = rustix::fs::statvfs(path).during("stat file system")?;
    Ok(stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}
