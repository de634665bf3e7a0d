//! Version 2: one directory. The controllers that a limit needs, and those that count (memory, io,
//! pids), are switched on in the parents; that is remembered by the parents, so that it costs a
//! read in every later run. Devices are a program in the kernel (`bpf`), freezing and killing files
//! of the group itself.

mod limits;
mod stats;

use crate::cgroup::devices::DeviceState;
use crate::cgroup::{Below, Entry, Network, OomWatch, Resources, Stats, file, oom, tree};
use crate::signal::Signal;
use crate::{Context, Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub struct Cgroup {
    mount: PathBuf,
    name: String,
    dir: PathBuf,
}

/// How long processes may take to stand still.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(10);
/// Wanted for their counters, as far as the machine has them.
const COUNTING: [&str; 3] = ["memory", "io", "pids"];

pub(super) fn create(mount: &Path, name: &str, resources: &Resources) -> Result<Cgroup> {
    let cgroup = open(mount, name)?;
    let devices = check(resources)?;
    let mut undo = tree::Undo::default();
    match tree::make(mount, name, &mut undo) {
        Err(error) if error.errno == Errno::EXIST => {
            // Left over from an owner that was killed; its limits and programs must not live on.
            tree::check_unused(&cgroup.dir)?;
            cgroup.remove()?;
            tree::make(mount, name, &mut undo)?;
        }
        made => made?,
    }
    // After the directory was made: from now on nobody can remove the parents.
    cgroup.enable(&limited(resources)?)?;
    limits::apply(&cgroup, resources)?;
    limits::devices(&cgroup, &DeviceState::everything(), &devices)?;
    undo.keep();
    Ok(cgroup)
}

pub(super) fn create_or_adopt(mount: &Path, name: &str, resources: &Resources) -> Result<Cgroup> {
    let cgroup = open(mount, name)?;
    tree::check_unused(&cgroup.dir)?;
    if cgroup.is_frozen()? {
        let action = "create cgroup, which is there and frozen: thaw it or choose another name,";
        return Err(Error::at(action, &cgroup.dir, Errno::BUSY));
    }
    adopt(mount, name, resources)
}

pub(super) fn adopt(mount: &Path, name: &str, resources: &Resources) -> Result<Cgroup> {
    let cgroup = open(mount, name)?;
    let devices = check(resources)?;
    let mut undo = tree::Undo::default();
    match tree::make(mount, name, &mut undo) {
        Err(error) if error.errno == Errno::EXIST => {}
        made => made?,
    }
    cgroup.enable(&limited(resources)?)?;
    limits::apply(&cgroup, resources)?;
    if !resources.devices.is_empty() {
        limits::replace_devices(&cgroup, &devices)?;
    }
    undo.keep();
    Ok(cgroup)
}

pub(super) fn open(mount: &Path, name: &str) -> Result<Cgroup> {
    tree::check_name(name)?;
    Ok(Cgroup { mount: mount.to_owned(), name: name.to_owned(), dir: mount.join(name) })
}

/// Refuses what no order of writes could bring about. Returns what the device rules come to.
fn check(resources: &Resources) -> Result<DeviceState> {
    resources.memory.check()?;
    let only_v1 = |what: &str| {
        let action = format!("{what}: this machine has cgroup version 2, which cannot do that; leave it out");
        Err(Error::new(action, Errno::OPNOTSUPP))
    };
    if resources.memory.swappiness.is_some() {
        return only_v1("set memory swappiness");
    }
    if resources.memory.oom_kill_disable == Some(true) {
        return only_v1("disable the OOM killer");
    }
    if resources.memory.kernel_tcp.is_some() {
        return only_v1("limit the memory of TCP buffers");
    }
    if resources.memory.hierarchy == Some(false) {
        return only_v1("leave the groups beneath out of the memory count");
    }
    if resources.cpu.has_realtime() {
        return only_v1("limit real-time CPU");
    }
    if resources.network != Network::default() {
        return only_v1("set network class and priorities");
    }
    if resources.blkio.leaf_weight.is_some() || resources.blkio.device_weights.iter().any(|w| w.leaf_weight.is_some()) {
        return only_v1("set blkio leaf weight");
    }
    DeviceState::of(&resources.devices)
}

/// The controllers that `resources` needs by name.
fn limited(resources: &Resources) -> Result<Vec<&str>> {
    let all = [
        (resources.memory.is_limited(), "memory"),
        (resources.pids_max.is_some(), "pids"),
        (resources.blkio.is_limited(), "io"),
        (resources.cpu.has_bandwidth(), "cpu"),
        (resources.cpu.has_cpuset(), "cpuset"),
        (!resources.hugepages.is_empty(), "hugetlb"),
        (!resources.rdma.is_empty(), "rdma"),
    ];
    let mut limited: Vec<&str> =
        all.into_iter().filter(|(needed, _)| *needed).map(|(_, controller)| controller).collect();
    for (file, _) in &resources.unified {
        match file.split_once('.') {
            // `cgroup.*` moves processes and kills: not a limit.
            Some((controller, _)) if !file.contains('/') && !["", "cgroup"].contains(&controller) => {
                limited.push(controller)
            }
            _ => {
                return Err(Error::new(
                    format!("write {file:?}: not the name of a limit such as memory.high"),
                    Errno::INVAL,
                ));
            }
        }
    }
    Ok(limited)
}

impl Cgroup {
    pub fn exists(&self) -> bool {
        self.dir.exists()
    }

    pub fn directories(&self) -> Vec<PathBuf> {
        Some(self.dir.clone()).filter(|dir| dir.exists()).into_iter().collect()
    }

    pub fn entry(&self) -> Result<Entry> {
        let mut dir = self.dir.clone();
        // A container that spread its processes over groups of its own (systemd, another engine) may
        // have none in the group above them (cgroups(7), "no internal processes").
        if !file::read(&dir, "cgroup.subtree_control")?.trim().is_empty() {
            dir = tree::first_populated(&dir)?.unwrap_or(dir);
        }
        Ok(Entry { directory: Some(tree::open_dir(&dir)?), ..Entry::default() })
    }

    pub fn entry_below(&self, below: &Below) -> Result<Entry> {
        if let Some((controller, _)) = below.controllers.first() {
            let action = format!("enter a cgroup of {} alone: version 2 has one hierarchy,", controller.directory());
            return Err(Error::new(action, Errno::INVAL));
        }
        let dir = self.dir.join(&below.everywhere);
        Ok(Entry { directory: Some(tree::open_dir(&dir)?), ..Entry::default() })
    }

    pub fn set(&self, resources: &Resources) -> Result<()> {
        let devices = check(resources)?;
        self.enable(&limited(resources)?)?;
        if resources.memory.check_before_update != Some(false) {
            limits::make_room(&self.dir, &resources.memory)?;
        }
        limits::apply(self, resources)?;
        if !resources.devices.is_empty() {
            limits::replace_devices(self, &devices)?;
        }
        Ok(())
    }

    pub fn freeze(&self) -> Result<()> {
        file::write(&self.dir, "cgroup.freeze", "1")?;
        let frozen = self.wait_until_frozen();
        if frozen.is_err() {
            self.thaw()?;
        }
        frozen
    }

    /// A change of `cgroup.events` is an exceptional condition for poll(2).
    fn wait_until_frozen(&self) -> Result<()> {
        let deadline = Instant::now() + FREEZE_TIMEOUT;
        let events = file::open(&self.dir.join("cgroup.events"), OFlags::RDONLY)?;
        loop {
            let mut text = [0u8; 256];
            let length = rustix::io::pread(&events, &mut text, 0).during_at("read cgroup.events of", &self.dir)?;
            if String::from_utf8_lossy(&text[..length]).contains("frozen 1") {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let action =
                    "freeze cgroup: a process does not stop, perhaps it waits for a device or a network file system,";
                return Err(Error::at(action, &self.dir, Errno::TIMEDOUT));
            }
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            match rustix::event::poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::at("wait for cgroup to freeze", &self.dir, errno)),
            }
        }
    }

    pub fn thaw(&self) -> Result<()> {
        match file::write(&self.dir, "cgroup.freeze", "0") {
            Err(error) if error.errno == Errno::NOENT => Ok(()),
            other => other,
        }
    }

    pub fn is_frozen(&self) -> Result<bool> {
        let events = file::read_if_there(&self.dir, "cgroup.events")?.unwrap_or_default();
        Ok(file::field(&events, "frozen") == Some(1))
    }

    pub fn processes(&self) -> Result<Vec<i32>> {
        tree::members(&self.dir, "cgroup.procs")
    }

    pub fn kill(&self, signal: Signal) -> Result<()> {
        if signal == Signal::KILL {
            match file::write(&self.dir, "cgroup.kill", "1") {
                // Before Linux 5.14, or no such group.
                Err(error) if error.errno == Errno::NOENT => {}
                other => return other,
            }
        }
        let everyone = tree::signal_members(&self.dir, signal)?;
        if signal == Signal::KILL && !everyone {
            // They fork faster than we kill; the frozen do not. SIGKILL reaches them all the same.
            self.freeze()?;
            tree::signal_members(&self.dir, signal)?;
            self.thaw()?;
        }
        Ok(())
    }

    pub fn stats(&self) -> Result<Stats> {
        stats::read(&self.dir)
    }

    pub fn oom_kills(&self) -> Result<u64> {
        Ok(oom::kills(&self.dir)?.unwrap_or(0))
    }

    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        oom::version_2(&self.dir)
    }

    /// Hands the group to `user`, who may then make groups beneath it (cgroups(7), delegation): the directory and the
    /// files that the kernel lists for that.
    pub fn delegate(&self, user: u32) -> Result<()> {
        let listed = std::fs::read_to_string("/sys/kernel/cgroup/delegate");
        let listed = listed.unwrap_or_else(|_| "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n".to_owned());
        for name in std::iter::once("").chain(listed.lines()) {
            let path = self.dir.join(name);
            match rustix::fs::chown(&path, Some(rustix::fs::Uid::from_raw(user)), None) {
                // A file of a controller that is not in use here.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::at("hand over cgroup", path, errno)),
            }
        }
        Ok(())
    }

    pub fn remove(&self) -> Result<()> {
        tree::remove(&self.dir)
    }

    /// Switches on, in every parent, the controllers of `required`, whose lack is an error, and those
    /// that count, whose lack is not.
    fn enable(&self, required: &[&str]) -> Result<()> {
        let wanted: Vec<&str> = required.iter().copied().chain(COUNTING).collect();
        let present = file::read(&self.dir, "cgroup.controllers")?;
        if wanted.iter().all(|controller| has_word(&present, controller)) {
            return Ok(());
        }
        for parent in tree::parents(&self.mount, &self.name) {
            let available = file::read(&parent, "cgroup.controllers")?;
            let enabled = file::read(&parent, "cgroup.subtree_control")?;
            for controller in wanted.iter().filter(|controller| !has_word(&enabled, controller)) {
                let result = if has_word(&available, controller) {
                    file::write(&parent, "cgroup.subtree_control", &format!("+{controller}"))
                } else {
                    Err(Error::at("find controller in cgroup.controllers of", &parent, Errno::NOENT))
                };
                match result {
                    Err(error) if required.contains(controller) => return Err(explain(controller, error)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Says what is to be done when a controller cannot be had.
fn explain(controller: &str, error: Error) -> Error {
    let remedy = match error.errno {
        Errno::BUSY => "the group above has processes of its own: move them into a group beneath it".to_owned(),
        Errno::NOENT => format!(
            "enable it (kernel parameter cgroup_enable={controller}, no version 1 mount of it) or leave its limit out"
        ),
        _ => "leave its limit out".to_owned(),
    };
    Error { action: format!("use cgroup controller {controller}: {remedy}: {}", error.action), ..error }
}

fn has_word(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|w| w == word)
}
