//! Stopping all processes of a container for a while, and letting them go on: the freezer of its cgroup.

use crate::container::{Container, Status};
use crate::error::{Result, invalid};

/// All processes stand when this returns.
pub fn pause(container: &Container) -> Result<()> {
    let (container, _lock) = container.lock()?;
    match container.status()? {
        Status::Running | Status::Created => Ok(container.cgroup_needed()?.freeze()?),
        status => Err(invalid(format!("container not running or created: {status}"))),
    }
}

pub fn resume(container: &Container) -> Result<()> {
    let (container, _lock) = container.lock()?;
    match container.status()? {
        Status::Paused => Ok(container.cgroup_needed()?.thaw()?),
        _ => Err(invalid("container not paused")),
    }
}
