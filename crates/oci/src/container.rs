//! One container's state: what was written when it was made, and what the kernel says of it now. Nothing about life is
//! believed from the file: a process is asked for by pid and start time, a cgroup for being frozen.
//!
//! ```text
//! (none) ──create──▶ creating ──▶ created ──start──▶ running ◀──pause/resume──▶ paused
//!                        │           │                  │
//!                        └───────────┴──────────────────┴──▶ stopped ──delete──▶ (none)
//! ```

use crate::error::{Error, Result, invalid};
use kernel::cgroup::{Cgroup, Layout};
use kernel::lock::Lock;
use kernel::process::ProcessId;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use spec::Timestamp;
use spec::runtime::{NamespaceKind, Spec};
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) const STATE: &str = "state.json";
pub(crate) const GATE: &str = "exec.fifo";
/// For the end of whoever lets the process through. Without waiting: `ENXIO` when nobody reads.
pub(crate) const GATE_FLAGS: OFlags =
    OFlags::WRONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
/// In a directory of its own, which is bound into the container.
pub(crate) const NOTIFY_SOCKET: &str = "notify.sock";

/// `state.json`. Names that runc's file has too are runc's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    /// 0 until there is one.
    pub init_process_pid: i32,
    /// In clock ticks since boot (proc_pid_stat(5), field 22).
    pub init_process_start: u64,
    pub created: Timestamp,
    /// Absolute.
    pub bundle: PathBuf,
    /// Absolute.
    pub rootfs: PathBuf,
    /// The cgroup's path in each hierarchy, from its mount point on; empty for one that has none.
    pub cgroup: String,
    /// The scope that the cgroup belongs to; empty where we made it ourselves.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub systemd_unit: String,
    /// The specification as it was in the bundle when the container was made.
    pub config: Spec,
    /// Whose the container is on the host, as a number.
    pub owner: u32,
    /// Whether its processes keep their caller's session keyring.
    #[serde(default)]
    pub no_new_keyring: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its maker is still at it, or was killed over it.
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

#[derive(Debug, Clone)]
pub struct Container {
    pub(crate) directory: PathBuf,
    pub record: Record,
}

impl Container {
    pub(crate) fn load(id: &str, directory: PathBuf) -> Result<Container> {
        let path = directory.join(STATE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::NotFound),
            Err(error) => return Err(Error::file("read", &path, &error)),
        };
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) if record.id == id => Ok(Container { directory, record }),
            _ => Err(Error::Kernel(kernel::Error::at(
                "understand the container's state (delete it with --force),",
                path,
                Errno::INVAL,
            ))),
        }
    }

    /// Under a temporary name first: who reads sees the old or the new state.
    pub(crate) fn save(&self) -> Result<()> {
        let (path, new) = (self.directory.join(STATE), self.directory.join(".state.json"));
        let text = serde_json::to_vec(&self.record).expect("a record is text and numbers");
        let write = || {
            // Nobody else's business: the environment holds secrets, and engines make `--root` readable by all.
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            std::fs::rename(&new, &path)
        };
        write().map_err(|error| Error::file("write", &path, &error))
    }

    /// For whoever changes the container: what it is while we hold its lock, which others may have changed since it was
    /// opened. [`Error::NotFound`] when it was deleted meanwhile.
    pub(crate) fn lock(&self) -> Result<(Container, Lock)> {
        let lock = lock(&self.directory)?;
        Ok((Container::load(self.id(), self.directory.clone())?, lock))
    }

    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The first process, alive or not. `None` before there is one.
    pub fn init(&self) -> Option<ProcessId> {
        let Record { init_process_pid: pid, init_process_start: start_time, .. } = self.record;
        (pid > 0).then_some(ProcessId { pid, start_time })
    }

    pub fn status(&self) -> Result<Status> {
        match self.init() {
            None if self.is_being_made() => return Ok(Status::Creating),
            Some(init) if init.is_alive() => {}
            _ => return Ok(Status::Stopped),
        }
        Ok(match self.is_frozen()? {
            true => Status::Paused,
            false if self.waits_at_gate() => Status::Created,
            false => Status::Running,
        })
    }

    /// The first process holds its gate open for reading until it is let through: the name alone may be left over from
    /// a `start` that was killed.
    fn waits_at_gate(&self) -> bool {
        rustix::fs::openat(CWD, self.gate(), GATE_FLAGS, Mode::empty()).is_ok()
    }

    fn is_being_made(&self) -> bool {
        matches!(Lock::is_held(&self.directory.join("lock")), Ok(true))
    }

    fn is_frozen(&self) -> Result<bool> {
        let Some(cgroup) = self.cgroup()? else { return Ok(false) };
        match cgroup.is_frozen() {
            Ok(frozen) => Ok(frozen),
            // Without the cgroup, or without the controller, nothing is ever frozen.
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NODEV) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn gate(&self) -> PathBuf {
        self.directory.join(GATE)
    }

    /// `None` for one that goes on without, see [`crate::root::Cgroups`].
    pub fn cgroup(&self) -> Result<Option<Cgroup>> {
        match self.record.cgroup.as_str() {
            "" => Ok(None),
            path => Ok(Some(Layout::detect()?.open(path)?)),
        }
    }

    /// For what cannot be done without.
    pub(crate) fn cgroup_needed(&self) -> Result<Cgroup> {
        self.cgroup()?.ok_or_else(|| invalid("the container has no cgroup: there was no right to make one"))
    }

    /// Pids of all its processes, as the caller's pid namespace counts, in order.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let mut processes = self.cgroup_needed()?.processes()?;
        processes.sort_unstable();
        processes.dedup();
        Ok(processes)
    }

    /// True when the end of the first process is not the end of all others: they have no pid namespace of their own.
    pub(crate) fn shares_pids(&self) -> bool {
        let namespaces = self.record.config.linux.iter().flat_map(|linux| &linux.namespaces);
        !namespaces.into_iter().any(|namespace| namespace.kind == NamespaceKind::Pid && namespace.path.is_empty())
    }

    /// For hooks and seccomp agents.
    pub fn state(&self, status: spec::runtime::Status) -> spec::runtime::State {
        state(&self.record, status)
    }
}

pub(crate) fn state(record: &Record, status: spec::runtime::Status) -> spec::runtime::State {
    spec::runtime::State {
        oci_version: spec::runtime::VERSION.to_owned(),
        id: record.id.clone(),
        status,
        // Of one that has stopped, the number may be somebody else's by now.
        pid: (record.init_process_pid > 0 && status != spec::runtime::Status::Stopped)
            .then_some(record.init_process_pid),
        bundle: record.bundle.to_string_lossy().into_owned(),
        annotations: record.config.annotations.clone(),
    }
}

pub(crate) fn lock(directory: &Path) -> Result<Lock> {
    let path = directory.join("lock");
    loop {
        let lock = match Lock::exclusive(&path) {
            Err(error) if error.errno == Errno::NOENT => return Err(Error::NotFound),
            lock => lock?,
        };
        // Deleted while we waited, and perhaps made anew: what we hold is then nobody's lock.
        let ours = rustix::fs::fstat(&lock).map_err(|errno| kernel::Error::at("look at", &path, errno))?.st_ino;
        match std::fs::metadata(&path) {
            Ok(now) if now.ino() == ours => return Ok(lock),
            Ok(_) => {}
            Err(_) => return Err(Error::NotFound),
        }
    }
}
