//! Signals to a container's first process. Whole containers are ended through their cgroup
//! (`kernel::cgroup::Cgroup::kill`), or by ending pid 1 of their pid namespace.

use crate::error::Result;
use kernel::process::ProcessId;
use kernel::signal::Signal;

/// Sends `signal` to this very process. `ESRCH` when it has ended, even if its number has been given away again.
pub fn kill(target: ProcessId, signal: Signal) -> Result<()> {
    Ok(target.open()?.send_signal(signal.number())?)
}
