//! The lowest directory of every rootfs: files and directories that are mounted over and that
//! an image may lack (`/etc/hosts`, `/proc`, …). Being lowest, it never hides anything of the
//! image, and nothing of it shows up in `diff` or `commit`.

use crate::error::Result;
use crate::file;
use crate::paths::Paths;
use kernel::Context;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

const DIRECTORIES: [&str; 7] = ["proc", "sys", "dev", "dev/pts", "dev/shm", "dev/mqueue", "etc"];
const FILES: [&str; 4] = ["etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/console"];

/// The directory's path; made on first use.
pub fn ensure(paths: &Paths) -> Result<PathBuf> {
    let path = paths.skeleton();
    if path.is_dir() {
        return Ok(path);
    }
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    // A former process of this number may have been killed half-way.
    let _ = std::fs::remove_dir_all(&temporary);
    file::make_visible_directory(&temporary)?;
    for name in DIRECTORIES {
        file::make_visible_directory(&temporary.join(name))?;
    }
    for name in FILES {
        file::make_visible_file(&temporary.join(name))?;
    }
    symlink("/proc/mounts", temporary.join("etc/mtab")).during_at("make link", temporary.join("etc/mtab"))?;
    if std::fs::rename(&temporary, &path).is_err() {
        // Somebody else was first; theirs is the same.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    Ok(path)
}
