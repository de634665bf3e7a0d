//! Disks as far as the store cares: making written data durable. Called by `image` after a pull.
//! What must be durable and what need not be is the callers' to say.

use crate::error::{Context, Result};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Writes everything pending on the file system of `fd` to the disk (syncfs(2)): one call after
/// thousands of small files, rather than an fsync for each.
pub fn sync_filesystem(fd: impl AsFd) -> Result<()> {
    rustix::fs::syncfs(fd).during("sync file system")
}

/// Makes a rename or unlink inside `directory` durable.
pub fn sync_directory(directory: &Path) -> Result<()> {
    let file = File::open(directory).during_at("open", directory)?;
    file.sync_all().during_at("sync", directory)
}

/// What `path` and all below it take on the disk, in bytes: blocks, each inode once, as du(1) counts. What vanishes
/// meanwhile is left out, a missing `path` takes nothing. Nothing is followed, other file systems are not entered.
pub fn allocated_bytes(path: &Path) -> Result<u64> {
    let top = match openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(0),
        result => result.during_at("open", path)?,
    };
    let top = rustix::fs::fstat(&top).during_at("stat", path)?;
    let (mut total, mut seen, mut pending) = (block_bytes(&top), HashSet::new(), Vec::new());
    if FileType::from_raw_mode(top.st_mode).is_dir() {
        pending.push(path.to_owned());
    }
    while let Some(directory) = pending.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = match openat(CWD, &directory, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            result => result.during_at("list", &directory)?,
        };
        for entry in Dir::read_from(&open).during_at("list", &directory)? {
            let entry = entry.during_at("list", &directory)?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = statat(&open, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if stat.st_dev != top.st_dev || (stat.st_nlink > 1 && !is_directory(&stat) && !seen.insert(stat.st_ino)) {
                continue;
            }
            total += block_bytes(&stat);
            if is_directory(&stat) {
                pending.push(directory.join(OsStr::from_bytes(name.to_bytes())));
            }
        }
    }
    Ok(total)
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_dir()
}

/// The unit of `st_blocks` is 512 bytes whatever the file system (stat(3type)).
fn block_bytes(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_du_says() {
        let base = std::env::temp_dir().join(format!("brig-disk-{}", std::process::id()));
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::fs::write(base.join("a/file"), [1; 10_000]).unwrap();
        std::fs::hard_link(base.join("a/file"), base.join("a/b/link")).unwrap();
        std::fs::File::create(base.join("hole")).unwrap().set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("/", base.join("root")).unwrap();
        let du = std::process::Command::new("du").args(["-s", "-B1"]).arg(&base).output().unwrap();
        let du: u64 = String::from_utf8(du.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        assert_eq!(allocated_bytes(&base).unwrap(), du);
        let file = std::fs::metadata(base.join("a/file")).unwrap();
        assert_eq!(allocated_bytes(&base.join("a/file")).unwrap(), std::os::unix::fs::MetadataExt::blocks(&file) * 512);
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(allocated_bytes(&base).unwrap(), 0);
    }

    #[test]
    fn calls_work() {
        let directory = std::env::temp_dir();
        sync_directory(&directory).unwrap();
        sync_filesystem(File::open(&directory).unwrap()).unwrap();
        assert!(sync_directory(Path::new("/nonexistent")).is_err());
    }
}
