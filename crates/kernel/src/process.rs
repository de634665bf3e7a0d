//! Naming a process so that a reused number is noticed: pid plus start time from
//! `/proc/PID/stat`. State files keep this pair; the truth is always asked of the kernel.

use crate::error::{Context, Error, Result};
use crate::pidfd::PidFd;
use rustix::io::Errno;

/// A process for good: `start_time` is in clock ticks since boot (proc_pid_stat(5), field 22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    pub pid: i32,
    pub start_time: u64,
}

impl ProcessId {
    /// `ESRCH` when there is no such process.
    pub fn of(pid: i32) -> Result<ProcessId> {
        Ok(ProcessId { pid, start_time: stat(pid)?.start_time })
    }

    pub fn own() -> Result<ProcessId> {
        ProcessId::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// True while this very process runs: not when it is a zombie, nor when its number has been reused.
    pub fn is_alive(&self) -> bool {
        matches!(stat(self.pid), Ok(stat) if stat.start_time == self.start_time && !matches!(stat.state, b'Z' | b'X'))
    }

    /// A descriptor of this very process; `ESRCH` when it has ended.
    pub fn open(&self) -> Result<PidFd> {
        let pidfd = PidFd::open(self.pid)?;
        // Checked after opening: from here on the number cannot change its meaning.
        if self.is_alive() { Ok(pidfd) } else { Err(Error::new(format!("open process {}", self.pid), Errno::SRCH)) }
    }
}

/// The start time of `pid`, in clock ticks since boot.
pub fn start_time(pid: i32) -> Result<u64> {
    stat(pid).map(|stat| stat.start_time)
}

struct Stat {
    state: u8,
    start_time: u64,
}

fn stat(pid: i32) -> Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    match std::fs::read(&path) {
        Ok(text) => parse(&text).ok_or_else(|| Error::at("parse", &path, Errno::INVAL)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::new(format!("find process {pid}"), Errno::SRCH))
        }
        Err(e) => Err(e).during_at("read", &path),
    }
}

/// The name (field 2) may hold spaces and brackets: count from the last `)`.
fn parse(text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|b| *b == b')')? + 1;
    let mut fields = std::str::from_utf8(&text[after_name..]).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?; // field 3
    let start_time = fields.nth(18)?.parse().ok()?; // field 22
    Some(Stat { state, start_time })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_do_not_shift_fields() {
        let line = b"7 (a) R 1 (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 999 20 21";
        let stat = parse(line).unwrap();
        assert_eq!((stat.state, stat.start_time), (b'S', 999));
    }

    #[test]
    fn own_process_lives() {
        let own = ProcessId::own().unwrap();
        assert!(own.is_alive());
        assert!(own.open().is_ok());
        assert!(!ProcessId { start_time: own.start_time + 1, ..own }.is_alive());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap();
        while id.is_alive() {
            std::thread::yield_now();
        }
        let mut child = child;
        child.wait().unwrap();
    }

    proptest! {
        #[test]
        fn parse_never_panics(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}
