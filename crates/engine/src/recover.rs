//! Putting right what a `kill -9` or a power cut left. No daemon does this: the next command
//! that looks at a container does. The kernel is asked (lock of the monitor, process, boot id),
//! files are only believed where it agrees.

use crate::container::{Container, boot_id, cgroup_name};
use crate::create::remove_directory;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::monitor::{self, Begin};
use crate::oci_runtime::OciRuntime;
use crate::record::Record;
use crate::state::Status;
use crate::{commit, file, lifecycle, network, run};
use kernel::cgroup::Layout;
use kernel::lock::Lock;
use kernel::pidfd::Exit;
use kernel::signal::Signal;
use spec::Timestamp;
use std::path::Path;

/// The exit code of a container whose end nobody saw, as docker has it.
pub const EXIT_UNKNOWN: i32 = 255;

/// Prefixes of directories that are no containers: being made, being removed without and with
/// their anonymous volumes.
pub const NEW: &str = ".new-";
pub const DEAD: &str = ".dead-";
pub const DEAD_WITH_VOLUMES: &str = ".dead+volumes-";

/// Compares a container that is said to live with the kernel. `None` when it is gone afterwards.
pub fn repair(engine: &Engine, container: Container) -> Result<Option<Container>> {
    if !is_orphaned(engine, &container)? {
        // What cannot be cleared now is at the next start.
        let _ = clear_start(engine, &container);
        commit::thaw_abandoned(engine, &container);
        return Ok(Some(container));
    }
    let Ok(lock) = container.lock(engine) else { return Ok(None) };
    // Somebody may have repaired it while we waited.
    let Some(mut container) = Container::read(engine, container.id())? else { return Ok(None) };
    if !is_orphaned(engine, &container)? {
        return Ok(Some(container));
    }
    if container.state.boot_id == boot_id()
        && let Some(process) = container.process().filter(|process| process.is_alive())
    {
        return match monitor::spawn(engine, &container, Begin::Adopt(process), lock) {
            Ok(_) => Container::read(engine, container.id()),
            // It ended between the two looks.
            Err(_) if !process.is_alive() => repair(engine, container),
            Err(error) => Err(error),
        };
    }
    bury(engine, &mut container);
    network::release(engine, &container.record);
    if container.record.options.lifecycle.auto_remove {
        lifecycle::hide(engine, &container, true)?;
        lifecycle::remove_hidden(engine, &container.record, true)?;
        return Ok(None);
    }
    let restarts = monitor::restarts(&container);
    if restarts {
        container.state.status = Status::Restarting;
        container.state.boot_id = boot_id(); // or every command would take it for an orphan again
    }
    // One write for the end and what comes of it: killed after an end alone, the restart would be forgotten.
    container.save_state(engine)?;
    remove_directory(&engine.paths().run(container.id()))?;
    if restarts {
        monitor::spawn(engine, &container, Begin::Restart, lock)?;
        return Container::read(engine, container.id());
    }
    Ok(Some(container))
}

/// Said to live, but no monitor does.
fn is_orphaned(engine: &Engine, container: &Container) -> Result<bool> {
    let lives = matches!(container.state.status, Status::Running | Status::Restarting);
    Ok(lives && (container.state.boot_id != boot_id() || monitor::is_dead(engine, container)?))
}

/// Clears away what is left of a start that was killed before the container was said to live, its command and its monitor
/// both; the files of a run are made first. Who holds the lock is about to start it, or clears up itself.
fn clear_start(engine: &Engine, container: &Container) -> Result<()> {
    let is_left =
        || Ok::<bool, Error>(engine.paths().run(container.id()).exists() && monitor::is_dead(engine, container)?);
    if !matches!(container.state.status, Status::Created | Status::Exited) || !is_left()? {
        return Ok(());
    }
    let Ok(Some(_lock)) = Lock::try_exclusive(&engine.paths().container(container.id()).join("lock")) else {
        return Ok(());
    };
    // Somebody may have started it before we had the lock.
    let Some(container) = Container::read(engine, container.id())? else { return Ok(()) };
    if matches!(container.state.status, Status::Created | Status::Exited) && is_left()? {
        run::remove_leftovers(engine, &container)?;
        remove_directory(&engine.paths().run(container.id()))?;
    }
    Ok(())
}

/// Notes the end of a process that is gone, and ends what it left. The caller saves the state.
fn bury(engine: &Engine, container: &mut Container) {
    let runtime = OciRuntime::of(engine, &container.record);
    if let Ok(cgroup) = Layout::detect().and_then(|layout| layout.open(&cgroup_name(container.id()))) {
        container.state.oom_killed |= cgroup.oom_kills().unwrap_or(0) > 0;
        let _ = cgroup.kill(Signal::KILL);
        // It knows hierarchies that we have no use for.
        let _ = runtime.as_ref().map_or(Ok(()), OciRuntime::delete);
        let _ = cgroup.remove();
    }
    if container.state.status == Status::Running {
        // Where the host's first process is slow to reap, or never does, the dead one still tells.
        let process = container.state.process.filter(|_| container.state.boot_id == boot_id());
        let exit = process.and_then(|process| kernel::stranger::exit_of_zombie(process.into()));
        container.state.exit_code = exit.map_or(EXIT_UNKNOWN, Exit::code);
        if exit.is_none() {
            container.state.error = "the container ended while its monitor was dead: its exit status is unknown".into();
        }
        container.state.finished_at = Some(Timestamp::now());
    }
    container.state.process = None;
    container.state.status = Status::Exited;
}

/// Removes half-made and half-removed containers whose maker or remover is dead. Best effort:
/// what cannot be removed now is tried again by the next command. Of a container that was only being made, anonymous
/// volumes may be left, which `volume prune` takes.
pub fn sweep(engine: &Engine) {
    let Ok(entries) = std::fs::read_dir(engine.paths().containers()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            continue;
        }
        // Makers and removers hold the lock of the directory; a monitor that removes its container has its own, which
        // nobody takes any more once the container is hidden.
        if !matches!(Lock::is_held(&entry.path().join(monitor::LOCK)), Ok(false)) {
            continue;
        }
        let Ok(Some(_lock)) = Lock::try_exclusive(&entry.path().join("lock")) else { continue };
        let record = file::read_json::<Record>(&entry.path().join("container.json")).ok().flatten();
        match (record, name.starts_with(NEW)) {
            (Some(record), false) => {
                drop(lifecycle::remove_hidden(engine, &record, name.starts_with(DEAD_WITH_VOLUMES)))
            }
            _ => drop(remove_directory(&entry.path())),
        }
    }
}

/// Frees a name whose container is gone, or has another name. False when the name is in use.
pub fn release_stale_name(engine: &Engine, name: &str, holder: &str) -> Result<bool> {
    // One at a time: two that find the same stale link must not remove each other's new one.
    let _lock = Lock::exclusive(&engine.paths().names().join(".lock"))?;
    let link = engine.paths().name(name);
    match std::fs::read_link(&link) {
        Ok(target) if target.as_os_str() == holder => {}
        _ => return Ok(true), // changed meanwhile: try again
    }
    let directory = engine.paths().containers().join(holder);
    if directory.exists() && !is_stale(&directory, name)? {
        return Ok(false);
    }
    let making = engine.paths().containers().join(format!("{NEW}{holder}"));
    if making.exists() && Lock::try_exclusive(&making.join("lock"))?.is_none() {
        return Ok(false);
    }
    // It became a container between the two looks.
    if directory.exists() && !is_stale(&directory, name)? {
        return Ok(false);
    }
    let _ = std::fs::remove_file(&link);
    Ok(true)
}

/// A link left by a rename that was killed: its container answers to another name.
fn is_stale(directory: &Path, name: &str) -> Result<bool> {
    // While it is locked its name may be changing.
    let Ok(Some(_lock)) = Lock::try_exclusive(&directory.join("lock")) else { return Ok(false) };
    let record = file::read_json::<Record>(&directory.join("container.json"))?;
    Ok(record.is_some_and(|record| record.name != name))
}
