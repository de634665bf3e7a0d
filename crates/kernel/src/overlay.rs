//! Overlay mounts (Documentation/filesystems/overlayfs.rst), made detached: nothing of them is
//! visible on the host. Called by `image/rootfs.rs`.
//!
//! Layers are handed over one by one (`lowerdir+`, Linux 6.5); on older kernels as one text. A lower directory may be a
//! detached mount too, by its name `/proc/self/fd/N`: Linux takes those since 6.15. What the kernel does not take so
//! is made in a mount namespace of its own (`overlay/apart.rs`).

mod apart;

use crate::error::{Context, Error, Result};
use crate::mount::{Attributes, Filesystem, Mount};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most lower directories that Linux takes (OVL_MAX_STACK).
pub const LOWER_MAX: usize = 500;

/// Longest value of one option to fsconfig(2), in bytes, with its terminating zero.
const OPTION_LENGTH_MAX: usize = 256;

/// The writable side of a mount.
#[derive(Debug, Clone, Copy)]
pub struct Upper<'a> {
    pub directory: &'a Path,
    /// An empty directory on the same file system, of which the kernel makes its own use.
    pub work: &'a Path,
    /// What is written may be lost with the power: no fsync has an effect, and the last unmount does not
    /// sync the whole file system below (`volatile`, Linux 5.10), which takes tens of milliseconds when that is busy.
    pub volatile: bool,
}

/// Mounts `lower` directories (the top one first) below an optional pair of upper and work
/// directory. Without an upper the result cannot be written to. The mount's own attribute
/// `read_only` is separate and can be cleared later.
///
/// A single lower without an upper is no overlay to Linux; then the result is a read-only bind
/// of it.
pub fn mount(lower: &[PathBuf], upper: Option<Upper<'_>>, read_only: bool) -> Result<Mount> {
    if lower.is_empty() || lower.len() > LOWER_MAX {
        let action = format!("mount overlay of {} layers (1 to {LOWER_MAX} are possible)", lower.len());
        return Err(Error::new(action, Errno::INVAL));
    }
    let attributes = if read_only { Attributes::READ_ONLY } else { Attributes::NONE };
    if let Some(upper) = upper.filter(|upper| upper.volatile) {
        forget_volatile(upper.work)?;
    }
    if !crate::machine::kernel_is_at_least(6, 15) && lower.iter().any(|path| is_descriptor(path)) {
        return apart::mount(lower, upper, attributes);
    }
    if let ([only], None) = (lower, upper) {
        return bind_read_only(only);
    }
    match mount_one_by_one(lower, upper, attributes) {
        // EINVAL: the option is unknown before 6.5. Anything else would fail the other way too.
        Err(error) if error.errno == Errno::INVAL => mount_as_text(lower, upper, attributes),
        result => result,
    }
}

/// Whether `directory` is in an overlay.
pub fn contains(directory: impl AsFd) -> Result<bool> {
    /// OVERLAYFS_SUPER_MAGIC of linux/magic.h
    const OVERLAY: u64 = 0x794c_7630;
    let found = rustix::fs::fstatfs(directory).during("look at file system")?;
    Ok(found.f_type as u64 == OVERLAY)
}

/// Whether the name is that of a descriptor, which may be a detached mount.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/proc/self/fd")
}

fn bind_read_only(path: &Path) -> Result<Mount> {
    let mount = Mount::bind(path, false)?;
    mount.set_attributes(Attributes::READ_ONLY, Attributes::NONE, None, false)?;
    Ok(mount)
}

/// A volatile mount leaves a mark that forbids the next one, for what was written may be incomplete after a power
/// cut. Here it is known to be worth no more than before.
fn forget_volatile(work: &Path) -> Result<()> {
    let mark = work.join("work/incompat");
    match std::fs::remove_dir_all(&mark) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).during_at("remove", mark),
        _ => Ok(()),
    }
}

fn mount_one_by_one(lower: &[PathBuf], upper: Option<Upper<'_>>, attributes: Attributes) -> Result<Mount> {
    let mut overlay = Filesystem::open("overlay")?;
    let mut held = Vec::new();
    for directory in lower {
        overlay = overlay.set_string("lowerdir+", short(directory, &mut held)?.as_os_str())?;
    }
    let overlay = with_inode_numbers(overlay, lower, upper)?;
    with_upper(overlay, upper, &mut held)?.mount(attributes)
}

/// Layers on several file systems: without this option their files show different devices, and programs that stay
/// on one file system (`tar --one-file-system`) leave them out; nor would an inode keep its number when it is
/// written to.
fn with_inode_numbers(overlay: Filesystem, lower: &[PathBuf], upper: Option<Upper<'_>>) -> Result<Filesystem> {
    if is_on_one_file_system(lower, upper) { Ok(overlay) } else { overlay.set_string("xino", "on") }
}

fn is_on_one_file_system(lower: &[PathBuf], upper: Option<Upper<'_>>) -> bool {
    let device = |path: &Path| rustix::fs::stat(path).map(|stat| stat.st_dev).ok();
    let mut devices = lower.iter().map(PathBuf::as_path).chain(upper.map(|upper| upper.directory)).map(device);
    let first = devices.next();
    devices.all(|device| Some(device) == first)
}

/// `:` separates lowers in the text and `\` escapes, so those in a path get a `\`.
fn mount_as_text(lower: &[PathBuf], upper: Option<Upper<'_>>, attributes: Attributes) -> Result<Mount> {
    let text = join_escaped(lower.iter().map(PathBuf::as_path));
    // These kernels know no way to say that a comma is meant.
    if text.len() >= OPTION_LENGTH_MAX || text.contains(&b',') {
        return apart::mount(lower, upper, attributes);
    }
    let overlay = Filesystem::open("overlay")?.set_string("lowerdir", OsStr::from_bytes(&text))?;
    let overlay = with_inode_numbers(overlay, lower, upper)?;
    with_upper(overlay, upper, &mut Vec::new())?.mount(attributes)
}

fn with_upper(overlay: Filesystem, upper: Option<Upper<'_>>, held: &mut Vec<OwnedFd>) -> Result<Filesystem> {
    // Whatever this kernel's defaults are: no attribute in a layer may point elsewhere, and an
    // upper directory must hold whole files and directories, or `commit` would lose some.
    let overlay = overlay.set_string("redirect_dir", "nofollow")?.set_string("metacopy", "off")?;
    // The name in the first column of `mount` and `df`, which programs look for.
    let overlay = overlay.set_string("source", "overlay")?;
    let Some(upper) = upper else { return Ok(overlay) };
    let overlay = overlay
        .set_string("upperdir", short(upper.directory, held)?.as_os_str())?
        .set_string("workdir", short(upper.work, held)?.as_os_str())?;
    if upper.volatile { overlay.set_flag("volatile") } else { Ok(overlay) }
}

/// The path itself, or one through /proc/self/fd when an option cannot hold it. The descriptor
/// stays in `held` until the mount is made.
fn short(path: &Path, held: &mut Vec<OwnedFd>) -> Result<PathBuf> {
    if path.as_os_str().len() < OPTION_LENGTH_MAX { Ok(path.to_owned()) } else { through_descriptor(path, held) }
}

fn through_descriptor(path: &Path, held: &mut Vec<OwnedFd>) -> Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).during_at("open", path)?;
    let name = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    held.push(fd);
    Ok(name)
}

fn join_escaped<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<u8> {
    let mut text = Vec::new();
    for path in paths {
        if !text.is_empty() {
            text.push(b':');
        }
        for &byte in path.as_os_str().as_bytes() {
            if byte == b':' || byte == b'\\' {
                text.push(b'\\');
            }
            text.push(byte);
        }
    }
    text
}

/// Attribute of a directory in an upper or lower: with the value `y` nothing of the layers below
/// shows through. Needs CAP_SYS_ADMIN to set.
pub const OPAQUE: &std::ffi::CStr = c"trusted.overlay.opaque";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("brig-overlay-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn read(mount: &Mount, name: &str) -> Result<String> {
        let fd = rustix::fs::openat(mount, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("open")?;
        Ok(std::io::read_to_string(File::from(fd)).unwrap())
    }

    /// Names with every separator, as `join_escaped` must cope with them.
    fn layers(base: &Path, count: usize) -> Vec<PathBuf> {
        let make = |n: usize| {
            let path = base.join(format!("la:y,er\\{n}"));
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("who"), n.to_string()).unwrap();
            std::fs::write(path.join(format!("only{n}")), "").unwrap();
            path
        };
        (0..count).map(make).collect()
    }

    type Make = fn(&[PathBuf], Option<Upper<'_>>, Attributes) -> Result<Mount>;

    #[test]
    fn a_volatile_mount_can_be_made_again() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let base = scratch("volatile");
        let lower = layers(&base, 2);
        let (directory, work) = (base.join("upper"), base.join("work"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::create_dir(&work).unwrap();
        for _ in 0..2 {
            mount(&lower, Some(Upper { directory: &directory, work: &work, volatile: true }), false).unwrap();
            assert!(work.join("work/incompat/volatile").is_dir());
        }
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn both_ways_stack_the_same() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let base = scratch("stack");
        let lower = layers(&base, 3);
        let (upper, work) = (base.join("upper"), base.join("work"));
        std::fs::create_dir(&upper).unwrap();
        std::fs::create_dir(&work).unwrap();
        for (make, volatile) in [(mount_one_by_one as Make, false), (mount_as_text as Make, true)] {
            let upper = Upper { directory: &upper, work: &work, volatile };
            let overlay = match make(&lower, Some(upper), Attributes::NONE) {
                Err(error) if error.errno == Errno::INVAL => continue,
                result => result.unwrap(),
            };
            assert_eq!(read(&overlay, "who").unwrap(), "0");
            assert!(read(&overlay, "only2").is_ok());
            rustix::fs::mkdirat(&overlay, "new", Mode::from_raw_mode(0o755)).unwrap();
            assert!(upper.directory.join("new").is_dir());
            rustix::fs::unlinkat(&overlay, "new", rustix::fs::AtFlags::REMOVEDIR).unwrap();
        }
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn without_upper_and_long_paths() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let base = scratch("long").join("x".repeat(200));
        std::fs::create_dir(&base).unwrap();
        let base = base.join("y".repeat(200));
        std::fs::create_dir(&base).unwrap();
        let lower = layers(&base, 2);
        assert_eq!(read(&mount(&lower, None, false).unwrap(), "who").unwrap(), "0");
        let only = mount(&lower[1..], None, false).unwrap();
        assert_eq!(read(&only, "who").unwrap(), "1");
        let refused = rustix::fs::mkdirat(&only, "new", Mode::from_raw_mode(0o755));
        assert_eq!(refused.unwrap_err(), Errno::ROFS);
        assert_eq!(mount(&[], None, false).unwrap_err().errno, Errno::INVAL);
        std::fs::remove_dir_all(base.ancestors().nth(2).unwrap()).unwrap();
    }
}
