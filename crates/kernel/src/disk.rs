//! Disks as far as the store cares: making written data durable. Called by `image` after a pull.
//! What must be durable and what need not be is the callers' to say.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_work() {
        let directory = std::env::temp_dir();
        sync_directory(&directory).unwrap();
        sync_filesystem(File::open(&directory).unwrap()).unwrap();
        assert!(sync_directory(Path::new("/nonexistent")).is_err());
    }
}
