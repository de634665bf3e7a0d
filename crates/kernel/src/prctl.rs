//! Switches of the process itself (prctl(2)): dumpable, privileges, reaping, name. Each is one small
//! call named for its effect; when in a container's start it happens is `runtime`'s.

use crate::error::{Context, Error, Result};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use std::io::Read;

const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// Forbids others, and processes of the same user, to trace this process or to reach it through
/// `/proc/PID`, until execve. Guards a process that has entered a container but is not yet its
/// program (CVE-2016-9962).
pub fn forbid_inspection() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).during("forbid inspection")
}

/// execve grants no privileges from now on: no setuid, no file capabilities. Cannot be undone.
pub fn no_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true).during("forbid new privileges")
}

/// Whether permitted capabilities survive the change from user 0 to another.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    rustix::thread::set_keep_capabilities(keep).during("keep capabilities")
}

/// Orphaned descendants become children of this process, as they would of a pid 1.
pub fn become_subreaper() -> Result<()> {
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).during("become reaper of descendants")
}

/// The short name shown by ps and top; at most 15 bytes count.
pub fn set_name(name: &std::ffi::CStr) -> Result<()> {
    rustix::thread::set_name(name).during("set process name")
}

/// Overwrites the command line and environment that the process was started with, as `/proc/PID/cmdline`
/// and `/proc/PID/environ` show them, with `title` and nothing else. For a process that stays in a
/// container without execve: those words are the host's.
///
/// Must be called in a process that reads neither its arguments nor its environment afterwards.
pub fn replace_command_line(title: &str) -> Result<()> {
    const PATH: &str = "/proc/self/stat";
    let mut file = std::fs::File::open(PATH).during_at("open", PATH)?;
    // Where /proc is not mounted, an image may have put any file there.
    let file_system = rustix::fs::fstatfs(&file).during_at("stat file system", PATH)?;
    if file_system.f_type as u64 != PROC_SUPER_MAGIC {
        return Err(Error::at("read", PATH, Errno::NODEV));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).during_at("read", PATH)?;
    let [arg_start, arg_end, env_start, env_end] =
        areas(&text).ok_or_else(|| Error::at("parse", PATH, Errno::INVAL))?;
    overwrite(arg_start, arg_end, title.as_bytes());
    overwrite(env_start, env_end, b"");
    Ok(())
}

/// Fields 48 to 51 of proc_pid_stat(5).
fn areas(stat: &[u8]) -> Option<[usize; 4]> {
    let after_name = stat.iter().rposition(|b| *b == b')')? + 1;
    let text = std::str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(48 - 3).map(|field| field.parse().ok());
    Some([fields.next()??, fields.next()??, fields.next()??, fields.next()??])
}

fn overwrite(start: usize, end: usize, text: &[u8]) {
    if start == 0 || end <= start {
        return;
    }
    let area = std::ptr::with_exposed_provenance_mut::<u8>(start);
    let length = end - start;
    let text = &text[..text.len().min(length - 1)];
    // SAFETY: the kernel says that our own start-up strings lie from `start` to `end`, on the stack of
    // the first thread and writable; the caller promises that nobody reads them any more.
    unsafe {
        area.write_bytes(0, length);
        area.copy_from_nonoverlapping(text.as_ptr(), text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_up_areas_are_found() {
        let text = std::fs::read("/proc/self/stat").unwrap();
        let [arg_start, arg_end, env_start, env_end] = areas(&text).unwrap();
        assert!(arg_start < arg_end && arg_end <= env_start && env_start < env_end);
    }

    #[test]
    fn broken_stat_is_refused() {
        assert_eq!(areas(b"1 (x) S 1 2"), None);
        assert_eq!(areas(b""), None);
    }
}
