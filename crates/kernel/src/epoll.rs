//! Waiting for many descriptors at once: epoll(7), level-triggered. The monitor's and the
//! terminal relay's loops stand on it.

use crate::{Context, Result};
use rustix::event::epoll;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub use rustix::event::epoll::EventFlags as Interest;

/// A set of watched descriptors, each under a token that its events carry.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// What happened on the descriptor that was added under `token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub token: u64,
    pub flags: Interest,
}

impl AsFd for Epoll {
    /// Readable when there are events: one set can be watched by another.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Epoll {
    pub fn new() -> Result<Epoll> {
        epoll::create(epoll::CreateFlags::CLOEXEC).during("create epoll").map(Epoll)
    }

    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::add(&self.0, fd, epoll::EventData::new_u64(token), interest).during("add to epoll")
    }

    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::modify(&self.0, fd, epoll::EventData::new_u64(token), interest).during("modify epoll")
    }

    pub fn remove(&self, fd: impl AsFd) -> Result<()> {
        epoll::delete(&self.0, fd).during("remove from epoll")
    }

    /// Waits for events; `None` waits for ever. An interrupted wait is an empty answer.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<Event>> {
        let mut buffer = Vec::with_capacity(16);
        let timeout = timeout
            .map(|t| rustix::event::Timespec { tv_sec: t.as_secs() as i64, tv_nsec: i64::from(t.subsec_nanos()) as _ });
        match epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut buffer), timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(errno) => return Err(crate::Error::new("wait on epoll", errno)),
        }
        Ok(buffer.iter().map(|e| Event { token: e.data.u64(), flags: e.flags }).collect())
    }
}
