//! One small process per container that outlives the command which started it: parent of the
//! container's init, owner of its streams, log, exit status, health checks and restart policy.
//! This file is the caller's side: making a monitor. `main.rs` is what the monitor does.
//!
//! A monitor holds the lock `monitor.lock` in the container's folder for all its life; the
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

use crate::attach::{Client, Streams, connect};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
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

/// Forks the monitor and waits until it has begun its work. `lock` is the container's, held by the caller until
/// then; the monitor has its own means.
pub fn spawn(engine: &Engine, container: &Container, begin: Begin, lock: Lock) -> Result<Client> {
    let (ours, theirs) = kernel::socket::pair()?;
    // A Ctrl-C that arrives before the child has left our terminal's session must not kill it.
    let before = set_mask(SignalSet::ALL)?;
    let mut caller = Some((ours, lock));
    let mut monitor = Some((begin, theirs));
    let child = kernel::clone::fork(|| {
        // The caller's end of the socket goes at once, or the caller's death would stay unseen. The lock goes when
        // the monitor has its own: should the caller be killed in between, nobody else starts the container.
        let lock = caller.take().map(|(_, lock)| lock);
        monitor.take().map_or(1, |(begin, theirs)| main::run(engine, container.clone(), begin, theirs, lock))
    });
    set_mask(before)?;
    drop(monitor); // the child's end of the socket: its death must be seen on ours
    child?;
    let Some((ours, lock)) = caller else { return Err(Error::Failed("the monitor's socket is gone".into())) };
    let mut client = Client::new(ours);
    client.wait_started()?;
    drop(lock);
    Ok(client)
}

/// Whether the policy starts a container again that ended without a monitor.
pub fn restarts(container: &Container) -> bool {
    let state = &container.state;
    !state.stopped_by_user
        && restart::is_due(container.record.options.lifecycle.restart, state.exit_code, state.restart_count)
}

/// The lock of the container's monitor. In the container's own folder: the run folder goes with each monitor, and
/// a lock in a folder that is being removed could be held by two.
pub const LOCK: &str = "monitor.lock";

pub fn lock_path(engine: &Engine, container: &Container) -> PathBuf {
    engine.paths().container(container.id()).join(LOCK)
}

/// True when no monitor lives.
pub fn is_dead(engine: &Engine, container: &Container) -> Result<bool> {
    // Without a file the container is being removed: its monitor, if any, is about to finish.
    Ok(!Lock::is_held(&lock_path(engine, container))?)
}

/// Waits until the monitor of an ended container has cleaned up. One that still waits for a client to read the
/// container's last words is told to give that up.
pub fn wait_gone(engine: &Engine, container: &Container) -> Result<()> {
    let path = lock_path(engine, container);
    if !Lock::is_held(&path)? {
        return Ok(());
    }
    if let Ok(mut client) = connect(engine, container, Streams::NONE) {
        client.forbid_restart()?;
    }
    match Lock::exclusive(&path) {
        Err(e) if e.errno != Errno::NOENT => Err(e.into()),
        _ => Ok(()),
    }
}
