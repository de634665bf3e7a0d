//! One container as it is now: its definition, and its state as the kernel confirms it. Every
//! command starts here. Finding a container whose monitor was killed repairs it first.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file;
use crate::record::Record;
use crate::state::{State, Status};
use image::Stack;
use kernel::beneath::Root;
use kernel::cgroup::{Cgroup, Layout};
use kernel::lock::Lock;
use kernel::mount::Mount;
use kernel::overlay::Upper;
use kernel::process::ProcessId;
use rustix::io::Errno;
use spec::ContainerId;
use std::path::{Path, PathBuf};

/// A snapshot; `refresh` takes a new one.
#[derive(Debug, Clone)]
pub struct Container {
    pub record: Record,
    pub state: State,
}

impl Container {
    /// By full id, name, or unambiguous prefix of an id, in this order, as docker does.
    pub fn find(engine: &Engine, name: &str) -> Result<Container> {
        let id = find_id(engine, name)?;
        Container::load(engine, &id)?.ok_or_else(|| no_such(name))
    }

    /// `None` when there is none (any more).
    pub fn load(engine: &Engine, id: &ContainerId) -> Result<Option<Container>> {
        let Some(container) = Container::read(engine, id)? else { return Ok(None) };
        crate::recover::repair(engine, container)
    }

    /// As the files say, unrepaired.
    pub(crate) fn read(engine: &Engine, id: &ContainerId) -> Result<Option<Container>> {
        let directory = engine.paths().container(id);
        let record = match file::read_json(&directory.join("container.json")) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            // It must not hide the others from `ps`, and `rm` must get rid of it.
            Err(Error::Failed(reason)) => return Ok(Some(Container::damaged(engine, id, reason))),
            Err(error) => return Err(error),
        };
        // A torn or missing state (power cut) means: not running, nothing known.
        let state = file::read_json(&directory.join("state.json")).ok().flatten().unwrap_or_default();
        Ok(Some(Container { record, state }))
    }

    /// What can be said of a container whose definition cannot be read.
    fn damaged(engine: &Engine, id: &ContainerId, reason: String) -> Container {
        let name = crate::list::name_of(engine, id).unwrap_or_else(|| id.short().to_owned());
        let state = State {
            status: Status::Exited,
            exit_code: crate::recover::EXIT_UNKNOWN,
            error: reason,
            ..State::default()
        };
        Container { record: Record::unreadable(id.clone(), name), state }
    }

    pub fn refresh(&mut self, engine: &Engine) -> Result<()> {
        *self = Container::load(engine, self.id())?.ok_or_else(|| no_such(self.name()))?;
        Ok(())
    }

    pub fn id(&self) -> &ContainerId {
        &self.record.id
    }

    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// What users see: asks the freezer for a running container.
    pub fn status(&self) -> Status {
        let frozen = || self.cgroup().and_then(|cgroup| Ok(cgroup.is_frozen()?)).unwrap_or(false);
        if self.state.status == Status::Running && frozen() { Status::Paused } else { self.state.status }
    }

    /// Running or paused.
    pub fn is_running(&self) -> bool {
        self.state.status == Status::Running
    }

    pub fn process(&self) -> Option<ProcessId> {
        if !self.is_running() {
            return None;
        }
        self.state.process.map(ProcessId::from)
    }

    pub fn pid(&self) -> Option<i32> {
        self.process().map(|process| process.pid)
    }

    pub fn require_running(&self) -> Result<ProcessId> {
        self.process().ok_or_else(|| Error::Conflict(format!("container {} is not running", self.id())))
    }

    /// The root file system as the container sees it, or as its next start would: for reading and
    /// changing files from outside. Paths under it are resolved beneath it.
    pub fn rootfs(&self, engine: &Engine) -> Result<Root> {
        if let Some(process) = self.process() {
            let ended = || Error::Conflict(format!("container {} has just ended: try again", self.name()));
            let pidfd =
                process.open().map_err(|error| if error.errno == Errno::SRCH { ended() } else { error.into() })?;
            let root = Root::open(&PathBuf::from(format!("/proc/{}/root", process.pid)))?;
            // The number could have been reused between the two: the descriptor tells. Never on to the mount below:
            // the next start may have its own of the same directories by now.
            return match pidfd.has_ended()? {
                true => Err(ended()),
                false if self.record.runtime.is_some() && !kernel::overlay::contains(&root)? => Err(self.apart()),
                false => Ok(root),
            };
        }
        let (mount, _) = self.mount(engine)?;
        Ok(Root::from_fd(mount.into()))
    }

    fn apart(&self) -> Error {
        Error::Unsupported(format!(
            "the files of container {} cannot be reached from outside while it runs, because its runtime keeps them apart: stop it first",
            self.name()
        ))
    }

    /// The root for looking up users and groups, also where the runtime lets nobody see the container's own.
    pub(crate) fn users(&self, engine: &Engine) -> Result<Root> {
        match self.rootfs(engine) {
            Err(Error::Unsupported(_)) => {
                let upper = self.upper(engine);
                let (mount, _) = self.over_layers(engine, |lower| {
                    let all: Vec<PathBuf> = std::iter::once(upper.clone()).chain(lower.iter().cloned()).collect();
                    kernel::overlay::mount(&all, None, true)
                })?;
                Ok(Root::from_fd(mount.into()))
            }
            root => root,
        }
    }

    /// The layers with the writable directory on top, as a mount that is visible nowhere. The mounts of the layers may
    /// be shared with others while it is in use.
    pub(crate) fn mount(&self, engine: &Engine) -> Result<(Mount, Stack)> {
        let directory = self.upper(engine);
        let work = engine.paths().container(self.id()).join("work");
        // What goes with the container's end need not survive a power cut.
        let volatile = self.record.options.lifecycle.auto_remove;
        let upper = Upper { directory: &directory, work: &work, volatile };
        self.over_layers(engine, |lower| kernel::overlay::mount(lower, Some(upper), false))
    }

    /// What `mount` makes of the read-only directories, top first.
    pub(crate) fn over_layers(
        &self,
        engine: &Engine,
        mount: impl Fn(&[PathBuf]) -> kernel::Result<Mount>,
    ) -> Result<(Mount, Stack)> {
        let (lower, stack) = self.lower(engine, Some(&engine.paths().layer_mounts()))?;
        match mount(&lower) {
            // The monitor that held one of them has just ended.
            Err(error) if error.errno == Errno::INVAL && stack.is_borrowed() => {
                let (lower, stack) = self.lower(engine, None)?;
                Ok((mount(&lower)?, stack))
            }
            result => Ok((result?, stack)),
        }
    }

    /// The read-only directories, top first, good while the stack lives.
    pub(crate) fn lower(&self, engine: &Engine, mounts: Option<&Path>) -> Result<(Vec<PathBuf>, Stack)> {
        let stack = engine.store().stack(&self.record.layers, mounts)?;
        let mut lower = stack.directories.clone();
        lower.push(crate::skeleton::ensure(engine.paths())?);
        Ok((lower, stack))
    }

    /// The writable directory.
    pub fn upper(&self, engine: &Engine) -> PathBuf {
        engine.paths().container(self.id()).join("upper")
    }

    /// Where the layers are on disk, top first, and the writable one: for people to look at.
    pub fn layer_directories(&self, engine: &Engine) -> Result<(Vec<PathBuf>, PathBuf)> {
        let mut lower = engine.store().layer_paths(&self.record.layers);
        lower.push(crate::skeleton::ensure(engine.paths())?);
        Ok((lower, self.upper(engine)))
    }

    pub fn cgroup(&self) -> Result<Cgroup> {
        Ok(Layout::detect()?.open(&cgroup_name(self.id()))?)
    }

    /// For work on the files from outside: the container as it is, and its lock if it does not run, so that nobody
    /// starts or removes it meanwhile.
    pub(crate) fn held_still(&self, engine: &Engine) -> Result<(Container, Option<Lock>)> {
        if self.is_running() {
            return Ok((self.clone(), None));
        }
        let (now, lock) = self.locked(engine)?;
        let lock = if now.is_running() { None } else { Some(lock) };
        Ok((now, lock))
    }

    /// The lock, and the container as it is on record then. Unrepaired: a repair takes the lock itself.
    pub(crate) fn locked(&self, engine: &Engine) -> Result<(Container, Lock)> {
        let lock = self.lock(engine)?;
        let now = Container::read(engine, self.id())?.ok_or_else(|| no_such(self.name()))?;
        Ok((now, lock))
    }

    /// Held while the definition or the life of the container changes hands.
    pub fn lock(&self, engine: &Engine) -> Result<Lock> {
        let path = engine.paths().container(self.id()).join("lock");
        match Lock::exclusive(&path) {
            Ok(lock) => Ok(lock),
            Err(e) if e.errno == rustix::io::Errno::NOENT => Err(no_such(self.name())),
            Err(e) => Err(e.into()),
        }
    }

    /// Replaces `container.json`; the caller holds the lock.
    pub fn save(&self, engine: &Engine) -> Result<()> {
        file::write_json(&engine.paths().container(self.id()).join("container.json"), &self.record)
    }

    /// Replaces `state.json`; done by the monitor, or under the lock when there is none.
    pub(crate) fn save_state(&self, engine: &Engine) -> Result<()> {
        file::write_json(&engine.paths().container(self.id()).join("state.json"), &self.state)
    }
}

/// The cgroup below each hierarchy's root.
pub fn cgroup_name(id: &ContainerId) -> String {
    format!("brig/{id}")
}

/// Identifies this boot: pids from another one mean nothing.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

fn find_id(engine: &Engine, name: &str) -> Result<ContainerId> {
    let wanted = name.strip_prefix('/').unwrap_or(name);
    if wanted.is_empty() || wanted.contains('/') {
        return Err(no_such(name));
    }
    // A name may look like an id.
    if let Ok(id) = ContainerId::parse(wanted)
        && engine.paths().container(&id).is_dir()
    {
        return Ok(id);
    }
    if let Ok(target) = std::fs::read_link(engine.paths().name(wanted))
        && let Some(id) = target.to_str().and_then(|id| ContainerId::parse(id).ok())
    {
        return Ok(id);
    }
    if !wanted.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(no_such(name));
    }
    let mut found = crate::list::ids(engine)?.into_iter().filter(|id| id.as_str().starts_with(wanted));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => Err(Error::Ambiguous(format!(
            "multiple containers found with the prefix {wanted}: give more characters of the id"
        ))),
        _ => Err(no_such(name)),
    }
}

pub(crate) fn no_such(name: &str) -> Error {
    Error::NotFound(format!("No such container: {name}"))
}
