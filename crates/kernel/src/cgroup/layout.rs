//! Which control group hierarchies this machine has and where. The usual places are asked with a
//! few stat calls, because the mount table of a busy machine is long; only when they hold nothing
//! it is read. Hybrid machines (controllers on version 1, an empty version 2 beside them) are
//! version 1 for us.

use crate::cgroup::hierarchy::{Controller, Hierarchy};
use crate::cgroup::{Cgroup, Resources, v1, v2};
use crate::{Context, Error, Result};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

const USUAL_PLACE: &str = "/sys/fs/cgroup";
/// linux/magic.h
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;

#[derive(Debug, Clone)]
pub enum Layout {
    /// The hierarchies, the one that stands for the whole group first.
    V1(Vec<Hierarchy>),
    /// The mount point.
    V2(PathBuf),
}

impl Layout {
    /// `ENOENT` when no control groups are mounted that we could use.
    pub fn detect() -> Result<Layout> {
        if let Some(layout) = usual()? {
            return Ok(layout);
        }
        let table = std::fs::read_to_string("/proc/self/mountinfo").during_at("read", "/proc/self/mountinfo")?;
        parse(&table).ok_or_else(|| {
            let action =
                "find control groups: none are mounted; mount them with `mount -t cgroup2 cgroup2 /sys/fs/cgroup`";
            Error::new(action, Errno::NOENT)
        })
    }

    pub fn is_v2(&self) -> bool {
        matches!(self, Layout::V2(_))
    }

    /// Makes the group `name` (a relative path such as `brig/x`; parents are made and stay) and sets
    /// its limits. On an error nothing is left. A group left over by a dead owner is replaced, one
    /// with processes is `EEXIST`. Two callers must not make the same name at once.
    pub fn create(&self, name: &str, resources: &Resources) -> Result<Cgroup> {
        match self {
            Layout::V1(hierarchies) => v1::create(hierarchies, name, resources).map(Cgroup::V1),
            Layout::V2(mount) => v2::create(mount, name, resources).map(Cgroup::V2),
        }
    }

    /// As [`Layout::create`], for a group that somebody else may have made: an empty one is used as it is. And in every
    /// hierarchy of version 1, because whoever names the group expects the processes there.
    pub fn create_or_adopt(&self, name: &str, resources: &Resources) -> Result<Cgroup> {
        match self {
            Layout::V1(hierarchies) => v1::create_or_adopt(hierarchies, name, resources).map(Cgroup::V1),
            Layout::V2(mount) => v2::create_or_adopt(mount, name, resources).map(Cgroup::V2),
        }
    }

    /// As [`Layout::create_or_adopt`], for a group that was made for us just now and may have processes in it.
    pub fn adopt(&self, name: &str, resources: &Resources) -> Result<Cgroup> {
        match self {
            Layout::V1(hierarchies) => v1::adopt(hierarchies, name, resources).map(Cgroup::V1),
            Layout::V2(mount) => v2::adopt(mount, name, resources).map(Cgroup::V2),
        }
    }

    /// The group that the calling process is in, a relative path, empty for the root: on version 1 in the first hierarchy.
    pub fn own_group(&self) -> Result<String> {
        const PATH: &str = "/proc/self/cgroup";
        let text = std::fs::read_to_string(PATH).during_at("read", PATH)?;
        let first = match self {
            Layout::V1(hierarchies) => hierarchies.first(),
            Layout::V2(_) => None,
        };
        own_group(&text, first).ok_or_else(|| Error::at("find the own cgroup in", PATH, Errno::NOENT))
    }

    /// The group `name`, whether it exists or not (`Cgroup::exists`): no file is touched.
    pub fn open(&self, name: &str) -> Result<Cgroup> {
        match self {
            Layout::V1(hierarchies) => v1::open(hierarchies, name).map(Cgroup::V1),
            Layout::V2(mount) => v2::open(mount, name).map(Cgroup::V2),
        }
    }

    /// Whether the kernel accounts swap, so that `memory.swap` can be limited. On version 1 that
    /// may take `swapaccount=1` on the kernel's command line.
    pub fn limits_swap(&self) -> bool {
        match self {
            Layout::V1(hierarchies) => v1::limits_swap(hierarchies),
            Layout::V2(_) => Path::new("/proc/swaps").exists(),
        }
    }
}

/// From lines of `number:controllers:/path` (cgroups(7)).
fn own_group(text: &str, first: Option<&Hierarchy>) -> Option<String> {
    text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let matches = match first {
            None => controllers.is_empty(),
            Some(first) => Controller::ALL
                .into_iter()
                .any(|c| first.has(c) && controllers.split(',').any(|controller| controller == c.option())),
        };
        matches.then(|| path.trim_start_matches('/').to_owned())
    })
}

/// Version 2 at the usual place, or version 1 in directories beneath it that are named for their
/// controllers. Of those some may be links to a directory shared by several (`cpu` and `cpuacct` to
/// `cpu,cpuacct`): the same device then. `None` without the memory controller there.
fn usual() -> Result<Option<Layout>> {
    // Opened once, as it takes longer to walk there than all else here.
    let place = match rustix::fs::open(USUAL_PLACE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened.during_at("open", USUAL_PLACE)?,
    };
    let kind = rustix::fs::fstatfs(&place).during_at("look at", USUAL_PLACE)?.f_type as u64;
    if kind == CGROUP2_SUPER_MAGIC {
        return Ok(Some(Layout::V2(USUAL_PLACE.into())));
    }
    // Plain directories without a mount have the device of what is around them.
    let outside = rustix::fs::fstat(&place).during_at("look at", USUAL_PLACE)?.st_dev;
    let mut found: Vec<(u64, Hierarchy)> = Vec::new();
    for controller in Controller::ALL {
        let Ok(stat) = rustix::fs::statat(&place, controller.directory(), AtFlags::empty()) else { continue };
        match found.iter_mut().find(|(device, _)| *device == stat.st_dev) {
            Some((_, hierarchy)) => hierarchy.add(controller),
            None if stat.st_dev == outside => {}
            None => {
                let mount = Path::new(USUAL_PLACE).join(controller.directory());
                found.push((stat.st_dev, Hierarchy::new(mount, controller)));
            }
        }
    }
    let hierarchies: Vec<Hierarchy> = found.into_iter().map(|(_, hierarchy)| hierarchy).collect();
    let is_v1 = hierarchies.first().is_some_and(|first| first.has(Controller::Memory) && is_cgroup_v1(&first.mount));
    Ok(is_v1.then_some(Layout::V1(hierarchies)))
}

fn is_cgroup_v1(mount: &Path) -> bool {
    rustix::fs::statfs(mount).is_ok_and(|stat| stat.f_type as u64 == CGROUP_SUPER_MAGIC)
}

/// Finds the hierarchies in /proc/self/mountinfo (proc_pid_mountinfo(5)), wherever they are.
fn parse(table: &str) -> Option<Layout> {
    let mut unified = None;
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    for line in table.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let Some(point) = mount.split(' ').nth(4).map(unescape) else { continue };
        let mut words = file_system.split(' ');
        match (words.next(), words.nth(1)) {
            (Some("cgroup2"), _) => unified = unified.or(Some(point)),
            (Some("cgroup"), Some(options)) => {
                let known = |c: &Controller| hierarchies.iter().any(|h| h.has(*c));
                let named = |c: &Controller| options.split(',').any(|option| option == c.option());
                let mut new = Controller::ALL.into_iter().filter(|c| named(c) && !known(c));
                if let Some(first) = new.next() {
                    let mut hierarchy = Hierarchy::new(point, first);
                    new.for_each(|c| hierarchy.add(c));
                    hierarchies.push(hierarchy);
                }
            }
            _ => {}
        }
    }
    if !hierarchies.iter().any(|h| Controller::ALL.into_iter().any(|c| c.limits() && h.has(c))) {
        return unified.map(Layout::V2);
    }
    hierarchies.extend(unified.map(|point| Hierarchy::new(point, Controller::Unified)));
    hierarchies.sort_by_key(|h| Controller::ALL.into_iter().position(|c| h.has(c)));
    Some(Layout::V1(hierarchies))
}

/// Spaces, tabs, line feeds and backslashes are three octal digits after a backslash.
pub(crate) fn unescape(text: &str) -> PathBuf {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, expected: &str) {
        let text = match parse(table) {
            None => "none".to_owned(),
            Some(Layout::V2(point)) => format!("v2 {}", point.display()),
            Some(Layout::V1(all)) => {
                let names = |h: &Hierarchy| {
                    Controller::ALL
                        .into_iter()
                        .filter(|c| h.has(*c))
                        .map(|c| c.directory())
                        .collect::<Vec<_>>()
                        .join("+")
                };
                all.iter().map(|h| format!("{}={}", names(h), h.mount.display())).collect::<Vec<_>>().join(" ")
            }
        };
        assert_eq!(text, expected, "{table}");
    }

    #[test]
    fn the_mount_table_is_understood() {
        check("", "none");
        check("31 23 0:28 / / rw - ext4 /dev/vda rw", "none");
        check("31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate", "v2 /sys/fs/cgroup");
        check(
            "33 31 0:30 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n32 31 0:29 / /cg/my\\040memory rw - cgroup cgroup rw,memory\n\
             34 31 0:30 / /else/cpu rw - cgroup cgroup rw,cpu,cpuacct\n40 31 0:37 / /cg/systemd rw - cgroup cgroup rw,name=systemd\n\
             41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n42 31 0:39 / /cg/net_cls rw - cgroup cgroup rw,perf_event\n\
             43 31 0:43 / /cg/net rw - cgroup cgroup rw,net_cls,net_prio",
            "memory=/cg/my memory cpuacct+cpu=/cg/cpu,cpuacct net_cls+net_prio=/cg/net systemd=/cg/systemd unified=/cg/unified",
        );
        check(
            "40 31 0:37 / /cg/systemd rw - cgroup cgroup rw,name=systemd\n41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw",
            "v2 /cg/unified",
        );
    }

    #[test]
    fn the_own_group_is_found() {
        let memory = Hierarchy::new("/cg/memory".into(), Controller::Memory);
        let text = "5:cpu,cpuacct:/a\n4:memory:/user.slice/b:c\n0::/d\n";
        assert_eq!(own_group(text, Some(&memory)).as_deref(), Some("user.slice/b:c"));
        assert_eq!(own_group(text, None).as_deref(), Some("d"));
        assert_eq!(own_group("0::/\n", None).as_deref(), Some(""));
        assert_eq!(own_group("0::/\n", Some(&memory)), None);
    }

    #[test]
    fn both_ways_to_detect_agree_here() {
        let (Ok(found), Ok(table)) = (Layout::detect(), std::fs::read_to_string("/proc/self/mountinfo")) else {
            return;
        };
        assert_eq!(format!("{found:?}"), format!("{:?}", parse(&table).unwrap()));
    }
}
