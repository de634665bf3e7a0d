//! Cutting a forked process loose from the program that started it, so that it can outlive it:
//! session, standard streams, working directory and the descriptors that came from outside.

use crate::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::FdFlags;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Makes the calling process a session leader without terminal, in `/`, with `/dev/null` as
/// standard streams and without inherited descriptors (ours are close-on-exec, theirs are not):
/// a caller that waits for the end of a pipe of its own must not wait for us.
pub fn detach() -> Result<()> {
    rustix::process::setsid().during("make session")?;
    rustix::process::chdir("/").during_at("change to", "/")?;
    null_standard_streams()?;
    close_inherited()
}

fn null_standard_streams() -> Result<()> {
    let null =
        openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).during_at("open", "/dev/null")?;
    rustix::stdio::dup2_stdin(&null).during("replace standard input")?;
    rustix::stdio::dup2_stdout(&null).during("replace standard output")?;
    rustix::stdio::dup2_stderr(&null).during("replace standard error")
}

fn close_inherited() -> Result<()> {
    let listing = std::fs::read_dir("/proc/self/fd").during_at("list", "/proc/self/fd")?;
    let numbers: Vec<RawFd> = listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: only asks for flags; a number that is closed by now gives EBADF.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        if matches!(rustix::io::fcntl_getfd(borrowed), Ok(flags) if !flags.contains(FdFlags::CLOEXEC)) {
            // SAFETY: every descriptor of this program is close-on-exec, so nobody here owns this one.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
    Ok(())
}
