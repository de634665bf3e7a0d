//! The file system resctrl (filesystems/resctrl.rst in the kernel's documentation): classes of service, directories that
//! share out the processor's caches and memory bandwidth among the tasks in them, and groups within a class whose
//! use is measured apart. What a container gets of it, and when, is `oci/rdt.rs`.

use crate::cgroup::unescape;
use crate::{Context, Error, Result};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

const PLACE: &str = "/sys/fs/resctrl";
/// linux/magic.h
const RDTGROUP_SUPER_MAGIC: u64 = 0x0765_5821;

/// Where it is mounted, which is up to the administrator.
#[derive(Debug, Clone)]
pub struct Resctrl {
    root: PathBuf,
}

/// A class of service, or a group within one.
#[derive(Debug, Clone)]
pub struct Group {
    root: PathBuf,
    path: PathBuf,
}

impl Resctrl {
    /// `None` when it is not mounted.
    pub fn find() -> Result<Option<Resctrl>> {
        match rustix::fs::statfs(PLACE) {
            Ok(found) if found.f_type as u64 == RDTGROUP_SUPER_MAGIC => return Ok(Some(Resctrl::at(Path::new(PLACE)))),
            // A kernel or a processor without it.
            Err(Errno::NOENT) => return Ok(None),
            _ => {}
        }
        const TABLE: &str = "/proc/self/mountinfo";
        let table = std::fs::read_to_string(TABLE).during_at("read", TABLE)?;
        Ok(mount_point(&table).map(|root| Resctrl { root }))
    }

    /// In a directory that is laid out in the same way.
    pub fn at(root: &Path) -> Resctrl {
        Resctrl { root: root.to_owned() }
    }

    /// Whether `resource` (`L3`, `MB`) can be shared out.
    pub fn shares(&self, resource: &str) -> bool {
        // A cache that is divided for code and data has a directory for each, and none of its own name.
        ["", "CODE"].iter().any(|half| self.root.join(format!("info/{resource}{half}")).is_dir())
    }

    /// What is known of `resource`, by the names of its files.
    pub fn info(&self, resource: &str, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join("info").join(resource).join(name)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The class that all tasks are in that are in no other.
    pub fn default_class(&self) -> Group {
        Group { root: self.root.clone(), path: self.root.clone() }
    }

    /// A class that exists. `name` must be one path component.
    pub fn class(&self, name: &str) -> Option<Group> {
        let path = self.root.join(name);
        // `info` and the like are directories, too.
        (path.join("schemata").exists() && path.join("tasks").exists()).then(|| Group { root: self.root.clone(), path })
    }

    /// A new class. `EEXIST` when there is one, `ENOSPC` when the processor has no more of them.
    pub fn make_class(&self, name: &str) -> Result<Group> {
        make(&self.root, self.root.join(name))
    }
}

fn mount_point(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        (file_system.split(' ').next()? == "resctrl").then(|| mount.split(' ').nth(4).map(unescape))?
    })
}

fn make(root: &Path, path: PathBuf) -> Result<Group> {
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(Group { root: root.to_owned(), path }),
        Err(errno) => Err(explain(root, "make", path, errno)),
    }
}

/// With what the kernel says of the last call in its own words, where it says something.
fn explain(root: &Path, action: &str, path: PathBuf, errno: Errno) -> Error {
    let status = std::fs::read_to_string(root.join("info/last_cmd_status")).unwrap_or_default();
    match status.trim() {
        "" | "ok" => Error::at(action, path, errno),
        status => Error::at(format!("{action} ({status})"), path, errno),
    }
}

impl Group {
    /// How the resources are shared out, a line for each: `L3:0=ff;1=ff`.
    pub fn schemata(&self) -> Result<String> {
        let path = self.path.join("schemata");
        std::fs::read_to_string(&path).during_at("read", path)
    }

    /// Changes what `lines` name, and leaves the rest. For a class.
    pub fn share_out(&self, lines: &str) -> Result<()> {
        self.write("schemata", &format!("{lines}\n"))
    }

    /// Takes process `pid` in, from where it was. Those that it makes later follow it.
    pub fn add(&self, pid: i32) -> Result<()> {
        self.write("tasks", &pid.to_string())
    }

    /// The group `name` within this class. `name` must be one path component.
    pub fn measured(&self, name: &str) -> Group {
        Group { root: self.root.clone(), path: self.path.join("mon_groups").join(name) }
    }

    /// Makes the group `name` within this class.
    pub fn make_measured(&self, name: &str) -> Result<Group> {
        make(&self.root, self.measured(name).path)
    }

    /// What was measured, by cache and event (`mon_data/mon_L3_00/llc_occupancy`); what cannot be had now is left out.
    pub fn measurements(&self, event: &str) -> Vec<u64> {
        let Ok(caches) = std::fs::read_dir(self.path.join("mon_data")) else { return Vec::new() };
        let mut caches: Vec<PathBuf> = caches.flatten().map(|entry| entry.path()).collect();
        caches.sort();
        let number = |cache: &PathBuf| std::fs::read_to_string(cache.join(event)).ok()?.trim().parse().ok();
        caches.iter().filter_map(number).collect()
    }

    /// The tasks in it go back to where they belong without it. `Ok` when there is no such group.
    pub fn remove(&self) -> Result<()> {
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(explain(&self.root, "remove", self.path.clone(), errno)),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        std::fs::write(&path, text).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            explain(&self.root, &format!("write {:?} to", text.trim_end()), path, errno)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_elsewhere_is_found() {
        let table =
            "30 1 0:1 / /sys rw - sysfs sysfs rw\n31 1 0:2 / /mnt/a\\040b rw,relatime shared:1 - resctrl resctrl rw\n";
        assert_eq!(mount_point(table), Some("/mnt/a b".into()));
        assert_eq!(mount_point("30 1 0:1 / /sys rw - sysfs sysfs rw\n"), None);
    }

    #[test]
    fn the_kernels_words_are_told() {
        let root = std::env::temp_dir().join(format!("brig-resctrl-{}", std::process::id()));
        std::fs::create_dir_all(root.join("info/L3CODE")).unwrap();
        std::fs::write(root.join("info/last_cmd_status"), "mask f0f0 has non-consecutive 1-bits\n").unwrap();
        let resctrl = Resctrl::at(&root);
        assert!(resctrl.shares("L3") && !resctrl.shares("MB"));
        assert!(resctrl.class("info").is_none());
        resctrl.make_class("a").unwrap();
        let error = resctrl.make_class("a").unwrap_err();
        assert_eq!(error.errno, Errno::EXIST);
        assert!(error.to_string().contains("non-consecutive"), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }
}
