//! Reading and writing the small files of the cgroup file systems, with errors that name them.

use crate::{Context, Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

pub(super) fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).during_at("open", path)
}

/// The whole file. Not `std::fs::read`, which asks for the size first: these files have none.
pub(super) fn read(dir: &Path, name: &str) -> Result<String> {
    let path = dir.join(name);
    let fd = open(&path, OFlags::RDONLY)?;
    let mut text = Vec::with_capacity(4096);
    loop {
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut text)) {
            Ok(0) => break,
            Ok(_) => text.reserve(4096),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::at("read", path, errno)),
        }
    }
    String::from_utf8(text).map_err(|_| Error::at("read", path, Errno::ILSEQ))
}

/// `None` when the machine or its kernel has no such file.
pub(super) fn read_if_there(dir: &Path, name: &str) -> Result<Option<String>> {
    match read(dir, name) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.errno == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// A number, or `None` where the file says `max`, is beyond what version 1 means by "unlimited",
/// or is not there.
pub(super) fn number(dir: &Path, name: &str) -> Result<Option<u64>> {
    let text = read_if_there(dir, name)?;
    Ok(text.and_then(|text| text.trim().parse().ok()).filter(|&n| n < V1_UNLIMITED))
}

/// Version 1 shows no limit as the greatest number of pages, in bytes: 2^63 less one page, of
/// 4 KiB or 64 KiB.
const V1_UNLIMITED: u64 = (1 << 63) - (1 << 16);

/// One write(2), as the kernel takes a value.
pub(super) fn write(dir: &Path, name: &str, value: &str) -> Result<()> {
    let path = dir.join(name);
    let failed = |errno| Error::at(format!("write {value:?} to"), &path, errno);
    let fd = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    loop {
        match rustix::io::write(&fd, value.as_bytes()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}

/// [`write`] to a file whose name has a part that the user chose: that may not lead elsewhere.
pub(super) fn write_plain(dir: &Path, name: &str, value: &str) -> Result<()> {
    if name.contains('/') {
        return Err(Error::at(format!("write {name:?} of"), dir, Errno::INVAL));
    }
    write(dir, name, value)
}

/// The number after `key` in a flat keyed file: lines of `key number`.
pub(super) fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 12\n";
        assert_eq!(field(text, "oom_kill"), Some(12));
        assert_eq!(field(text, "oom"), None);
        assert_eq!(field("", "oom_kill"), None);
    }
}
