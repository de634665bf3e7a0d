//! Beginning to write a file's pages to the disk long before they are synced (sync_file_range(2)), so that the sync
//! waits for the last of them only. Called by `image` while a layer comes in. Makes nothing durable.

use crate::error::{Context, Result, last_errno};
use std::fs::File;
use std::os::fd::AsRawFd;

/// Starts writing the dirty pages of `length` bytes from `offset` and does not wait for them. File systems that cannot
/// (`ESPIPE`, `EINVAL`, `ENOSYS`) are left alone: it is only a matter of speed.
pub fn begin(file: &File, offset: u64, length: u64) -> Result<()> {
    let (offset, length) = (offset as libc::off64_t, length as libc::off64_t);
    // SAFETY: takes numbers only, and the descriptor is open for as long as `file` is borrowed.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    if result == 0 {
        return Ok(());
    }
    match last_errno() {
        rustix::io::Errno::SPIPE | rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS => Ok(()),
        errno => Err(errno).during("begin to write to disk"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn begins_and_refuses_quietly() {
        let path = std::env::temp_dir().join(format!("brig-writeback-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        file.write_all(&[1; 9000]).unwrap();
        begin(&file, 0, 8192).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (_reader, writer) = std::io::pipe().unwrap();
        begin(&File::from(std::os::fd::OwnedFd::from(writer)), 0, 1).unwrap();
    }
}
