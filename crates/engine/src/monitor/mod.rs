//! One small process per container that outlives the command which started it: parent of the
//! container's init, owner of its streams, log, exit status, health checks and restart policy.
//! This file is the caller's side: making a monitor. `main.rs` is what the monitor does.
//!
//! A monitor holds the lock `monitor.lock` in the container's run folder for all its life; the
//! kernel releases it at its death, so whether one lives is never a matter of belief.

mod clients;
pub mod health;
pub mod log;
mod main;
mod probe;
mod process;
mod restart;
mod stdio;
mod watch;

use crate::attach::{Client, Streams};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::run::Launch;
use kernel::lock::Lock;
use kernel::process::ProcessId;
use kernel::signal::{SignalSet, set_mask};
use rustix::io::Errno;
use std::path::PathBuf;

/// How a monitor's life begins. Each carries the end of a socket on which the caller waits.
pub enum Begin {
    /// Start the container for a caller who wants these streams.
    Launch(Box<Launch>, Streams),
    /// The container runs; its former monitor was killed.
    Adopt(ProcessId),
    /// The container ended while it had no monitor and its policy says: again.
    Restart,
}

/// Forks the monitor. `lock` is the container's and is released: the monitor has its own means.
/// The answer on the returned connection is `Started` or `Failed`.
pub fn spawn(engine: &Engine, container: &Container, begin: Begin, lock: Lock) -> Result<Client> {
    let (ours, theirs) = kernel::socket::pair()?;
    // A Ctrl-C that arrives before the child has left our terminal's session must not kill it.
    let before = set_mask(SignalSet::ALL)?;
    let mut inherited = Some((begin, theirs, lock));
    let child = kernel::clone::fork(|| match inherited.take() {
        Some((begin, caller, lock)) => {
            // Our copy of the caller's lock would keep it held for the container's whole life.
            drop(lock);
            main::run(engine, container.clone(), begin, caller)
        }
        None => 1,
    });
    set_mask(before)?;
    drop(inherited); // the child's end of the socket: its death must be seen on ours
    child?;
    Ok(Client::new(ours))
}

/// Puts a new monitor in the place of a killed one and waits until it is there.
pub fn spawn_again(engine: &Engine, container: &Container, begin: Begin, lock: Lock) -> Result<()> {
    spawn(engine, container, begin, lock)?.wait_started()
}

/// Whether the policy starts a container again that ended without a monitor.
pub fn restarts(container: &Container) -> bool {
    let state = &container.state;
    !state.stopped_by_user
        && restart::is_due(container.record.options.lifecycle.restart, state.exit_code, state.restart_count)
}

/// The lock of the container's monitor.
pub fn lock_path(engine: &Engine, container: &Container) -> PathBuf {
    engine.paths().run(container.id()).join("monitor.lock")
}

/// True when no monitor lives.
pub fn is_dead(engine: &Engine, container: &Container) -> Result<bool> {
    match Lock::try_exclusive(&lock_path(engine, container)) {
        Ok(lock) => Ok(lock.is_some()),
        // The run folder goes with the last monitor.
        Err(e) if e.errno == Errno::NOENT => Ok(true),
        Err(e) => Err(e.into()),
    }
}

/// Waits until the monitor of an ended container has cleaned up.
pub fn wait_gone(engine: &Engine, container: &Container) -> Result<()> {
    match Lock::exclusive(&lock_path(engine, container)) {
        Ok(_) => Ok(()),
        Err(e) if e.errno == Errno::NOENT => Ok(()),
        Err(e) => Err(e.into()),
    }
}
