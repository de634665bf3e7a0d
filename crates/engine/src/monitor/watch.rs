//! One descriptor in the monitor's epoll set, with what is wanted of it just now. Nothing
//! wanted means not in the set: a hung-up descriptor reports itself for ever otherwise.

use crate::error::Result;
use kernel::epoll::{Epoll, Interest};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub struct Watched {
    fd: OwnedFd,
    token: u64,
    interest: Interest,
}

impl Watched {
    pub fn new(fd: OwnedFd, token: u64) -> Watched {
        Watched { fd, token, interest: Interest::empty() }
    }

    /// Changes what is waited for.
    pub fn want(&mut self, epoll: &Epoll, interest: Interest) -> Result<()> {
        if interest == self.interest {
            return Ok(());
        }
        if self.interest.is_empty() {
            epoll.add(&self.fd, self.token, interest)?;
        } else if interest.is_empty() {
            epoll.remove(&self.fd)?;
        } else {
            epoll.modify(&self.fd, self.token, interest)?;
        }
        self.interest = interest;
        Ok(())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
