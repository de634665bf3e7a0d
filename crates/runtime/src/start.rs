//! Letting a created process go: it becomes its program. Called once for each [`Created`].

use crate::create::Created;
use crate::error::{Error, Result};
use crate::shown_root::ShownRoot;
use crate::spawn::reap;
use crate::sync::{Message, Socket};
use kernel::pidfd::PidFd;
use std::os::fd::OwnedFd;

/// A process that has become its program.
#[derive(Debug)]
pub struct Running {
    /// As the caller's pid namespace counts.
    pub pid: i32,
    pub pidfd: PidFd,
    /// Master side of the terminal, if one was asked for.
    pub console: Option<OwnedFd>,
}

impl Created {
    /// `Ok` after execve has succeeded. On an error the process has ended and is reaped.
    pub fn start(self) -> Result<Running> {
        let Created { pid, pidfd, console, socket, shown_root } = self;
        match start(&socket) {
            Ok(()) => Ok(Running { pid, pidfd, console }),
            Err(error) => {
                reap(&pidfd);
                shown_root.iter().for_each(ShownRoot::take_off);
                Err(error)
            }
        }
    }

    /// Ends the process and reaps it; nothing of the container is left.
    pub fn abandon(self) {
        reap(&self.pidfd);
        self.shown_root.iter().for_each(ShownRoot::take_off);
    }
}

fn start(socket: &Socket) -> Result<()> {
    socket.send(&Message::Start)?;
    match socket.receive()? {
        // execve closed the other end.
        None => Ok(()),
        Some(Message::Failed(error)) => Err(error),
        Some(_) => Err(Error::Ended),
    }
}
