//! Signals to a container (runtime.md, kill): to its first process, and SIGKILL to all where the end of the first is
//! not the end of the others.

use crate::container::Container;
use crate::error::{Error, Result};
use kernel::cgroup::Cgroup;
use kernel::signal::Signal;
use rustix::io::Errno;

const KILL: i32 = 9;

/// Sends signal `number`, 0 to only ask. [`Error::NotRunning`] when there is nobody to get it.
pub fn kill(container: &Container, number: i32) -> Result<()> {
    if number == KILL
        && container.shares_pids()
        && let Some(cgroup) = container.cgroup()?
    {
        return kill_all(container, &cgroup);
    }
    let init = container.init().ok_or(Error::NotRunning)?;
    let sent = init.open().and_then(|pidfd| pidfd.send_signal(number));
    match sent {
        Ok(()) if number == KILL => thaw(container),
        Ok(()) => Ok(()),
        Err(error) if error.errno == Errno::SRCH => Err(Error::NotRunning),
        Err(error) => Err(error.into()),
    }
}

/// Ends every process in the container's cgroup.
fn kill_all(container: &Container, cgroup: &Cgroup) -> Result<()> {
    let signal = Signal::from_number(KILL).expect("9 is a signal");
    if cgroup.processes()?.is_empty() && !container.init().is_some_and(|init| init.is_alive()) {
        return Err(Error::NotRunning);
    }
    Ok(cgroup.kill(signal)?)
}

/// On version 1 a frozen process does not even end.
fn thaw(container: &Container) -> Result<()> {
    match container.cgroup()? {
        Some(cgroup) if cgroup.is_frozen().unwrap_or(false) => Ok(cgroup.thaw()?),
        _ => Ok(()),
    }
}
