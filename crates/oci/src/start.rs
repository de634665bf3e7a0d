//! Letting a created container's program start (runtime.md, start): a byte into its gate. The gate's name goes away
//! with it, which is how everybody sees that the container is started.

use crate::container::{Container, Status};
use crate::error::{Error, Result, invalid};
use crate::kill;
use runtime::hooks;
use rustix::fs::{CWD, Mode, OFlags};

/// The container's process has been told to go on; its program is executed a moment later.
pub fn start(container: &Container) -> Result<()> {
    let _lock = container.lock()?;
    match container.status()? {
        Status::Created => {}
        Status::Stopped | Status::Creating => return Err(invalid("cannot start a container that has stopped")),
        Status::Running => return Err(invalid("cannot start an already running container")),
        Status::Paused => return Err(invalid("cannot start a container in the paused state")),
    }
    open_gate(container)?;
    let Some(hooks) = &container.record.config.hooks else { return Ok(()) };
    let state = container.state(spec::runtime::Status::Running);
    hooks::run(hooks::Moment::Poststart, &hooks.poststart, &[], &state).map_err(|error| {
        // The hook's failure is what counts; a container that ended by itself is as good.
        let _ = kill::kill(container, 9);
        Error::from(error)
    })
}

fn open_gate(container: &Container) -> Result<()> {
    let path = container.gate();
    let at = |action: &str, errno| Error::Kernel(kernel::Error::at(action, &path, errno));
    // Without waiting: the process has the other end open as long as it lives.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let gate = rustix::fs::openat(CWD, &path, flags, Mode::empty()).map_err(|errno| at("open", errno))?;
    rustix::io::write(&gate, b"0").map_err(|errno| at("write", errno))?;
    rustix::fs::unlink(&path).map_err(|errno| at("remove", errno))
}
