//! Version 1: a directory per hierarchy. Only those hierarchies are used that carry a limit or are
//! needed to count and to kill: memory, cpuacct and blkio always, pids, devices, cpu and cpuset with
//! a limit, the freezer when somebody freezes. Each costs about 70 µs in a container's life; in the
//! others the processes stay where the caller is.
//!
//! The first hierarchy, usually memory, is the *home*: made first and removed last, so that it says
//! whether the group exists and which processes it has.

mod limits;
mod stats;

use crate::cgroup::devices::DeviceState;
use crate::cgroup::hierarchy::{Controller, Hierarchy};
use crate::cgroup::{Below, Entry, OomWatch, Resources, Stats, file, oom, tree};
use crate::signal::Signal;
use crate::{Error, Result};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub struct Cgroup {
    /// Never empty; the home first.
    hierarchies: Vec<Hierarchy>,
    name: String,
}

/// How long processes may take to stand still.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(10);
/// Rounds of moving processes that fork meanwhile.
const GATHER_ROUNDS: u32 = 64;

pub(super) fn create(hierarchies: &[Hierarchy], name: &str, resources: &Resources) -> Result<Cgroup> {
    let cgroup = open(hierarchies, name)?;
    let devices = check(resources)?;
    let wanted = wanted(&cgroup, resources, &devices)?;
    let undo = match cgroup.make(&wanted) {
        Err(error) if error.errno == Errno::EXIST => {
            // Left over from an owner that was killed; its limits and its freezer must not live on.
            tree::check_unused(&cgroup.home())?;
            cgroup.remove()?;
            cgroup.make(&wanted)?
        }
        made => made?,
    };
    remove_stale_freezer(&cgroup, &wanted)?;
    limits::apply(&cgroup, resources)?;
    limits::write_devices(&cgroup, &DeviceState::everything().writes_to(&devices))?;
    undo.keep();
    Ok(cgroup)
}

/// Whether the group can be made after its first process: not if that is to be in version 2 as well. Says what is wrong
/// with `resources` in any case.
pub(super) fn can_wait(hierarchies: &[Hierarchy], name: &str, resources: &Resources) -> Result<bool> {
    let wanted = wanted(&open(hierarchies, name)?, resources, &check(resources)?)?;
    Ok(!wanted.contains(&Controller::Unified) || !hierarchies.iter().any(|h| h.has(Controller::Unified)))
}

/// The controllers that a group with `resources` uses.
fn wanted(cgroup: &Cgroup, resources: &Resources, devices: &DeviceState) -> Result<Vec<Controller>> {
    let mut wanted = limited(resources);
    wanted.retain(|&c| c != Controller::Devices || !devices.is_everything());
    for &controller in &wanted {
        cgroup.find(controller)?;
    }
    wanted.extend([Controller::Memory, Controller::Cpuacct, Controller::Blkio]);
    if Path::new("/run/systemd/system").is_dir() {
        wanted.extend([Controller::Systemd, Controller::Unified]);
    }
    Ok(wanted)
}

pub(super) fn create_or_adopt(hierarchies: &[Hierarchy], name: &str, resources: &Resources) -> Result<Cgroup> {
    check_adoptable(&open(hierarchies, name)?)?;
    adopt(hierarchies, name, resources)
}

/// All that `create_or_adopt` refuses, and of what it makes the directory of version 2, if there is one.
pub(super) fn begin_adopting(hierarchies: &[Hierarchy], name: &str, resources: &Resources) -> Result<()> {
    let cgroup = open(hierarchies, name)?;
    check_adoptable(&cgroup)?;
    check(resources)?;
    for controller in limited(resources) {
        cgroup.find(controller)?;
    }
    let mut undo = tree::Undo::default();
    if let Some(unified) = cgroup.hierarchies.iter().find(|h| h.has(Controller::Unified)) {
        match cgroup.make_in(unified, &mut undo) {
            Err(error) if error.errno == Errno::EXIST => {}
            made => made?,
        }
    }
    undo.keep();
    Ok(())
}

fn check_adoptable(cgroup: &Cgroup) -> Result<()> {
    tree::check_unused(&cgroup.home())?;
    if cgroup.is_frozen()? {
        let action = "create cgroup, which is there and frozen: thaw it or choose another name,";
        return Err(Error::at(action, cgroup.home(), Errno::BUSY));
    }
    Ok(())
}

pub(super) fn adopt(hierarchies: &[Hierarchy], name: &str, resources: &Resources) -> Result<Cgroup> {
    let cgroup = open(hierarchies, name)?;
    let devices = check(resources)?;
    for controller in limited(resources) {
        cgroup.find(controller)?;
    }
    let mut undo = tree::Undo::default();
    for hierarchy in &cgroup.hierarchies {
        match cgroup.make_in(hierarchy, &mut undo) {
            Err(error) if error.errno == Errno::EXIST => {}
            made => made?,
        }
    }
    limits::apply(&cgroup, resources)?;
    if !resources.devices.is_empty() {
        // A parent may have forbidden some already: written anew and not as a difference.
        limits::write_devices(&cgroup, &devices.writes_anew())?;
    }
    undo.keep();
    Ok(cgroup)
}

pub(super) fn open(hierarchies: &[Hierarchy], name: &str) -> Result<Cgroup> {
    tree::check_name(name)?;
    Ok(Cgroup { hierarchies: hierarchies.to_vec(), name: name.to_owned() })
}

pub(super) fn limits_swap(hierarchies: &[Hierarchy]) -> bool {
    let memory = hierarchies.iter().find(|h| h.has(Controller::Memory));
    memory.is_some_and(|h| h.mount.join("memory.memsw.limit_in_bytes").exists())
}

/// Refuses what no order of writes could bring about. Returns what the device rules come to.
fn check(resources: &Resources) -> Result<DeviceState> {
    resources.memory.check()?;
    if let Some((file, _)) = resources.unified.first() {
        let action =
            format!("write {file}: this machine has cgroup version 1, without unified files; use the named limits");
        return Err(Error::new(action, Errno::OPNOTSUPP));
    }
    DeviceState::of(&resources.devices)
}

/// The controllers that `resources` needs by name.
fn limited(resources: &Resources) -> Vec<Controller> {
    let all = [
        (resources.memory.is_limited(), Controller::Memory),
        (resources.pids_max.is_some(), Controller::Pids),
        (resources.blkio.is_limited(), Controller::Blkio),
        (!resources.devices.is_empty(), Controller::Devices),
        (resources.cpu.has_bandwidth(), Controller::Cpu),
        (resources.cpu.has_cpuset(), Controller::Cpuset),
        (!resources.hugepages.is_empty(), Controller::Hugetlb),
        (resources.network.class.is_some(), Controller::NetCls),
        (!resources.network.priorities.is_empty(), Controller::NetPrio),
        (!resources.rdma.is_empty(), Controller::Rdma),
    ];
    all.into_iter().filter(|(needed, _)| *needed).map(|(_, controller)| controller).collect()
}

/// A pause that raced the last end may have left a frozen group with nobody in it: whoever enters it would stop.
fn remove_stale_freezer(cgroup: &Cgroup, wanted: &[Controller]) -> Result<()> {
    match cgroup.directory(Controller::Freezer) {
        Some(directory) if !wanted.contains(&Controller::Freezer) => tree::remove(&directory),
        _ => Ok(()),
    }
}

impl Cgroup {
    pub fn exists(&self) -> bool {
        self.home().exists()
    }

    pub fn directories(&self) -> Vec<PathBuf> {
        self.hierarchies.iter().map(|h| h.mount.join(&self.name)).filter(|dir| dir.exists()).collect()
    }

    pub fn entry(&self) -> Result<Entry> {
        self.entry_below(&Below::default())
    }

    /// Only the directory of version 2, where this group has one.
    pub fn entry_of_clone(&self) -> Result<Entry> {
        let directory = match self.directory(Controller::Unified).map(|directory| tree::open_dir(&directory)) {
            Some(Err(error)) if error.errno == Errno::NOENT => None,
            opened => opened.transpose()?,
        };
        Ok(Entry { tasks: Vec::new(), directory })
    }

    pub fn entry_below(&self, below: &Below) -> Result<Entry> {
        let mut entry = Entry::default();
        for (index, hierarchy) in self.hierarchies.iter().enumerate() {
            let group = hierarchy.mount.join(&self.name);
            let own = below.controllers.iter().find(|(controller, _)| hierarchy.has(*controller));
            let path = own.map_or(below.everywhere.as_str(), |(_, path)| path);
            // Of a group below, only one in a hierarchy that the group itself uses is missed.
            let optional = index > 0 && (path.is_empty() || !group.exists());
            let dir = group.join(path);
            let opened = if hierarchy.has(Controller::Unified) {
                tree::open_dir(&dir).map(|fd| entry.directory = Some(fd))
            } else {
                file::open(&dir.join("tasks"), OFlags::WRONLY).map(|fd| entry.tasks.push(fd))
            };
            match opened {
                // The group does not use this hierarchy; but it always uses its home.
                Err(error) if error.errno == Errno::NOENT && optional => {}
                other => other?,
            }
        }
        Ok(entry)
    }

    pub fn set(&self, resources: &Resources) -> Result<()> {
        let devices = check(resources)?;
        let limited = limited(resources);
        for &controller in &limited {
            self.add(controller)?;
        }
        limits::apply(self, resources)?;
        if !resources.devices.is_empty() {
            let list = file::read(&self.find(Controller::Devices)?, "devices.list")?;
            let writes =
                DeviceState::parse_list(&list).map_or_else(|| devices.writes_anew(), |now| now.writes_to(&devices));
            limits::write_devices(self, &writes)?;
        }
        // Also where the hierarchy was there before: a caller may have been killed in between.
        limited.into_iter().try_for_each(|controller| self.gather(controller))
    }

    pub fn freeze(&self) -> Result<()> {
        self.add(Controller::Freezer)?;
        let dir = self.find(Controller::Freezer)?;
        // Frozen first: whatever moves in afterwards stops and forks no more.
        file::write(&dir, "freezer.state", "FROZEN")?;
        let frozen = self.gather(Controller::Freezer).and_then(|()| self.wait_until_frozen(&dir));
        if frozen.is_err() {
            self.thaw()?;
        }
        frozen
    }

    /// Writes again while some task is not stopped yet: the kernel then tries those again.
    fn wait_until_frozen(&self, dir: &Path) -> Result<()> {
        let deadline = Instant::now() + FREEZE_TIMEOUT;
        let mut delay = Duration::from_micros(50);
        while file::read(dir, "freezer.state")?.trim() != "FROZEN" {
            if Instant::now() > deadline {
                let action =
                    "freeze cgroup: a process does not stop, perhaps it waits for a device or a network file system,";
                return Err(Error::at(action, dir, Errno::TIMEDOUT));
            }
            std::thread::sleep(delay);
            delay = (delay * 2).min(Duration::from_millis(10));
            file::write(dir, "freezer.state", "FROZEN")?;
        }
        Ok(())
    }

    pub fn thaw(&self) -> Result<()> {
        match self.directory(Controller::Freezer) {
            Some(dir) => ignore_absent(file::write(&dir, "freezer.state", "THAWED")),
            None => Ok(()),
        }
    }

    pub fn is_frozen(&self) -> Result<bool> {
        let Some(dir) = self.directory(Controller::Freezer) else { return Ok(false) };
        Ok(file::read_if_there(&dir, "freezer.state")?.is_some_and(|state| state.trim() != "THAWED"))
    }

    pub fn processes(&self) -> Result<Vec<i32>> {
        tree::members(&self.home(), "cgroup.procs")
    }

    pub fn kill(&self, signal: Signal) -> Result<()> {
        let everyone = tree::signal_members(&self.home(), signal)?;
        if signal != Signal::KILL {
            return Ok(());
        }
        if !everyone {
            // They fork faster than we kill; the frozen do not.
            self.freeze()?;
            tree::signal_members(&self.home(), signal)?;
        }
        self.thaw()
    }

    pub fn stats(&self) -> Result<Stats> {
        stats::read(self)
    }

    pub fn oom_kills(&self) -> Result<u64> {
        let mut kills = 0;
        let mut todo: Vec<PathBuf> = self.directory(Controller::Memory).into_iter().collect();
        // Each group counts its own dead only.
        while let Some(dir) = todo.pop() {
            let text = file::read_if_there(&dir, "memory.oom_control")?.unwrap_or_default();
            kills += file::field(&text, "oom_kill").unwrap_or(0);
            todo.extend(tree::children(&dir)?);
        }
        Ok(kills)
    }

    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        self.directory(Controller::Memory).map_or(Ok(None), |dir| oom::version_1(&dir))
    }

    /// Version 1 is not safe to hand over (cgroups(7)): nothing is done.
    pub fn delegate(&self, _user: u32) -> Result<()> {
        Ok(())
    }

    pub fn remove(&self) -> Result<()> {
        // The home last: while it is there, `create` knows that there may be more.
        self.hierarchies.iter().rev().try_for_each(|h| tree::remove(&h.mount.join(&self.name)))
    }

    /// The directory in the hierarchy of `controller`, which need not exist. None: not mounted.
    fn directory(&self, controller: Controller) -> Option<PathBuf> {
        let hierarchy = self.hierarchies.iter().find(|h| h.has(controller))?;
        Some(hierarchy.mount.join(&self.name))
    }

    fn find(&self, controller: Controller) -> Result<PathBuf> {
        self.directory(controller).ok_or_else(|| {
            let name = controller.directory();
            let action = format!(
                "find cgroup controller {name}: it is not mounted; do that with `mkdir -p /sys/fs/cgroup/{name} && \
                 mount -t cgroup -o {name} cgroup /sys/fs/cgroup/{name}`, or leave its limit out"
            );
            Error::new(action, Errno::NOENT)
        })
    }

    fn home(&self) -> PathBuf {
        self.hierarchies[0].mount.join(&self.name)
    }

    /// Makes the home and the directories of `wanted`, as far as they are mounted.
    fn make(&self, wanted: &[Controller]) -> Result<tree::Undo> {
        let mut undo = tree::Undo::default();
        for (index, hierarchy) in self.hierarchies.iter().enumerate() {
            if index == 0 || wanted.iter().any(|&controller| hierarchy.has(controller)) {
                self.make_in(hierarchy, &mut undo)?;
            }
        }
        Ok(undo)
    }

    fn make_in(&self, hierarchy: &Hierarchy, undo: &mut tree::Undo) -> Result<()> {
        tree::make(&hierarchy.mount, &self.name, undo)?;
        if hierarchy.has(Controller::Cpuset) {
            // No process may enter before both lists have something in them.
            for list in ["cpuset.cpus", "cpuset.mems"] {
                inherit(&hierarchy.mount, &hierarchy.mount.join(&self.name), list)?;
            }
        }
        Ok(())
    }

    /// Makes this existing group use the hierarchy of `controller` too; empty, see `gather`.
    fn add(&self, controller: Controller) -> Result<()> {
        self.find(controller)?;
        if !self.exists() {
            return Err(Error::at("change cgroup", self.home(), Errno::NOENT));
        }
        for hierarchy in self.hierarchies.iter().filter(|h| h.has(controller)) {
            let mut undo = tree::Undo::default();
            match self.make_in(hierarchy, &mut undo) {
                Err(error) if error.errno == Errno::EXIST => {}
                made => made?,
            }
            undo.keep();
        }
        Ok(())
    }

    /// Moves all processes of the home into the hierarchy of `controller`, those forked meanwhile
    /// too. By pid and therefore slow (see `Entry::enter`) and blind to a pid that a stranger takes
    /// over between listing and moving; both only when a running container is changed.
    fn gather(&self, controller: Controller) -> Result<()> {
        let dir = self.find(controller)?;
        for _ in 0..GATHER_ROUNDS {
            let inside: HashSet<i32> = tree::members(&dir, "cgroup.procs")?.into_iter().collect();
            let outside: Vec<i32> = self.processes()?.into_iter().filter(|pid| !inside.contains(pid)).collect();
            if outside.is_empty() {
                return Ok(());
            }
            for pid in outside {
                match file::write(&dir, "cgroup.procs", &pid.to_string()) {
                    Err(error) if error.errno == Errno::SRCH => {}
                    other => other?,
                }
            }
        }
        Err(Error::at("move processes into cgroup, as new ones keep appearing,", dir, Errno::AGAIN))
    }
}

/// What cpuset file `list` of `dir` says, taken over from the parent where it is empty still.
fn inherit(mount: &Path, dir: &Path, list: &str) -> Result<String> {
    let own = file::read(dir, list)?.trim().to_owned();
    if !own.is_empty() || dir == mount {
        return Ok(own);
    }
    // `dir` is below `mount` and so has a parent.
    let inherited = inherit(mount, dir.parent().unwrap_or(mount), list)?;
    file::write(dir, list, &inherited)?;
    Ok(inherited)
}

fn ignore_absent(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.errno == Errno::NOENT => Ok(()),
        other => other,
    }
}
