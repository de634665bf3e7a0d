//! Disks as far as the store cares: making written data durable, and room left. Called by
//! `image` after a pull and by whoever must explain a full disk.

use crate::error::{Context, Result};
use std::fs::File;
use std::os::fd::AsFd;
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

/// Room in bytes for an unprivileged writer on the file system that holds `path`.
pub fn available_bytes(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).during_at("ask for room on", path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_work() {
        let directory = std::env::temp_dir();
        assert!(available_bytes(&directory).unwrap() > 0);
        sync_directory(&directory).unwrap();
        sync_filesystem(File::open(&directory).unwrap()).unwrap();
        assert!(available_bytes(Path::new("/nonexistent")).is_err());
    }
}
