//! The end of a process that is not our child: a monitor that replaced a killed one has to
//! learn it. The status is kept with the pidfd from Linux 6.15 (PIDFD_GET_INFO with
//! PIDFD_INFO_EXIT, ioctl_pidfd(2)), and readable once the parent has reaped the process.

use crate::pidfd::{Exit, PidFd};
use std::os::fd::{AsFd, AsRawFd};

/// `struct pidfd_info` of linux/pidfd.h, version 0: 64 bytes.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    /// pid, tgid, ppid and eight user and group ids.
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)`
const PIDFD_GET_INFO: u64 = 0xC000_0000 | (64 << 16) | (0xFF << 8) | 11;

/// How it ended; `None` when it has not been reaped yet or the kernel cannot tell.
pub fn exit(pidfd: &PidFd) -> Option<Exit> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request number carries the size of the structure that the pointer leads to.
    let result = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    if result != 0 || info.mask & PIDFD_INFO_EXIT == 0 {
        return None;
    }
    let status = info.exit_code;
    Some(if libc::WIFEXITED(status) {
        Exit::Code(libc::WEXITSTATUS(status))
    } else {
        Exit::Signal { signal: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_status_after_reaping_where_the_kernel_knows() {
        let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pidfd = PidFd::open(child.id() as i32).unwrap();
        child.wait().unwrap();
        assert!(matches!(exit(&pidfd), None | Some(Exit::Code(7))));
    }
}
