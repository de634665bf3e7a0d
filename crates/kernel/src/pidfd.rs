//! Descriptors of processes (pidfd_open(2)): a process that cannot be mistaken for a later one
//! with the same number. Signals, waiting and poll work on it; `clone` makes them with the process.

use crate::error::{Context, Error, Result, last_errno};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Readable for poll(2) once the process has ended.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal { signal: i32, core_dumped: bool },
}

impl Exit {
    /// The shell's number: the code itself, or 128 plus the signal.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal { signal, .. } => 128 + signal,
        }
    }
}

impl PidFd {
    /// `ESRCH` when there is no such process. A zombie can be opened.
    pub fn open(pid: i32) -> Result<PidFd> {
        let id = Pid::from_raw(pid).ok_or_else(|| Error::new("open process 0", Errno::INVAL))?;
        rustix::process::pidfd_open(id, PidfdFlags::empty()).map(PidFd).during(&format!("open process {pid}"))
    }

    /// Sends signal number `signal` (0 only checks). `ESRCH` when the process has ended and been reaped.
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        // libc and not rustix: rustix's `Signal` cannot hold 0, and we pass real-time signals on too.
        // SAFETY: a null siginfo is allowed (pidfd_send_signal(2)); nothing is written.
        let result = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, std::ptr::null::<libc::c_void>(), 0)
        };
        if result == 0 { Ok(()) } else { Err(Error::new(format!("send signal {signal}"), last_errno())) }
    }

    /// Waits for our own child to end and reaps it. `ECHILD` when it is not our child.
    pub fn wait(&self) -> Result<Exit> {
        loop {
            match self.wait_with(WaitIdOptions::EXITED) {
                Ok(Some(exit)) => return Ok(exit),
                Ok(None) => {}
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::new("wait for process", errno)),
            }
        }
    }

    /// Reaps our child if it has ended; `None` while it runs.
    pub fn try_wait(&self) -> Result<Option<Exit>> {
        self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG).during("wait for process")
    }

    /// True once the process has ended, whoever's child it is.
    pub fn has_ended(&self) -> Result<bool> {
        let mut fds = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        let ready = rustix::event::poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
        ready.map(|n| n > 0).during("poll process")
    }

    fn wait_with(&self, options: WaitIdOptions) -> rustix::io::Result<Option<Exit>> {
        Ok(rustix::process::waitid(WaitId::PidFd(self.0.as_fd()), options)?.map(exit_of))
    }
}

fn exit_of(status: WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (_, Some(signal)) => Exit::Signal { signal, core_dumped: status.dumped() },
        // Not reached: only WEXITED is asked for, and each end is one of the two.
        _ => Exit::Code(255),
    }
}

impl From<OwnedFd> for PidFd {
    fn from(fd: OwnedFd) -> PidFd {
        PidFd(fd)
    }
}

impl From<PidFd> for OwnedFd {
    fn from(pidfd: PidFd) -> OwnedFd {
        pidfd.0
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_child_end() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pidfd = PidFd::open(child.id() as i32).unwrap();
        assert!(!pidfd.has_ended().unwrap());
        assert_eq!(pidfd.try_wait().unwrap(), None);
        pidfd.send_signal(libc::SIGKILL).unwrap();
        let exit = pidfd.wait().unwrap();
        assert_eq!(exit, Exit::Signal { signal: 9, core_dumped: false });
        assert_eq!(exit.code(), 137);
        assert_eq!(pidfd.send_signal(0).unwrap_err().errno, Errno::SRCH);
        assert!(child.try_wait().is_err());
    }
}
