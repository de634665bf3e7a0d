//! Removing what a container has left (runtime.md, delete): processes, cgroup, poststop hooks, state, in this order, so
//! that a delete that is killed is finished by the next one.

use crate::container::{self, Container, Status};
use crate::error::{Error, Result, invalid};
use crate::kill;
use crate::root::Root;
use kernel::signal::Signal;
use runtime::hooks;
use rustix::event::{PollFd, PollFlags, Timespec};

/// How long a killed process may take to end, in seconds.
const END_SECONDS_MAX: i64 = 10;

/// Deletes a container that is not running.
pub fn delete(root: &Root, id: &str) -> Result<()> {
    let container = open(root, id)?;
    let _lock = container.lock()?;
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
    let container = match open(root, id) {
        Ok(container) => container,
        Err(Error::NotFound) => return Ok(()),
        Err(Error::Kernel(_)) => return remove_directory(&root.directory(id)?),
        Err(error) => return Err(error),
    };
    let _lock = match container.lock() {
        Err(Error::NotFound) => return Ok(()),
        lock => lock?,
    };
    end(&container)?;
    remove(&container)
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
    let cgroup = container.cgroup()?;
    if cgroup.exists() {
        // Processes of `exec`, and all that share our pid namespace.
        cgroup.kill(Signal::from_number(9).expect("9 is a signal"))?;
        cgroup.remove()?;
    }
    let mut told = Ok(());
    if let Some(hooks) = &container.record.config.hooks {
        let state = container.state(spec::runtime::Status::Stopped);
        // The container is deleted all the same (runtime.md, lifecycle, step 13).
        told = hooks::run(hooks::Moment::Poststop, &hooks.poststop, &[], &state);
    }
    remove_directory(&container.directory)?;
    Ok(told?)
}

fn remove_directory(directory: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", directory, &error)),
        _ => Ok(()),
    }
}
