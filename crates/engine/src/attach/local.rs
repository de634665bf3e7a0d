//! The user's side of a relay: standard streams, terminal size and signals of this process.
//! Shared by the relay to a monitor and the one to an exec'd process.

use super::detach_keys::Watch;
use crate::error::{Error, Result};
use kernel::signal::{Signal, SignalFd, SignalSet, set_mask};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// What is connected to what.
#[derive(Debug)]
pub struct Relay<'a> {
    pub stdin: Option<BorrowedFd<'a>>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
    /// The container has a terminal and so have we: sizes and detach keys are handed on.
    pub terminal: bool,
    /// Empty: no way to detach by keys.
    pub detach_keys: Vec<u8>,
    /// Signals that we get go to the container's process.
    pub forward_signals: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The shell's number: 128 + n after signal n.
    Exited(i32),
    Detached,
    /// Nobody reads our output any more (EPIPE).
    OutputClosed,
    /// The other side vanished without an exit status.
    Lost,
}

/// What the user did.
#[derive(Debug)]
pub enum Input {
    Data(Vec<u8>),
    End,
    Detach,
}

/// Signals are blocked and read from a descriptor for as long as this lives.
pub struct Local<'a> {
    relay: &'a Relay<'a>,
    signals: SignalFd,
    mask_before: SignalSet,
    watch: Watch,
    stdin_open: bool,
}

/// Without these in the set: the kernel's own affairs and what would stop us from being debugged.
const NEVER_FORWARDED: [Signal; 5] = [Signal::KILL, Signal::STOP, Signal::CHLD, Signal::PIPE, Signal::URG];
/// Bytes that a pipe takes without blocking when poll(2) calls it writable (PIPE_BUF).
const WRITE_BYTES: usize = 4096;

impl<'a> Local<'a> {
    pub fn new(relay: &'a Relay<'a>) -> Result<Local<'a>> {
        let mut set = if relay.forward_signals { SignalSet::ALL.without(&NEVER_FORWARDED) } else { SignalSet::EMPTY };
        if relay.terminal {
            set = set.with(Signal::WINCH);
        } else {
            set = set.without(&[Signal::WINCH]);
        }
        let mask_before = set_mask(set)?;
        let keys = if relay.terminal { relay.detach_keys.clone() } else { Vec::new() };
        Ok(Local {
            relay,
            signals: SignalFd::new(set)?,
            mask_before,
            watch: Watch::new(keys),
            stdin_open: relay.stdin.is_some(),
        })
    }

    /// To poll for reading: signals, then standard input while it is open and wanted.
    pub fn poll_fds(&self, want_input: bool) -> (PollFd<'_>, Option<PollFd<'_>>) {
        let signals = PollFd::new(&self.signals, PollFlags::IN);
        let stdin = self.relay.stdin.as_ref().filter(|_| want_input && self.stdin_open);
        (signals, stdin.map(|fd| PollFd::new(fd, PollFlags::IN)))
    }

    pub fn next_signal(&self) -> Option<Signal> {
        self.signals.read()
    }

    /// (width, height) of the user's terminal.
    pub fn size(&self) -> Option<(u16, u16)> {
        if !self.relay.terminal {
            return None;
        }
        kernel::terminal::size(self.relay.stdout).or_else(|| self.relay.stdin.and_then(kernel::terminal::size))
    }

    /// Reads standard input once; called when poll(2) says so.
    pub fn read_input(&mut self) -> Result<Input> {
        let Some(stdin) = self.relay.stdin else { return Ok(Input::End) };
        let mut buffer = [0; 65536];
        match rustix::io::read(stdin, &mut buffer) {
            Ok(0) => {
                self.stdin_open = false;
                Ok(Input::End)
            }
            Ok(count) => match self.watch.filter(&buffer[..count]) {
                (_, true) => Ok(Input::Detach),
                (data, false) => Ok(Input::Data(data)),
            },
            Err(Errno::AGAIN | Errno::INTR) => Ok(Input::Data(Vec::new())),
            // A background process group may not read its terminal, and a closed one cannot be read.
            Err(_) => {
                self.stdin_open = false;
                Ok(Input::End)
            }
        }
    }

    /// Writes all of `data`. While the reader of our output is slow, `on_signal` gets the signals that arrive.
    /// False when nobody reads any more.
    pub fn write(&self, to_stderr: bool, data: &[u8], mut on_signal: impl FnMut(Signal) -> Result<()>) -> Result<bool> {
        let target = if to_stderr { self.relay.stderr } else { self.relay.stdout };
        let mut rest = data;
        while !rest.is_empty() {
            let mut fds = [PollFd::new(&target, PollFlags::OUT), PollFd::new(&self.signals, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(kernel::Error::new("poll", errno).into()),
            }
            let (writable, signalled) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
            if signalled {
                while let Some(signal) = self.next_signal() {
                    on_signal(signal)?;
                }
            }
            if !writable {
                continue;
            }
            match rustix::io::write(target.as_fd(), &rest[..rest.len().min(WRITE_BYTES)]) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(Errno::PIPE) => return Ok(false),
                Err(errno) => {
                    let name = if to_stderr { "standard error" } else { "standard output" };
                    return Err(Error::Kernel(kernel::Error::new(format!("write to {name}"), errno)));
                }
            }
        }
        Ok(true)
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        let _ = set_mask(self.mask_before);
    }
}
