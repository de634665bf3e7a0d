//! The lowest directory of every rootfs: files and directories that are mounted over and that
//! an image may lack (`/etc/hosts`, `/proc`, …). Being lowest, it never hides anything of the
//! image, and nothing of it shows up in `diff` or `commit`.

use crate::error::Result;
use crate::paths::Paths;
use kernel::Context;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
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
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o755);
    builder.create(&temporary).during_at("make directory", &temporary)?;
    for name in DIRECTORIES {
        builder.create(temporary.join(name)).during_at("make directory", temporary.join(name))?;
    }
    for name in FILES {
        let file = temporary.join(name);
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&file).during_at("make", &file)?;
    }
    symlink("/proc/mounts", temporary.join("etc/mtab")).during_at("make link", temporary.join("etc/mtab"))?;
    if std::fs::rename(&temporary, &path).is_err() {
        // Somebody else was first; theirs is the same.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    Ok(path)
}
