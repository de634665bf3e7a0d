//! Control groups of version 1, hybrid and version 2, through their file systems: limits, devices,
//! freezing, killing, counters. `Layout::detect` decides which version once; `v1` and `v2` offer
//! the same functions in the same order. Only groups that the caller names are touched, except that
//! version 2 needs controllers switched on in their parents. No systemd, no scopes.

mod devices;
mod file;
mod hierarchy;
mod layout;
mod making;
mod oom;
mod resources;
mod stats;
mod tree;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

pub use devices::{Access, DeviceKind, DeviceRule, DeviceState, Exception};
pub use hierarchy::{Controller, Hierarchy};
pub use layout::Layout;
pub(crate) use layout::unescape;
pub use making::Making;
pub use oom::OomWatch;
pub use resources::{
    Blkio, BlockDevice, Cpu, DeviceWeight, Limit, Memory, Network, Rdma, Resources, Throttle, ThrottleKind,
    weight_of_shares,
};
pub use stats::{CpuStats, IoStats, MemoryStats, PidsStats, Stats};

use crate::Result;
use crate::signal::Signal;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A group by its name; nothing is held open and nothing is remembered, the kernel is asked.
#[derive(Debug, Clone)]
pub enum Cgroup {
    V1(v1::Cgroup),
    V2(v2::Cgroup),
}

/// The open files through which a new process enters a group: `clone3` takes `directory`, and the
/// child calls `enter` before it does anything else.
#[derive(Debug, Default)]
pub struct Entry {
    /// Version 1's `tasks` files.
    tasks: Vec<OwnedFd>,
    directory: Option<OwnedFd>,
}

/// Where below a group a process shall run: a relative path in all hierarchies, and in those of some controllers of
/// version 1 another one.
#[derive(Debug, Clone, Default)]
pub struct Below {
    pub everywhere: String,
    pub controllers: Vec<(Controller, String)>,
}

impl Entry {
    /// For CLONE_INTO_CGROUP. None on version 1 (but there is one on hybrid machines with systemd).
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(AsFd::as_fd)
    }

    /// Moves the calling thread, which must be its process's only one. To be called in the child:
    /// it allocates nothing and takes no locks. Nothing is to be done on version 2.
    ///
    /// `tasks` and a `0` because the kernel lets a thread move itself without the global lock that
    /// writing a pid to `cgroup.procs` takes: 10 µs a hierarchy instead of 6 to 20 ms.
    pub fn enter(&self) -> rustix::io::Result<()> {
        for tasks in &self.tasks {
            while let Err(errno) = rustix::io::write(tasks, b"0") {
                if errno != Errno::INTR {
                    return Err(errno);
                }
            }
        }
        Ok(())
    }
}

/// Calls the method of the version at hand.
macro_rules! either {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Cgroup::V1(cgroup) => cgroup.$method($($argument),*),
            Cgroup::V2(cgroup) => cgroup.$method($($argument),*),
        }
    };
}

impl Cgroup {
    pub fn exists(&self) -> bool {
        either!(self.exists())
    }

    /// The group's directories, for people and for mounting them into a container.
    pub fn directories(&self) -> Vec<PathBuf> {
        either!(self.directories())
    }

    /// For a process that shall run in this group, its first one or one that joins. If the group is
    /// frozen, that process stops when it enters. `ENOENT` when there is no such group.
    pub fn entry(&self) -> Result<Entry> {
        either!(self.entry())
    }

    /// As [`Cgroup::entry`], for a group below this one that exists. The caller sees to it that no path holds `..`.
    pub fn entry_below(&self, below: &Below) -> Result<Entry> {
        either!(self.entry_below(below))
    }

    /// Changes what `resources` asks for and leaves the rest. Stops at the first error.
    pub fn set(&self, resources: &Resources) -> Result<()> {
        either!(self.set(resources))
    }

    /// Stops all processes; returns when they stand. Thaws again when they do not within 10 seconds.
    pub fn freeze(&self) -> Result<()> {
        either!(self.freeze())
    }

    pub fn thaw(&self) -> Result<()> {
        either!(self.thaw())
    }

    pub fn is_frozen(&self) -> Result<bool> {
        either!(self.is_frozen())
    }

    /// Of this group and those beneath, in no order. Empty when there is no such group.
    pub fn processes(&self) -> Result<Vec<i32>> {
        either!(self.processes())
    }

    /// Sends `signal` to all processes, those forked meanwhile included. SIGKILL ends a frozen group
    /// too. Does not wait for the end.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        either!(self.kill(signal))
    }

    pub fn stats(&self) -> Result<Stats> {
        either!(self.stats())
    }

    /// Processes that the kernel killed because the group's memory was used up. 0 when there is no
    /// such group.
    pub fn oom_kills(&self) -> Result<u64> {
        either!(self.oom_kills())
    }

    /// From now on being told that the group is out of memory. `None` where its memory is not watched.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        either!(self.watch_oom())
    }

    /// Lets `user`, as this process counts users, make groups beneath this one. Only version 2 can do that safely: on
    /// version 1 nothing happens.
    pub fn delegate(&self, user: u32) -> Result<()> {
        either!(self.delegate(user))
    }

    /// Removes the group and all beneath it; `Ok` when there is none. Waits up to a second for
    /// processes that are just ending, then `EBUSY`. Its parents stay.
    pub fn remove(&self) -> Result<()> {
        either!(self.remove())
    }
}
