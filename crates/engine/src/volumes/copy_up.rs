//! Filling a new volume with what the image has at its mount point, as docker does on first use:
//! contents, owner, mode and attributes, and only while the volume is empty.
//!
//! The copy is made beside `_data` and then moved into it entry by entry, so that `_data` (which
//! another container may have mounted already) stays the same directory:
//!
//! ```text
//!   copying/ ──rename when complete──▶ moving/ ──each entry──▶ _data/
//! ```
//! A kill leaves `copying`, which is thrown away and made again, or `moving`, which is gone on
//! with; names that somebody made in `_data` meanwhile are left alone. Racing starts wait for the
//! volume's lock.

use super::{data_path, lock, no_such};
use crate::copy::tree::{Copier, Owner, Place};
use crate::engine::Engine;
use crate::error::Result;
use kernel::Context;
use kernel::beneath::Root;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use std::path::Path;

/// Fills volume `name` from `target` in `rootfs`. Nothing happens when the volume has files or
/// the image has no directory there.
pub fn copy_up(engine: &Engine, name: &str, rootfs: &Root, target: &str) -> Result<()> {
    let data = data_path(engine, name);
    let volume = engine.paths().volumes().join(name);
    let (copying, moving) = (volume.join("copying"), volume.join("moving"));
    // The common case, a volume in use, costs no lock. An interrupted move is looked for first.
    if !moving.exists() && !is_empty(&data)? {
        return Ok(());
    }
    let Some(_lock) = lock(engine, name)? else { return Err(no_such(name)) };
    if !moving.exists() {
        if !is_empty(&data)? {
            return Ok(());
        }
        let Some(source) = directory_in(rootfs, Path::new(target))? else { return Ok(()) };
        remove_if_there(&copying)?;
        let copy = Place { directory: Root::open(&volume)?.into_fd(), name: "copying".into() };
        Copier::new(Owner::Same).copy(&source, Path::new(target), &copy, &copying)?;
        std::fs::rename(&copying, &moving).during_at("rename", &copying)?;
    }
    move_content(&moving, &data)
}

/// `None` when there is none: the mount point is made by the start, then.
fn directory_in(rootfs: &Root, target: &Path) -> Result<Option<Place>> {
    match rootfs.open_dir(target) {
        Ok(directory) => Ok(Some(Place { directory, name: ".".into() })),
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn move_content(from: &Path, to: &Path) -> Result<()> {
    // The directory's own attributes first, while a second try still knows of them.
    let place =
        |path: &Path| -> Result<Place> { Ok(Place { directory: Root::open(path)?.into_fd(), name: ".".into() }) };
    Copier::new(Owner::Same).copy_attributes(&place(from)?, from, &place(to)?, to)?;
    for entry in std::fs::read_dir(from).during_at("list", from)? {
        let name = entry.during_at("list", from)?.file_name();
        match rustix::fs::renameat_with(CWD, from.join(&name), CWD, to.join(&name), RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(kernel::Error::at("rename to", to.join(&name), errno).into()),
        }
    }
    remove_if_there(from)
}

fn is_empty(directory: &Path) -> Result<bool> {
    Ok(std::fs::read_dir(directory).during_at("list", directory)?.next().is_none())
}

fn remove_if_there(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Ok(Err(error).during_at("remove", directory)?),
        _ => Ok(()),
    }
}
