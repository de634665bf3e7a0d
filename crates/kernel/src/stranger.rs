//! The end of a process that is not our child: a monitor that replaced a killed one has to
//! learn it. While nobody has reaped the process, `/proc/PID/stat` tells (field 52,
//! proc_pid_stat(5)); afterwards its pidfd does from Linux 6.15 (PIDFD_GET_INFO with
//! PIDFD_INFO_EXIT, ioctl_pidfd(2)).

use crate::pidfd::{Exit, PidFd};
use crate::process::ProcessId;
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

/// How the ended process `id`, open as `pidfd`, ended; `None` when it has been reaped on a kernel that does not tell.
pub fn exit(pidfd: &PidFd, id: ProcessId) -> Option<Exit> {
    // In this order: between the two looks a zombie may be reaped, but never comes back.
    zombie_status(id).or_else(|| pidfd_status(pidfd)).map(decode)
}

/// The same for one that nobody has opened: known only while it is a zombie.
pub fn exit_of_zombie(id: ProcessId) -> Option<Exit> {
    zombie_status(id).map(decode)
}

fn zombie_status(id: ProcessId) -> Option<i32> {
    // A process may give itself a name that is no text.
    let stat = std::fs::read(format!("/proc/{}/stat", id.pid)).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name (field 2) may hold spaces and brackets: count from the last `)`, behind which field 3 comes first.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, start_time, status) = (fields.first()?, fields.get(19)?, fields.get(49)?);
    let same = *state == "Z" && start_time.parse() == Ok(id.start_time);
    status.parse().ok().filter(|_| same)
}

fn pidfd_status(pidfd: &PidFd) -> Option<i32> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request number carries the size of the structure that the pointer leads to.
    let result = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// As waitpid(2) words it.
fn decode(status: i32) -> Exit {
    if libc::WIFEXITED(status) {
        Exit::Code(libc::WEXITSTATUS(status))
    } else {
        Exit::Signal { signal: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_status_before_and_after_reaping() {
        let script = "printf 'a) Z \\377' > /proc/self/comm; exit 7";
        let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap();
        let pidfd = PidFd::open(id.pid).unwrap();
        while !pidfd.has_ended().unwrap() {
            std::thread::yield_now();
        }
        assert_eq!(exit(&pidfd, id), Some(Exit::Code(7)));
        assert_eq!(exit_of_zombie(id), Some(Exit::Code(7)));
        assert_eq!(exit_of_zombie(ProcessId { start_time: id.start_time + 1, ..id }), None);
        child.wait().unwrap();
        // Only newer kernels tell.
        assert!(matches!(exit(&pidfd, id), None | Some(Exit::Code(7))));
    }
}
