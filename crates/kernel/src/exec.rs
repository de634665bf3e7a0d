//! execve(2) and what must be right just before it: argument vectors laid out ahead, signals reset,
//! descriptors closed. Called by `runtime` in the child and by `self_exe`.

use crate::error::{Context, Result, last_errno};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A NULL-ended vector of strings as execve wants it, laid out before the fork so that the child
/// allocates nothing.
#[derive(Debug)]
pub struct Strings {
    strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    /// `None` when a string holds a NUL byte.
    pub fn new<I>(strings: I) -> Option<Strings>
    where
        I: IntoIterator,
        I::Item: Into<Vec<u8>>,
    {
        let strings: Vec<CString> = strings.into_iter().map(|s| CString::new(s).ok()).collect::<Option<_>>()?;
        // Each CString keeps its bytes on the heap: moving the vector does not move them.
        let ends = std::iter::once(std::ptr::null());
        let pointers = strings.iter().map(|s| s.as_ptr()).chain(ends).collect();
        Some(Strings { strings, pointers })
    }

    pub fn get(&self, index: usize) -> Option<&CStr> {
        self.strings.get(index).map(CString::as_c_str)
    }
}

/// Replaces the process's program; returns only on failure. `ENOENT` also means that the file's
/// interpreter or loader is missing.
pub fn execve(path: &CStr, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: both vectors end with NULL and point to NUL-ended strings that `Strings` owns.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    last_errno()
}

/// [`execve`] of the file that `fd` (`O_PATH` is enough) means.
pub fn execve_fd(fd: impl AsFd, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: as in `execve`; the path is the empty string, so `fd` itself is executed.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}

/// Sets every signal to its default action and unblocks all. execve resets handlers by itself but
/// keeps what is ignored (SIGPIPE in every Rust program, SIGHUP under nohup) and the mask.
pub fn reset_signals() -> Result<()> {
    // All zero: the default action, no flags, no mask. The kernel's struct sigaction has 32 bytes.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // Not by the C library, which hides its own signals from us. Fails for SIGKILL and SIGSTOP, rightly.
        // SAFETY: the kernel reads one struct sigaction and a null pointer asks for no old one.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), SIGNAL_SET_BYTES)
        };
    }
    let none = 0u64;
    // SAFETY: the kernel reads one signal set of eight bytes.
    let result = unsafe {
        let old = std::ptr::null::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, old, SIGNAL_SET_BYTES)
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }.during("unblock signals")
}

/// The kernel's sigset_t.
const SIGNAL_SET_BYTES: usize = 8;

/// Makes `stdio` the descriptors 0, 1 and 2, leaves the `preserved` ones from 3 on as they are but open across execve,
/// puts `others` behind them (closed by execve) and closes everything else. Descriptors that the caller still names are
/// closed behind its back: they must be neither used nor dropped afterwards, so the process is expected to execve or
/// exit. Of `others` at most [`OTHERS_MAX`].
///
/// Needed before execve even though ours are all close-on-exec: what the caller's caller left open
/// would be a way out of the container (CVE-2024-21626), and its locks would be held on.
pub fn keep_only(stdio: [BorrowedFd<'_>; 3], preserved: u32, others: &[BorrowedFd<'_>]) -> Result<Vec<OwnedFd>> {
    assert!(others.len() <= OTHERS_MAX, "too many descriptors to keep");
    let first_other = 3 + preserved as libc::c_int;
    let end = first_other + others.len() as libc::c_int;
    let mut lifted = [-1; 3 + OTHERS_MAX];
    // First out of the way of 0..end, so that no dup2 overwrites one still needed.
    for (slot, fd) in lifted.iter_mut().zip(stdio.iter().chain(others)) {
        // SAFETY: F_DUPFD_CLOEXEC takes integers only.
        *slot = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, end) };
        if *slot < 0 {
            return Err(last_errno()).during("duplicate descriptor");
        }
    }
    for (target, fd) in (0..3).chain(first_other..end).zip(lifted) {
        // SAFETY: dup2 takes integers only; the doc comment tells what it does to the caller's descriptors.
        if unsafe { libc::dup2(fd, target) } < 0 {
            return Err(last_errno()).during("duplicate descriptor");
        }
    }
    close_from(end)?;
    for fd in 3..first_other {
        // SAFETY: F_SETFD takes integers only.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
            return Err(last_errno()).during(&format!("keep descriptor {fd}, which is not open,"));
        }
    }
    let mut kept = Vec::with_capacity(others.len());
    for fd in first_other..end {
        // SAFETY: made above, and the caller is told that it is now this one.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).during("mark descriptor close-on-exec")?;
        kept.push(fd);
    }
    Ok(kept)
}

/// How many descriptors beside the streams [`keep_only`] keeps.
pub const OTHERS_MAX: usize = 4;

/// True when whoever executed us has left descriptor `number` open: those of our own are closed by an execve.
pub fn is_inherited(number: u32) -> bool {
    let Ok(number) = libc::c_int::try_from(number) else { return false };
    // SAFETY: F_GETFD takes integers only.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Descriptor `number`, which whoever executed us has left open, as our own. `None` when there is no such one, or for one of the
/// standard streams. Must be called once for each, and for none that somebody else in this process owns.
pub fn take(number: u32) -> Option<OwnedFd> {
    if number < 3 || !is_inherited(number) {
        return None;
    }
    // SAFETY: it is open, and the caller promises that nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(number as libc::c_int) })
}

fn close_from(first: libc::c_int) -> Result<()> {
    // SAFETY: close_range takes integers only; `keep_only` passes the duty on.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, libc::c_uint::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }.during("close descriptors")
}

/// Closes a forked child's copy of a descriptor whose owner lives on in the parent. The child must not use it.
pub fn close_copy(fd: BorrowedFd<'_>) {
    // SAFETY: close takes an integer; the owner is the parent's and is never dropped in the child.
    unsafe { libc::close(fd.as_raw_fd()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_with_nul_are_refused() {
        assert!(Strings::new(["a", "b\0c"]).is_none());
        let strings = Strings::new(["a", "b"]).unwrap();
        assert_eq!(strings.pointers.len(), 3);
        assert!(strings.pointers[2].is_null());
        assert_eq!(strings.get(1), Some(c"b"));
    }

    #[test]
    fn a_missing_file_is_reported() {
        let none = Strings::new(Vec::<Vec<u8>>::new()).unwrap();
        assert_eq!(execve(c"/nonexistent", &none, &none), Errno::NOENT);
    }
}
