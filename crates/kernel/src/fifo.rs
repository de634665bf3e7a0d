//! Named pipes (fifo(7)) between a container and its monitor. The container's side is opened
//! for reading *and* writing, so that the pipe outlives a killed monitor: nothing written is
//! lost and no writer sees EPIPE; a new monitor opens the same name and reads on. Data is first
//! copied with tee(2), acted on, and only then consumed, for the same reason.

use crate::{Context, Error, Result};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, chownat, fcntl_getfl, fcntl_setfl, mkfifoat, openat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice, tee};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Makes a FIFO with mode 0600 that belongs to `uid`:`gid`, replacing an old one.
pub fn make(path: &Path, uid: u32, gid: u32) -> Result<()> {
    let mode = Mode::from_raw_mode(0o600);
    match mkfifoat(CWD, path, mode) {
        Err(Errno::EXIST) => {
            rustix::fs::unlink(path).during_at("remove old fifo", path)?;
            mkfifoat(CWD, path, mode).during_at("make fifo", path)?;
        }
        result => result.during_at("make fifo", path)?,
    }
    if uid != 0 || gid != 0 {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        chownat(CWD, path, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .during_at("change owner of fifo", path)?;
    }
    Ok(())
}

/// The end for the container: both directions, blocking.
pub fn open_both(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDWR)
}

/// The end for the monitor: reading, non-blocking.
pub fn open_reader(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK)
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    openat(CWD, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).during_at("open fifo", path)
}

/// An anonymous pipe, both ends close-on-exec: (read, write).
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).during("make pipe")
}

/// Makes a descriptor non-blocking. Never for one that another program shares with us.
pub fn set_nonblocking(fd: impl AsFd) -> Result<()> {
    let flags = fcntl_getfl(&fd).during("get flags")?;
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).during("set non-blocking")
}

/// Asks for a larger pipe; keeps the size it has when the kernel refuses (pipe-max-size).
pub fn enlarge(fd: impl AsFd, bytes: usize) {
    let _ = fcntl_setpipe_size(fd, bytes);
}

/// Reads a pipe in two steps: look at the data, then consume it.
#[derive(Debug)]
pub struct Peek {
    scratch_read: OwnedFd,
    scratch_write: OwnedFd,
    sink: OwnedFd,
}

/// What a look at a pipe gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Peeked {
    /// This many bytes are in the buffer and still in the pipe.
    Data(usize),
    /// Nothing now, but there are writers.
    Empty,
    /// Nothing, and no writers left.
    End,
}

impl Peek {
    pub fn new() -> Result<Peek> {
        let (scratch_read, scratch_write) = pipe()?;
        let sink =
            openat(CWD, "/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).during_at("open", "/dev/null")?;
        Ok(Peek { scratch_read, scratch_write, sink })
    }

    /// Copies what the non-blocking pipe holds into `buffer` without consuming it.
    pub fn look(&self, pipe: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Peeked> {
        let copied = match tee(pipe, &self.scratch_write, buffer.len(), SpliceFlags::NONBLOCK) {
            Ok(0) => return Ok(Peeked::End),
            Ok(n) => n,
            Err(Errno::AGAIN) => return Ok(Peeked::Empty),
            Err(errno) => return Err(Error::new("copy from pipe", errno)),
        };
        let mut filled = 0;
        while filled < copied {
            filled += rustix::io::read(&self.scratch_read, &mut buffer[filled..copied]).during("read pipe")?;
        }
        Ok(Peeked::Data(copied))
    }

    /// Drops the first `count` bytes of the pipe, which `look` has shown before.
    pub fn consume(&self, pipe: BorrowedFd<'_>, mut count: usize) -> Result<()> {
        while count > 0 {
            match splice(pipe, None, &self.sink, None, count, SpliceFlags::NONBLOCK) {
                Ok(0) => return Ok(()),
                Ok(n) => count -= n,
                Err(Errno::INTR) => {}
                // The container has read its own output meanwhile.
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(Error::new("consume pipe", errno)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_outlives_a_reader_that_died_between_look_and_consume() {
        let path = std::env::temp_dir().join(format!("brig-fifo-{}", std::process::id()));
        make(&path, 0, 0).unwrap();
        let container = open_both(&path).unwrap();
        rustix::io::write(&container, b"hello").unwrap();
        let mut buffer = [0; 64];
        for _killed in 0..2 {
            let reader = open_reader(&path).unwrap();
            let peek = Peek::new().unwrap();
            assert_eq!(peek.look(reader.as_fd(), &mut buffer).unwrap(), Peeked::Data(5));
            assert_eq!(&buffer[..5], b"hello");
        }
        let reader = open_reader(&path).unwrap();
        let peek = Peek::new().unwrap();
        peek.consume(reader.as_fd(), 5).unwrap();
        assert_eq!(peek.look(reader.as_fd(), &mut buffer).unwrap(), Peeked::Empty);
        drop(container);
        assert_eq!(peek.look(reader.as_fd(), &mut buffer).unwrap(), Peeked::End);
        std::fs::remove_file(path).unwrap();
    }
}
