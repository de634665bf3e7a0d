//! Advisory locks between processes: flock(2) on a file of ours. The kernel releases a lock
//! with its last descriptor, so a killed holder leaves nothing behind; a forked child shares the
//! lock until it closes its copy.

use crate::{Context, Result};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const FLAGS: OFlags = OFlags::RDWR.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// A held lock; dropping it releases.
#[derive(Debug)]
pub struct Lock(OwnedFd);

impl Lock {
    /// Waits until nobody else holds the lock on `path` (made with mode 0600 if absent).
    pub fn exclusive(path: &Path) -> Result<Lock> {
        Lock::take(path, FlockOperation::LockExclusive)
    }

    /// As `exclusive`, shared with other holders of shared locks.
    pub fn shared(path: &Path) -> Result<Lock> {
        Lock::take(path, FlockOperation::LockShared)
    }

    /// `None` when somebody else holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Lock>> {
        Lock::unless_held(Lock::take(path, FlockOperation::NonBlockingLockExclusive))
    }

    /// Whether somebody holds the lock on `path` exclusively. Those who ask do not disturb each other, and make no file.
    pub fn is_held(path: &Path) -> Result<bool> {
        let fd = match openat(CWD, path, FLAGS, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(false),
            opened => opened.during_at("open lock", path)?,
        };
        match flock(&fd, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => Ok(true),
            tried => tried.map(|()| false).during_at("lock", path),
        }
    }

    fn unless_held(taken: Result<Lock>) -> Result<Option<Lock>> {
        match taken {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.errno == Errno::WOULDBLOCK => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(path: &Path, operation: FlockOperation) -> Result<Lock> {
        let fd = openat(CWD, path, FLAGS | OFlags::CREATE, Mode::from_raw_mode(0o600)).during_at("open lock", path)?;
        loop {
            match flock(&fd, operation) {
                Err(Errno::INTR) => continue,
                result => break result.during_at("lock", path)?,
            }
        }
        Ok(Lock(fd))
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_waits_its_turn() {
        let path = std::env::temp_dir().join(format!("brig-lock-{}", std::process::id()));
        let first = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
        std::fs::remove_file(path).unwrap();
    }
}
