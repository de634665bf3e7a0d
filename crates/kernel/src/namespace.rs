//! Namespaces (namespaces(7)): sets of kinds, joining by file or by process, and unsharing.
//! New namespaces of a new process are made by [`crate::clone`]; user-namespace mappings are
//! written here by the parent. Which namespaces a container gets is decided by `runtime`.

use crate::error::{Context, Error, Result, last_errno};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// One kind of namespace; the value is its `CLONE_NEW*` flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    Mount = libc::CLONE_NEWNS as u32,
    Cgroup = libc::CLONE_NEWCGROUP as u32,
    Uts = libc::CLONE_NEWUTS as u32,
    Ipc = libc::CLONE_NEWIPC as u32,
    User = libc::CLONE_NEWUSER as u32,
    Pid = libc::CLONE_NEWPID as u32,
    Network = libc::CLONE_NEWNET as u32,
    Time = libc::CLONE_NEWTIME as u32,
}

impl Kind {
    pub const ALL: [Kind; 8] =
        [Kind::User, Kind::Mount, Kind::Cgroup, Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Network, Kind::Time];

    /// The file's name under `/proc/PID/ns`.
    pub fn file_name(self) -> &'static str {
        match self {
            Kind::Mount => "mnt",
            Kind::Cgroup => "cgroup",
            Kind::Uts => "uts",
            Kind::Ipc => "ipc",
            Kind::User => "user",
            Kind::Pid => "pid",
            Kind::Network => "net",
            Kind::Time => "time",
        }
    }
}

/// A set of kinds as the kernel's flag word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(u32);

impl Set {
    pub const NONE: Set = Set(0);

    pub fn with(self, kind: Kind) -> Set {
        Set(self.0 | kind as u32)
    }

    pub fn without(self, kind: Kind) -> Set {
        Set(self.0 & !(kind as u32))
    }

    pub fn contains(self, kind: Kind) -> bool {
        self.0 & kind as u32 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn bits(self) -> u32 {
        self.0
    }
}

impl FromIterator<Kind> for Set {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Set {
        kinds.into_iter().fold(Set::NONE, Set::with)
    }
}

/// Joins the namespace that `file` (from `/proc/PID/ns` or a bind mount of it) refers to.
/// `EINVAL` when the file is no namespace of this kind.
pub fn join(file: impl AsFd, kind: Kind) -> Result<()> {
    setns(file, kind as u32).map_err(|errno| Error::new(format!("join {} namespace", kind.file_name()), errno))
}

/// Joins all of `set` of the process behind `pidfd` in one call, all or nothing (Linux 5.8).
pub fn join_process(pidfd: impl AsFd, set: Set) -> Result<()> {
    setns(pidfd, set.0).during("join namespaces of a process")
}

fn setns(fd: impl AsFd, flags: u32) -> rustix::io::Result<()> {
    // SAFETY: setns takes two integers and touches no memory of ours.
    let result = unsafe { libc::setns(fd.as_fd().as_raw_fd(), flags as libc::c_int) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Moves the calling thread into new namespaces of `set` (unshare(2)).
pub fn unshare(set: Set) -> Result<()> {
    // SAFETY: unshare takes one integer; only CLONE_NEW* flags can be in a `Set`, so no memory
    // or descriptor sharing with other threads changes.
    let result = unsafe { libc::unshare(set.0 as libc::c_int) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }.during("unshare namespaces")
}

/// Makes a network namespace, its loopback up, beside the one that the calling thread is in, and stays there. For one who has
/// time while another process, which will join it, is busy: it is the slowest namespace to make, about 0.5 ms.
/// After an error the thread may be left in the new one and should not go on.
pub fn new_network() -> Result<OwnedFd> {
    let path = Path::new("/proc/thread-self/ns/net");
    let own = open(path)?;
    unshare(Set::NONE.with(Kind::Network))?;
    let new = crate::loopback::bring_up().and_then(|()| open(path));
    join(&own, Kind::Network)?;
    new
}

/// Opens a namespace file for a later [`join`].
pub fn open(path: &Path) -> Result<OwnedFd> {
    File::open(path).map(OwnedFd::from).during_at("open namespace", path)
}

/// Opens the namespace of `kind` that process `pid` is in.
pub fn of_process(pid: i32, kind: Kind) -> Result<OwnedFd> {
    open(Path::new(&format!("/proc/{pid}/ns/{}", kind.file_name())))
}

/// True when both namespace files mean the same namespace (same device and inode).
pub fn is_same(one: impl AsFd, other: impl AsFd) -> Result<bool> {
    let one = rustix::fs::fstat(one).during("stat namespace")?;
    let other = rustix::fs::fstat(other).during("stat namespace")?;
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Whether we are in the first user namespace: by its map, which no other one can have (user_namespaces(7)).
pub fn is_initial_user() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// One line of `/proc/PID/uid_map` (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMapping {
    pub inside: u32,
    pub outside: u32,
    pub size: u32,
}

/// Writes the user and group mappings of the new user namespace that `pid` is in. The caller needs CAP_SETUID and
/// CAP_SETGID outside of it.
pub fn write_mappings(pid: i32, users: &[IdMapping], groups: &[IdMapping]) -> Result<()> {
    write_mapping(&format!("/proc/{pid}/gid_map"), groups)?;
    write_mapping(&format!("/proc/{pid}/uid_map"), users)
}

/// A user namespace with these mappings and nobody in it, for an id-mapped mount. The caller needs CAP_SETUID and
/// CAP_SETGID, and must have one thread.
pub fn new_user(users: &[IdMapping], groups: &[IdMapping]) -> Result<OwnedFd> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).during("make pipe")?;
    let options = crate::clone::Options { namespaces: Set::NONE.with(Kind::User), ..Default::default() };
    let child = crate::clone::clone3(options, || {
        // Until the caller has what it wants, or is gone.
        crate::exec::close_copy(write.as_fd());
        i32::from(rustix::io::read(&read, &mut [0u8; 1]).is_err())
    })?;
    let made = write_mappings(child.pid, users, groups).and_then(|()| of_process(child.pid, Kind::User));
    drop(write);
    child.pidfd.wait()?;
    made
}

fn write_mapping(path: &str, mappings: &[IdMapping]) -> Result<()> {
    let text: String = mappings.iter().map(|m| format!("{} {} {}\n", m.inside, m.outside, m.size)).collect();
    // One write: the kernel accepts a map exactly once.
    std::fs::write(path, text).during_at("write", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_flag_words() {
        let set: Set = [Kind::Mount, Kind::Pid].into_iter().collect();
        assert!(set.contains(Kind::Pid) && !set.contains(Kind::User));
        assert_eq!(set.without(Kind::Pid).bits(), libc::CLONE_NEWNS as u32);
    }

    #[test]
    fn a_new_network_is_beside_ours() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let path = Path::new("/proc/thread-self/ns/net");
        let before = open(path).unwrap();
        let new = new_network().unwrap();
        assert!(!is_same(&before, &new).unwrap());
        assert!(is_same(&before, open(path).unwrap()).unwrap());
    }

    #[test]
    fn own_namespaces_are_the_same() {
        let pid = std::process::id() as i32;
        let one = of_process(pid, Kind::Uts).unwrap();
        assert!(is_same(&one, of_process(pid, Kind::Uts).unwrap()).unwrap());
        assert!(!is_same(&one, of_process(pid, Kind::Ipc).unwrap()).unwrap());
    }
}
