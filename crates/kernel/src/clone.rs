//! Making processes: clone3(2) with namespaces, pidfd and cgroup at once, and fork(2) as its
//! plain case. The child runs a closure and exits with its result, so no frame of the parent
//! is ever continued twice. Called by `runtime` and by the monitor's start.

use crate::error::{Error, Result, last_errno};
use crate::namespace;
use crate::pidfd::PidFd;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::AssertUnwindSafe;

/// A new process; dropping it does not end the process.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
    pub pidfd: PidFd,
}

/// What the new process gets instead of sharing its parent's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    pub namespaces: namespace::Set,
    /// A cgroup v2 directory to be born in (Linux 5.7).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The child becomes the caller's sibling: the caller's parent is its parent and reaps it.
    pub sibling: bool,
}

/// clone_args of linux/sched.h, all 11 fields (88 bytes, Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks a process that runs `child` and exits with what it returns. Where panics unwind (they abort the release
/// binary), one ends it with 101.
///
/// The calling process must be single-threaded: a lock held by another thread, the allocator's
/// for one, would stay locked in the child for ever.
pub fn clone3(options: Options<'_>, child: impl FnOnce() -> i32) -> Result<Child> {
    let mut pidfd: libc::c_int = -1;
    let mut flags = u64::from(options.namespaces.bits()) | libc::CLONE_PIDFD as u64;
    let mut args = CloneArgs {
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal: libc::SIGCHLD as u64, // any other, and plain waits would not see the child
        ..CloneArgs::default()
    };
    if let Some(cgroup) = options.cgroup {
        flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    if options.sibling {
        flags |= libc::CLONE_PARENT as u64;
        args.exit_signal = 0; // must be 0: the kernel takes the caller's own
    }
    args.flags = flags;
    // SAFETY: without CLONE_VM and with stack 0 this behaves like fork: the child has a copy of all
    // memory and continues here on its own stack. The kernel writes one int to `pidfd`, which
    // outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    match pid {
        0 => run_and_exit(child),
        -1 => Err(Error::new("create process", last_errno())),
        // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD).
        pid => Ok(Child { pid: pid as i32, pidfd: PidFd::from(unsafe { OwnedFd::from_raw_fd(pidfd) }) }),
    }
}

/// [`clone3`] with nothing new. By the older clone(2), which containers' seccomp filters let through where they
/// refuse clone3, because its flags are in plain sight.
pub fn fork(child: impl FnOnce() -> i32) -> Result<Child> {
    let mut pidfd: libc::c_int = -1;
    let flags = libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: as in `clone3`; with CLONE_PIDFD the third argument is where the kernel writes the descriptor.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0, &raw mut pidfd, 0, 0) };
    match pid {
        0 => run_and_exit(child),
        -1 => Err(Error::new("fork", last_errno())),
        // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD).
        pid => Ok(Child { pid: pid as i32, pidfd: PidFd::from(unsafe { OwnedFd::from_raw_fd(pidfd) }) }),
    }
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn run_and_exit(child: impl FnOnce() -> i32) -> ! {
    // Unwinding must not reach the parent's frames.
    let code = std::panic::catch_unwind(AssertUnwindSafe(child)).unwrap_or(101);
    exit(code)
}

/// Ends the process at once: no atexit handlers, no flushing of buffers copied from the parent.
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pidfd::Exit;

    #[test]
    fn the_child_exits_with_the_closures_result() {
        // The closure allocates nothing, so the test harness's threads do no harm.
        let child = fork(|| 42).unwrap();
        assert_eq!(child.pidfd.wait().unwrap(), Exit::Code(42));
    }
}
