//! Letting a created container's program start (runtime.md, start): a byte into its gate. The gate's name goes away
//! with it, which is how everybody sees that the container is started.

use crate::container::{Container, GATE_FLAGS, Status};
use crate::error::{Error, Result, invalid};
use crate::kill;
use runtime::hooks;
use rustix::fs::{CWD, Mode};

/// The container's process has been told to go on; its program is executed a moment later.
pub fn start(container: &Container) -> Result<()> {
    let (container, _lock) = container.lock()?;
    let container = &container;
    check(container)?;
    open_gate(container)?;
    let Some(hooks) = &container.record.config.hooks else { return Ok(()) };
    let state = container.state(spec::runtime::Status::Running);
    hooks::run(hooks::Moment::Poststart, &hooks.poststart, &[], &state).map_err(|error| {
        // The hook's failure is what counts; a container that ended by itself is as good.
        let _ = kill::kill(container, 9);
        Error::from(error)
    })
}

/// Whether it can be started.
pub fn check(container: &Container) -> Result<()> {
    match container.status()? {
        Status::Created => Ok(()),
        Status::Stopped | Status::Creating => Err(invalid("cannot start a container that has stopped")),
        Status::Running => Err(invalid("cannot start an already running container")),
        Status::Paused => Err(invalid("cannot start a container in the paused state")),
    }
}

fn open_gate(container: &Container) -> Result<()> {
    let path = container.gate();
    let at = |action: &str, errno| Error::Kernel(kernel::Error::at(action, &path, errno));
    let gate = rustix::fs::openat(CWD, &path, GATE_FLAGS, Mode::empty()).map_err(|errno| at("open", errno))?;
    rustix::io::write(&gate, b"0").map_err(|errno| at("write", errno))?;
    rustix::fs::unlink(&path).map_err(|errno| at("remove", errno))
}
