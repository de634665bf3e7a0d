//! Parts of /proc and /sys that a container must not read (masked) or write (read-only). Each path is opened
//! beneath the container's root once, and the mount goes onto that descriptor. Paths that do not exist are
//! skipped: kernels differ. Called by `init.rs` after the mounts.

use crate::error::Result;
use kernel::beneath::Root;
use kernel::mount::{Attributes, Filesystem, Mount};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Directories get an empty read-only tmpfs, files `null`, a detached mount of that device.
pub(crate) fn mask(root: &Root, paths: &[String], null: &Mount) -> Result<()> {
    let mut null = Cover { mount: null, attached: false };
    let empty = std::cell::OnceCell::new();
    let mut directories = None;
    for path in paths {
        let Some(target) = open(root, path)? else { continue };
        let stat = rustix::fs::fstat(&target).map_err(|errno| kernel::Error::at("stat", path, errno))?;
        let cover = if FileType::from_raw_mode(stat.st_mode).is_dir() {
            // One file system for all of them: each has its cost in the kernel.
            match &mut directories {
                Some(cover) => cover,
                none => {
                    let mount = empty_directory()?;
                    none.insert(Cover { mount: empty.get_or_init(|| mount), attached: false })
                }
            }
        } else {
            &mut null
        };
        cover.put_on(&target).map_err(|error| kernel::Error::at("mask", path, error.errno))?;
    }
    Ok(())
}

/// A mount used in several places: itself first, then copies, because before Linux 6.15 only an attached mount
/// can be copied.
struct Cover<'a> {
    mount: &'a Mount,
    attached: bool,
}

impl Cover<'_> {
    fn put_on(&mut self, target: &OwnedFd) -> kernel::Result<()> {
        if self.attached {
            return Mount::bind_fd(self.mount, false)?.attach_to(target);
        }
        self.attached = true;
        self.mount.attach_to(target)
    }
}

fn empty_directory() -> Result<Mount> {
    let attributes = Attributes::READ_ONLY.with(Attributes::NOSUID).with(Attributes::NODEV).with(Attributes::NOEXEC);
    Ok(Filesystem::open("tmpfs")?.set_string("mode", "755")?.mount(attributes)?)
}

/// Binds each path onto itself and makes the bind, with all mounts below, read-only.
pub(crate) fn make_read_only(root: &Root, paths: &[String]) -> Result<()> {
    for path in paths {
        let Some(target) = open(root, path)? else { continue };
        let in_words = |error: kernel::Error| kernel::Error::at("make read-only", path, error.errno);
        let mount = Mount::bind_fd(&target, true).map_err(in_words)?;
        mount.set_attributes(Attributes::READ_ONLY, Attributes::NONE, None, true).map_err(in_words)?;
        mount.attach_to(&target).map_err(in_words)?;
    }
    Ok(())
}

fn open(root: &Root, path: &str) -> Result<Option<OwnedFd>> {
    match root.open_file(path, OFlags::PATH, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
