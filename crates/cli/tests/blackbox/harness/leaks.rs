//! Looks for what a sandbox left on the machine: processes, mounts, cgroups, directories. The
//! one place in the tests that knows where brig keeps things: `containers/<id>` under its root
//! and `brig/<id>` in every cgroup hierarchy.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::process::{kill, patience};
use super::sandbox::Brig;

/// The containers that have a directory under `root`.
pub fn container_ids(root: &Path) -> Vec<String> {
    names(&root.join("containers")).into_iter().filter(|name| name.len() == 64).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What is left of the sandbox after its containers were removed, one line each. A monitor may
/// still be on its way out when `rm` returns: given a moment, it must be gone.
pub fn find(brig: &Brig, ids: &[String]) -> Vec<String> {
    let end = Instant::now() + patience() / 6;
    loop {
        let left = look(&brig.dir, ids);
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn look(dir: &Path, ids: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    for (pid, line) in processes(dir, ids) {
        left.push(format!("process {pid}: {line}"));
    }
    left.extend(mounts(dir).into_iter().map(|line| format!("mount {line}")));
    left.extend(cgroups(ids).into_iter().map(|path| format!("cgroup {}", path.display())));
    for id in container_ids(&dir.join("root")) {
        left.push(format!("directory containers/{id}"));
    }
    for path in
        paths_below(&dir.join("state")).into_iter().filter(|path| ids.iter().any(|id| path.contains(id.as_str())))
    {
        left.push(format!("state {path}"));
    }
    left
}

/// Processes that name the sandbox in their arguments or one of its containers in their cgroup.
fn processes(dir: &Path, ids: &[String]) -> Vec<(u32, String)> {
    let dir = dir.to_str().expect("test paths are UTF-8");
    let mut found = Vec::new();
    for pid in names(Path::new("/proc")).iter().filter_map(|name| name.parse::<u32>().ok()) {
        if pid == std::process::id() {
            continue;
        }
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        // A prefix of a longer number is another sandbox.
        let named =
            line.match_indices(dir).any(|(at, _)| !line[at + dir.len()..].starts_with(|c: char| c.is_ascii_digit()));
        if named || ids.iter().any(|id| cgroup.contains(id.as_str())) {
            found.push((pid, format!("{line} ({})", state(pid))));
        }
    }
    found
}

/// The letter of a process's state, `?` when it is gone.
fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?')
}

/// Mounts below the sandbox, in any mount namespace of the machine.
fn mounts(dir: &Path) -> Vec<String> {
    let below = format!("{}/", dir.display());
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for pid in names(Path::new("/proc")).iter().filter_map(|name| name.parse::<u32>().ok()) {
        let namespace = fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap_or_default();
        if seen.contains(&namespace) {
            continue;
        }
        let Ok(table) = fs::read_to_string(format!("/proc/{pid}/mountinfo")) else { continue };
        found.extend(table.lines().filter(|line| line.contains(&below)).map(|line| format!("(seen by {pid}) {line}")));
        seen.push(namespace);
    }
    found
}

fn cgroups(ids: &[String]) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let mut hierarchies: Vec<PathBuf> = names(top).iter().map(|name| top.join(name)).collect();
    hierarchies.push(top.to_owned());
    let brigs = hierarchies.into_iter().map(|hierarchy| hierarchy.join("brig"));
    brigs.flat_map(|brig| ids.iter().map(move |id| brig.join(id))).filter(|path| path.exists()).collect()
}

/// All paths below `dir`, not following links.
fn paths_below(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        found.push(entry.path().to_string_lossy().into_owned());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(paths_below(&entry.path()));
        }
    }
    found
}

/// Cleans up behind a failed test, so that the next ones are not blamed for it.
pub fn clean(dir: &Path, ids: &[String]) {
    for _ in 0..50 {
        for path in cgroups(ids) {
            // A frozen process does not die of SIGKILL.
            let _ = fs::write(path.join("freezer.state"), "THAWED");
            let _ = fs::write(path.join("cgroup.freeze"), "0");
        }
        let left = processes(dir, ids);
        for (pid, _) in &left {
            kill(*pid, "KILL");
        }
        if left.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    for path in cgroups(ids) {
        let _ = fs::remove_dir(path);
    }
}
