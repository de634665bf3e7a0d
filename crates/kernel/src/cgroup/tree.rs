//! What both versions do with directories of control groups: make them with their parents, list
//! and signal the processes beneath, remove them. All of it races with others who do the same to
//! the parents, and with processes that fork and end meanwhile.

use crate::cgroup::file;
use crate::pidfd::PidFd;
use crate::signal::Signal;
use crate::{Context, Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// How often making a directory is tried again when others remove its parents; each turn takes a
/// microsecond or so, and a remover must come in between every time.
pub(super) const ATTEMPTS: u32 = 64;

/// How often a directory with processes that are just ending is tried: 50 µs at first, doubling to
/// 25 ms, about a second in all.
const REMOVE_ATTEMPTS: u32 = 48;

/// The directories made so far; they are removed in reverse unless `keep` is called.
#[derive(Default)]
pub(super) struct Undo(Vec<PathBuf>);

impl Undo {
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // A parent that others use by now stays, and rightly so.
            let _ = rustix::fs::rmdir(dir);
        }
    }
}

/// A relative path of plain names: what may be joined to a mount point.
pub(super) fn check_name(name: &str) -> Result<()> {
    let plain = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
    if name.is_empty() || !plain {
        return Err(Error::new(
            format!("use cgroup name {name:?}: it must be a relative path without `..`"),
            Errno::INVAL,
        ));
    }
    Ok(())
}

/// Makes `mount/name` and whatever parents it lacks. `EEXIST` when it is there.
pub(super) fn make(mount: &Path, name: &str, undo: &mut Undo) -> Result<()> {
    let dir = mount.join(name);
    for _ in 0..ATTEMPTS {
        match rustix::fs::mkdir(&dir, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                undo.0.push(dir);
                return Ok(());
            }
            Err(Errno::NOENT) => make_parents(mount, name, undo)?,
            Err(errno) => return Err(Error::at("create cgroup", dir, errno)),
        }
    }
    Err(Error::at("create cgroup whose parents others keep removing", dir, Errno::NOENT))
}

/// Makes the directories between `mount` and `mount/name`.
pub(super) fn make_parents(mount: &Path, name: &str, undo: &mut Undo) -> Result<()> {
    for parent in parents(mount, name).skip(1) {
        match rustix::fs::mkdir(&parent, Mode::from_raw_mode(0o755)) {
            Ok(()) => undo.0.push(parent),
            // NOENT: removed from under us; the caller begins again.
            Err(Errno::EXIST | Errno::NOENT) => {}
            Err(errno) => return Err(Error::at("create cgroup", parent, errno)),
        }
    }
    Ok(())
}

/// `mount` and each directory below it on the way to `mount/name`, without the last.
pub(super) fn parents(mount: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let mut parents: Vec<PathBuf> = Path::new(name).ancestors().skip(1).map(|parent| mount.join(parent)).collect();
    parents.reverse();
    parents.into_iter()
}

/// The directories directly beneath `dir`. cgroupfs counts them in the link count, so that nothing
/// is listed in the usual case of none. No directory, no children.
pub(super) fn children(dir: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::metadata(dir) {
        Ok(metadata) if metadata.nlink() > 2 => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).during_at("look at cgroup", dir),
    }
    let mut children = Vec::new();
    for entry in std::fs::read_dir(dir).during_at("list cgroup", dir)? {
        let entry = entry.during_at("list cgroup", dir)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            children.push(entry.path());
        }
    }
    children.sort();
    Ok(children)
}

/// The numbers in file `name` (`cgroup.procs`, `tasks`) of `dir` and all groups beneath.
/// Processes outside our pid namespace, listed as 0, are left out. No directory, no processes.
pub(super) fn members(dir: &Path, name: &str) -> Result<Vec<i32>> {
    let mut members = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        match file::read(&dir, name) {
            Ok(text) => members.extend(text.lines().filter_map(|line| line.parse().ok()).filter(|&pid: &i32| pid > 0)),
            // NOTSUP: a threaded group, whose processes are listed in a group above it.
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        todo.extend(children(&dir)?);
    }
    Ok(members)
}

/// Sends `signal` to every process beneath `dir`, also to those forked meanwhile, once each.
/// False when new processes still appeared after many rounds.
///
/// A signalled process cannot fork before it has seen SIGKILL, so that a listing without new
/// processes is the end. Each process is opened first and listed again before it is signalled:
/// a pid that was taken over by a stranger in between is not in the second list.
pub(super) fn signal_members(dir: &Path, signal: Signal) -> Result<bool> {
    let mut signalled = HashSet::new();
    for _ in 0..ROUNDS {
        let mut new = members(dir, "cgroup.procs")?;
        new.retain(|pid| !signalled.contains(pid));
        if new.is_empty() {
            return Ok(true);
        }
        for batch in new.chunks(BATCH) {
            let opened: Vec<(i32, PidFd)> =
                batch.iter().filter_map(|&pid| Some((pid, PidFd::open(pid).ok()?))).collect();
            let still_there: HashSet<i32> = members(dir, "cgroup.procs")?.into_iter().collect();
            for (pid, process) in opened.iter().filter(|(pid, _)| still_there.contains(pid)) {
                match process.send_signal(signal.number()) {
                    Err(error) if error.errno != Errno::SRCH => return Err(error),
                    _ => signalled.insert(*pid),
                };
            }
        }
    }
    Ok(false)
}

/// Rounds after which a fork bomb is stronger than we are.
const ROUNDS: u32 = 16;
/// Descriptors of processes held open at once; the usual limit is 1024.
const BATCH: usize = 256;

/// The first group beneath `dir`, in order of names, that has a process of its own.
pub(super) fn first_populated(dir: &Path) -> Result<Option<PathBuf>> {
    for child in children(dir)? {
        if file::read(&child, "cgroup.procs").is_ok_and(|text| !text.is_empty()) {
            return Ok(Some(child));
        }
        if let Some(found) = first_populated(&child)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Removes `dir` and all groups beneath, children first. `Ok` when it is not there.
/// A group stays busy for a moment after its last process was reaped: tried for about a second.
pub(super) fn remove(dir: &Path) -> Result<()> {
    let mut delay = Duration::from_micros(50);
    for _ in 0..REMOVE_ATTEMPTS {
        match rustix::fs::rmdir(dir) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) => {
                let children = children(dir)?;
                if children.is_empty() {
                    std::thread::sleep(delay);
                    delay = (delay * 2).min(Duration::from_millis(25));
                }
                for child in children {
                    remove(&child)?;
                }
            }
            Err(errno) => return Err(Error::at("remove cgroup", dir, errno)),
        }
    }
    let busy = match members(dir, "cgroup.procs")?.first() {
        Some(pid) => format!("remove cgroup, still used by process {pid},"),
        None => "remove cgroup, still used by processes of another pid namespace,".to_owned(),
    };
    Err(Error::at(busy, dir, Errno::BUSY))
}

/// Refuses a group that has processes: it belongs to something that runs.
pub(super) fn check_unused(dir: &Path) -> Result<()> {
    match members(dir, "cgroup.procs")?.first() {
        None => Ok(()),
        Some(pid) => Err(Error::at(
            format!("create cgroup, in use by process {pid}: stop it or choose another name,"),
            dir,
            Errno::EXIST,
        )),
    }
}

/// Opens a directory for `clone3` and for attaching programs.
pub(super) fn open_dir(dir: &Path) -> Result<std::os::fd::OwnedFd> {
    file::open(dir, OFlags::RDONLY | OFlags::DIRECTORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_mount() {
        for (name, good) in [
            ("brig/x", true),
            ("brig", true),
            ("", false),
            ("/brig", false),
            ("a/../b", false),
            ("..", false),
            ("./a", false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn parents_are_listed_from_the_top() {
        let all: Vec<PathBuf> = parents(Path::new("/sys/fs/cgroup"), "a/b/c").collect();
        assert_eq!(all, ["/sys/fs/cgroup/", "/sys/fs/cgroup/a", "/sys/fs/cgroup/a/b"].map(PathBuf::from));
    }

    #[test]
    fn no_group_has_no_members() {
        let dir = Path::new("/sys/fs/cgroup/brig-none");
        assert!(members(dir, "cgroup.procs").unwrap().is_empty());
        assert!(remove(dir).is_ok());
    }
}
