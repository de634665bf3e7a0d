//! Changing the root of a mount namespace for good (pivot_root(2)). Called by `runtime` once the
//! container's tree is complete; nothing of the old tree is reachable afterwards.

use crate::error::{Context, Error, Result};
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::os::fd::AsFd;

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
/// be pivoted away. The old tree stays mounted below, so that a container with the right to mount may come back to it.
pub fn change_root(root: impl AsFd) -> Result<()> {
    rustix::process::fchdir(root).during("change to the new root")?;
    move_over_root()
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

/// True when the file system at `path` is mounted read-only.
pub fn is_read_only(path: impl rustix::path::Arg) -> Result<bool> {
    let stat = rustix::fs::statvfs(path).during("stat file system")?;
    Ok(stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}
