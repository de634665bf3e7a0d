//! What users do to a container that exists: stop, kill, restart, pause, rename, wait, remove.
//! A signal goes straight to the process; the monitor is only told that no restart is wanted,
//! and tells when the end is recorded.

use crate::attach::{Client, Streams, connect};
use crate::container::{Container, no_such};
use crate::create::{remove_directory, reserve};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::oci_runtime::OciRuntime;
use crate::record::Record;
use crate::state::Status;
use crate::{container, monitor, network, recover, run, validate, volumes};
use kernel::Context;
use kernel::cgroup::Layout;
use kernel::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::path::PathBuf;

const STOP_TIMEOUT_SECONDS: i64 = 10;

/// Ends the container: its stop signal, then SIGKILL after `timeout_seconds` (default: the
/// container's, else 10; negative: never). `Ok` also when it does not run.
pub fn stop(
    engine: &Engine,
    container: &Container,
    signal: Option<Signal>,
    timeout_seconds: Option<i64>,
) -> Result<()> {
    let Some(mut client) = last_words(engine, container)? else { return Ok(()) };
    // No start follows any more: what is on record now is what has to end.
    let Some(now) = Container::read(engine, container.id())? else { return wait_recorded(engine, container, client) };
    let container = &now;
    let Some(process) = container.process() else {
        return wait_recorded(engine, container, client); // it was between two starts
    };
    let signal = signal.unwrap_or_else(|| stop_signal(&container.record));
    let timeout =
        timeout_seconds.or(container.record.options.lifecycle.stop_timeout_seconds).unwrap_or(STOP_TIMEOUT_SECONDS);
    if let Ok(pidfd) = process.open() {
        send(engine, container, &pidfd, signal)?;
        if timeout >= 0 && !ends_within(&pidfd, timeout)? {
            send(engine, container, &pidfd, Signal::KILL)?;
        }
    }
    if client.wait_exit()?.is_none() {
        return wait_end_without_monitor(engine, container);
    }
    Ok(())
}

/// Sends `signal` to a running container's first process. A signal that is meant to end it also
/// ends the restart policy, as docker has it.
pub fn kill(engine: &Engine, container: &Container, signal: Signal) -> Result<()> {
    let process = container.process().ok_or_else(|| {
        Error::Conflict(format!(
            "cannot kill container: {}: container {} is not running",
            container.name(),
            container.id()
        ))
    })?;
    let stop_signal = &container.record.process.stop_signal;
    if signal == Signal::KILL || stop_signal.is_empty() || Signal::parse(stop_signal) == Some(signal) {
        last_words(engine, container)?;
    }
    // A restart may have come between.
    let now = Container::read(engine, container.id())?.and_then(|now| now.process());
    match now.unwrap_or(process).open() {
        Ok(pidfd) => send(engine, container, &pidfd, signal),
        // It has ended since we looked: what was wanted.
        Err(e) if e.errno == Errno::SRCH => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Stops if it runs, and starts.
pub fn restart(
    engine: &Engine,
    container: &mut Container,
    signal: Option<Signal>,
    timeout_seconds: Option<i64>,
) -> Result<()> {
    stop(engine, container, signal, timeout_seconds)?;
    container.refresh(engine)?;
    run::start(engine, container, Streams::NONE).map(|_| ())
}

pub fn pause(_engine: &Engine, container: &Container) -> Result<()> {
    container.require_running()?;
    if container.status() == Status::Paused {
        return Err(Error::Conflict(format!("container {} is already paused", container.name())));
    }
    let cgroup = container.cgroup()?;
    if !cgroup.exists() {
        return Err(Error::Unsupported(format!(
            "container {} has no cgroup under its runtime, so it cannot be paused",
            container.name()
        )));
    }
    Ok(cgroup.freeze()?)
}

pub fn unpause(_engine: &Engine, container: &Container) -> Result<()> {
    container.require_running()?;
    if container.status() != Status::Paused {
        return Err(Error::Conflict(format!("container {} is not paused", container.name())));
    }
    Ok(container.cgroup()?.thaw()?)
}

/// Gives the container another name; the old one is free afterwards.
pub fn rename(engine: &Engine, container: &Container, new: &str) -> Result<()> {
    let new = new.strip_prefix('/').unwrap_or(new);
    validate::container_name(new)?;
    let (mut now, _lock) = container.locked(engine)?;
    if now.record.name == new {
        return Err(Error::Invalid(format!("Renaming a container with the same name as its current name: {new}")));
    }
    // New name, record, old name, in this order: killed in between, the container always has a name that leads to it.
    reserve(engine, now.id(), new)?;
    let old = std::mem::replace(&mut now.record.name, new.to_owned());
    if let Err(error) = now.save(engine) {
        let _ = std::fs::remove_file(engine.paths().name(new));
        return Err(error);
    }
    release_name(engine, &old, now.id().as_str());
    network::follow_rename(engine, &now)?;
    Ok(())
}

/// Waits for the end of a container; at once the last exit code when it does not run.
pub fn wait(engine: &Engine, container: &Container) -> Result<i32> {
    let mut container = container.clone();
    loop {
        if !matches!(container.state.status, Status::Running | Status::Restarting) {
            return Ok(container.state.exit_code);
        }
        let code = match connect(engine, &container, Streams::NONE) {
            Ok(mut client) => client.wait_exit()?,
            Err(_) => None, // it ended between the two calls, or lost its monitor
        };
        if let Some(code) = code {
            return Ok(code);
        }
        container.refresh(engine)?;
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Remove {
    /// A running container is killed first.
    pub force: bool,
    /// Its anonymous volumes as well.
    pub volumes: bool,
}

/// Removes the container and all that belongs to it.
pub fn remove(engine: &Engine, container: &Container, options: Remove) -> Result<()> {
    match container.status() {
        Status::Running | Status::Restarting | Status::Paused if !options.force => {
            let state = if container.status() == Status::Paused { "paused" } else { "running" };
            let advice = if state == "paused" { "unpause and then stop" } else { "stop" };
            return Err(Error::Conflict(format!(
                "cannot remove container \"{}\": container is {state}: {advice} the container before removing or force remove",
                container.name()
            )));
        }
        Status::Running | Status::Restarting | Status::Paused => stop(engine, container, Some(Signal::KILL), None)?,
        _ => {}
    }
    // Whoever was faster has removed it: `--rm`, or another `rm`.
    let gone = || if options.force { Ok(()) } else { Err(no_such(container.name())) };
    let lock = match container.lock(engine) {
        Err(Error::NotFound(_)) => return gone(),
        lock => lock?,
    };
    let Some(now) = Container::read(engine, container.id())? else { return gone() };
    if matches!(now.state.status, Status::Running | Status::Restarting) {
        // Somebody started it while we waited.
        drop(lock);
        let Some(now) = Container::load(engine, container.id())? else { return gone() };
        return remove(engine, &now, options);
    }
    monitor::wait_gone(engine, container)?;
    let Some(now) = Container::read(engine, container.id())? else { return gone() };
    hide(engine, &now, options.volumes)?;
    remove_hidden(engine, &now.record, options.volumes)
}

/// Where a container waits for its removal; killed meanwhile, `recover::sweep` goes on from this name.
pub(crate) fn hidden_path(engine: &Engine, id: &spec::ContainerId, volumes: bool) -> PathBuf {
    let kind = if volumes { recover::DEAD_WITH_VOLUMES } else { recover::DEAD };
    engine.paths().containers().join(format!("{kind}{id}"))
}

/// Makes it no container any more and its name free, in two steps that cannot fail half-way. With `volumes` its
/// anonymous ones go out of sight as well: whoever sees its end sees them gone.
pub(crate) fn hide(engine: &Engine, container: &Container, volumes: bool) -> Result<()> {
    let directory = engine.paths().container(container.id());
    std::fs::rename(&directory, hidden_path(engine, container.id(), volumes)).during_at("rename", &directory)?;
    release_name(engine, container.name(), container.id().as_str());
    if volumes {
        for volume in container.record.volumes.iter().filter(|volume| volume.anonymous) {
            let _ = volumes::hide(engine, &volume.name);
        }
    }
    Ok(())
}

/// What a hidden container still has: limits, run folder, anonymous volumes, files.
pub(crate) fn remove_hidden(engine: &Engine, record: &Record, volumes: bool) -> Result<()> {
    if let Some(runtime) = OciRuntime::of(engine, record) {
        runtime.delete()?;
    }
    if let Ok(cgroup) = Layout::detect().and_then(|layout| layout.open(&container::cgroup_name(&record.id))) {
        let _ = cgroup.kill(Signal::KILL);
        let _ = cgroup.remove();
    }
    network::release(engine, record);
    remove_directory(&engine.paths().run(&record.id))?;
    if volumes {
        for volume in record.volumes.iter().filter(|volume| volume.anonymous) {
            // Not hidden yet where somebody was killed in between.
            let _ = volumes::hide(engine, &volume.name).and_then(|()| volumes::remove_hidden(engine, &volume.name));
        }
    }
    remove_directory(&hidden_path(engine, &record.id, volumes))
}

/// Removes the link unless it leads to somebody else by now.
fn release_name(engine: &Engine, name: &str, id: &str) {
    let link = engine.paths().name(name);
    if std::fs::read_link(&link).is_ok_and(|target| target.as_os_str() == id) {
        let _ = std::fs::remove_file(link);
    }
}

/// Tells the monitor that the coming end is the last; `None` when there is nothing to end.
fn last_words(engine: &Engine, container: &Container) -> Result<Option<Client>> {
    if !matches!(container.state.status, Status::Running | Status::Restarting) {
        return Ok(None);
    }
    match connect(engine, container, Streams::NONE) {
        Ok(mut client) => {
            client.forbid_restart()?;
            Ok(Some(client))
        }
        // It ended since we looked, or its monitor was killed, which another look repairs.
        Err(Error::Kernel(e)) if matches!(e.errno, Errno::NOENT | Errno::CONNREFUSED) => {
            match Container::load(engine, container.id())? {
                Some(now) if matches!(now.state.status, Status::Running | Status::Restarting) => {
                    let mut client = connect(engine, &now, Streams::NONE)?;
                    client.forbid_restart()?;
                    Ok(Some(client))
                }
                _ => Ok(None),
            }
        }
        Err(error) => Err(error),
    }
}

fn wait_recorded(engine: &Engine, container: &Container, mut client: Client) -> Result<()> {
    match client.wait_exit()? {
        Some(_) => Ok(()),
        None => wait_end_without_monitor(engine, container),
    }
}

/// The monitor was killed while we waited, and with it the knowledge that no restart is wanted: the next look
/// repairs, and what lives then has to end after all.
fn wait_end_without_monitor(engine: &Engine, container: &Container) -> Result<()> {
    match Container::load(engine, container.id())? {
        Some(now) if matches!(now.state.status, Status::Running | Status::Restarting) => {
            stop(engine, &now, Some(Signal::KILL), None)
        }
        _ => Ok(()),
    }
}

fn stop_signal(record: &Record) -> Signal {
    Signal::parse(&record.process.stop_signal).unwrap_or(Signal::TERM)
}

/// A frozen process gets its signals only once it is thawed; on cgroup v1 that holds for SIGKILL as well.
fn send(engine: &Engine, container: &Container, pidfd: &kernel::pidfd::PidFd, signal: Signal) -> Result<()> {
    let told = OciRuntime::of(engine, &container.record).is_some_and(|runtime| runtime.kill(signal).is_ok());
    // Another runtime that fails, perhaps because the end has come, must not keep the container from being ended.
    if !told {
        match pidfd.send_signal(signal.number()) {
            Err(e) if e.errno != Errno::SRCH => return Err(e.into()),
            _ => {}
        }
    }
    let ends = signal == Signal::KILL || signal == stop_signal(&container.record);
    if ends && container.status() == Status::Paused {
        container.cgroup()?.thaw()?;
    }
    Ok(())
}

fn ends_within(pidfd: &kernel::pidfd::PidFd, seconds: i64) -> Result<bool> {
    let deadline = kernel::timer::monotonic_nanoseconds().saturating_add(seconds.saturating_mul(1_000_000_000));
    loop {
        let left = (deadline - kernel::timer::monotonic_nanoseconds()).max(0);
        let timeout = Timespec { tv_sec: left / 1_000_000_000, tv_nsec: (left % 1_000_000_000) as _ };
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(kernel::Error::new("wait for the container's process", errno).into()),
        }
    }
}
