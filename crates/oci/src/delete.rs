//! Removing what a container has left (runtime.md, delete): processes, cgroup, poststop hooks, state, in this order, so
//! that a delete that is killed is finished by the next one.

use crate::container::{self, Container, NOTIFY_SOCKET, Status};
use crate::error::{Error, Result, invalid};
use crate::root::{self, Root};
use crate::{kill, rdt};
use kernel::cgroup::Layout;
use kernel::signal::Signal;
use runtime::hooks;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// How long a killed process may take to end, in seconds.
const END_SECONDS_MAX: i64 = 10;

/// Deletes a container that is not running.
pub fn delete(root: &Root, id: &str) -> Result<()> {
    sweep(root);
    let (container, _lock) = open(root, id)?.lock()?;
    match container.status()? {
        Status::Stopped | Status::Creating => remove(&container),
        Status::Created => {
            end(&container)?;
            remove(&container)
        }
        status => Err(invalid(format!("cannot delete container {id} that is not stopped: {status}"))),
    }
}

/// Deletes a container in whatever state it is; one that does not exist is as good as deleted.
pub fn delete_forced(root: &Root, id: &str) -> Result<()> {
    sweep(root);
    let container = match open(root, id) {
        Ok(container) => container,
        Err(Error::NotFound) => return Ok(()),
        Err(Error::Kernel(error)) if error.errno == Errno::INVAL => return salvage(&root.directory(id)?),
        Err(error) => return Err(error),
    };
    let (container, _lock) = match container.lock() {
        Err(Error::NotFound) => return Ok(()),
        locked => locked?,
    };
    end(&container)?;
    remove(&container)
}

/// Of a container whose state is not understood (half written, or another version's): what it says of its cgroup is
/// enough to end it.
fn salvage(directory: &Path) -> Result<()> {
    let _lock = container::lock(directory)?;
    let text = std::fs::read(directory.join(container::STATE)).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    if let Some(name) = document["cgroup"].as_str().filter(|name| !name.is_empty()) {
        let cgroup = Layout::detect()?.open(name)?;
        cgroup.kill(Signal::from_number(9).expect("9 is a signal"))?;
        cgroup.remove()?;
    }
    remove_directory(directory)
}

/// A directory without a state is what a maker that was killed has left: it goes, whether or not by force.
fn open(root: &Root, id: &str) -> Result<Container> {
    let found = root.open(id);
    let directory = root.directory(id)?;
    if matches!(found, Err(Error::NotFound)) && directory.exists() {
        // With the lock: its maker may still be at it.
        let _lock = container::lock(&directory)?;
        return match root.open(id) {
            Err(Error::NotFound) => remove_directory(&directory).and(Err(Error::NotFound)),
            found => found,
        };
    }
    found
}

fn end(container: &Container) -> Result<()> {
    let Some(init) = container.init() else { return Ok(()) };
    let pidfd = match init.open() {
        Ok(pidfd) => pidfd,
        Err(_) => return Ok(()),
    };
    match kill::kill(container, 9) {
        Ok(()) | Err(Error::NotRunning) => {}
        Err(error) => return Err(error),
    }
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let timeout = Timespec { tv_sec: END_SECONDS_MAX, tv_nsec: 0 };
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(0) => Err(invalid("container init still running")),
        _ => Ok(()),
    }
}

/// The first process has ended, or nobody will wait for it.
pub(crate) fn remove(container: &Container) -> Result<()> {
    if let Some(cgroup) = container.cgroup()? {
        let exists = cgroup.exists();
        if exists && container.shares_pids() {
            // Those with a pid namespace of their own ended with its first process, so who is left is somebody else's: a
            // later container may have been given the same group.
            cgroup.kill(Signal::from_number(9).expect("9 is a signal"))?;
        }
        if !container.record.systemd_unit.is_empty() {
            match runtime::systemd::stop(&container.record.systemd_unit) {
                Err(error) if exists => return Err(error.into()),
                // Without a group it was at most on systemd's list of failures.
                _ => {}
            }
        }
        // Of one that was not finished, too: its directory of version 2 comes before the others.
        cgroup.remove()?;
    }
    rdt::remove(&container.record)?;
    let mut told = Ok(());
    if let Some(hooks) = &container.record.config.hooks {
        let state = container.state(spec::runtime::Status::Stopped);
        // The container is deleted all the same (runtime.md, lifecycle, step 13).
        told = hooks::run(hooks::Moment::Poststop, &hooks.poststop, &[], &state);
    }
    remove_directory(&container.directory)?;
    Ok(told?)
}

/// Finishes removals that were killed. What cannot be removed now, the next one tries again.
fn sweep(root: &Root) {
    for directory in root.removed() {
        let _ = empty(&directory);
    }
}

/// By another name first, which no container can have: whoever finds the name has all of the container, its lock
/// too, or nothing.
pub(crate) fn remove_directory(directory: &Path) -> Result<()> {
    let aside = aside(directory);
    // Left over from a removal that was killed.
    empty(&aside)?;
    match std::fs::rename(directory, &aside) {
        Ok(()) => empty(&aside),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file("remove", directory, &error)),
    }
}

fn aside(directory: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(root::REMOVED);
    name.push(directory.file_name().unwrap_or_default());
    directory.with_file_name(name)
}

/// Only what is ours in it, and never through a directory that somebody else may have mounted something on.
fn empty(directory: &Path) -> Result<()> {
    let failed = |error: &std::io::Error| Error::file("remove", directory, error);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error))?;
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        let removed = if is_directory {
            // The only one of ours with something in it holds one socket.
            let _ = std::fs::remove_file(path.join(NOTIFY_SOCKET));
            std::fs::remove_dir(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
    }
    match std::fs::remove_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&error)),
        _ => Ok(()),
    }
}
