//! Pseudoterminals (pts(4)). The pair is made from a devpts instance that may belong to a
//! hostile container, so the slave is taken by ioctl from its master (TIOCGPTPEER, Linux 4.13)
//! and never by path.

use crate::error::last_errno;
use crate::{Context, Error, Result};
use rustix::fs::{Mode, OFlags, openat};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

#[derive(Debug)]
pub struct Pty {
    pub master: OwnedFd,
    pub slave: OwnedFd,
}

/// Opens `ptmx` in the directory `devpts` (a mounted devpts).
pub fn open(devpts: impl AsFd) -> Result<Pty> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let master = openat(devpts, "ptmx", flags, Mode::empty()).during("open ptmx")?;
    rustix::pty::unlockpt(&master).during("unlock pty")?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags by value and returns a new descriptor or -1.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER as _, flags) };
    if slave < 0 {
        return Err(Error::new("open pty slave", last_errno()));
    }
    // SAFETY: the ioctl has just returned this descriptor and nobody else owns it.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    Ok(Pty { master, slave })
}

/// Sets the size in characters; the foreground process group gets SIGWINCH.
pub fn set_size(master: impl AsFd, width: u16, height: u16) -> Result<()> {
    let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).during("set terminal size")
}

/// Makes `slave` the controlling terminal of the calling session leader.
pub fn make_controlling(slave: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(slave).during("set controlling terminal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    #[test]
    fn both_ends_talk() {
        let devpts = openat(CWD, "/dev/pts", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let pty = open(devpts).unwrap();
        set_size(&pty.master, 99, 33).unwrap();
        let size = rustix::termios::tcgetwinsize(&pty.slave).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (99, 33));
        rustix::io::write(&pty.slave, b"x").unwrap();
        assert_eq!(rustix::io::read(&pty.master, &mut [0; 8]).unwrap(), 1);
    }
}
