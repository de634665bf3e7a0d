//! Who the process is: user, groups, file mode mask, session and session keyring. The calls act on the
//! calling thread as the kernel does; the process has one thread where this is used (`runtime`).

use crate::error::{Context, Result, last_errno};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// Replaces the supplementary groups. `EPERM` without CAP_SETGID, or where a user namespace forbids it.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // libc and not rustix: its `Gid` would need a second vector.
    // SAFETY: gid_t is u32; the kernel reads `len` of them.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }.during("set supplementary groups")
}

/// Real, effective, saved and file system group id at once.
pub fn set_group(group: u32) -> Result<()> {
    let id = id_of(group).map(Gid::from_raw).during("set group")?;
    rustix::thread::set_thread_res_gid(id, id, id).during(&format!("set group {group}"))
}

/// Real, effective, saved and file system user id at once. Capabilities are lost on leaving user 0 unless
/// [`crate::prctl::keep_capabilities`] was asked for.
pub fn set_user(user: u32) -> Result<()> {
    let id = id_of(user).map(Uid::from_raw).during("set user")?;
    rustix::thread::set_thread_res_uid(id, id, id).during(&format!("set user {user}"))
}

/// 4294967295 means "leave as it is" to the kernel: a container must not keep root that way.
fn id_of(id: u32) -> rustix::io::Result<u32> {
    if id == u32::MAX { Err(Errno::INVAL) } else { Ok(id) }
}

/// Permission bits that new files do not get; the result is those of before.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).bits()
}

/// Starts a new session without a controlling terminal. `EPERM` for a process group leader.
pub fn new_session() -> Result<()> {
    rustix::process::setsid().map(drop).during("start session")
}

/// Leaves the caller's session keyring for an empty one (keyctl(2)), so that keys of the host's session
/// are out of reach. Kernels without keyrings, and filters or quotas that forbid it, are accepted: there
/// is then nothing to reach or nothing we may do.
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let name = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for an anonymous keyring; nothing is read or written.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) };
    if serial >= 0 {
        return Ok(());
    }
    match last_errno() {
        Errno::NOSYS | Errno::PERM | Errno::DQUOT | Errno::ACCESS => Ok(()),
        errno => Err(errno).during("start session keyring"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_is_refused() {
        assert_eq!(set_user(u32::MAX).unwrap_err().errno, Errno::INVAL);
        assert_eq!(set_group(u32::MAX).unwrap_err().errno, Errno::INVAL);
    }
}
