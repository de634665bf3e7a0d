//! How a container starts, in the caller: rootfs → volumes → generated files → specification →
//! monitor → wait until it says *started*. The monitor (`monitor/main.rs`) does the rest, and
//! calls `prepare` again for each restart.

use crate::attach::{Client, Streams, connect};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::lifecycle::{self, Remove};
use crate::monitor::Begin;
use crate::oci_runtime::OciRuntime;
use crate::oci_spec::Joined;
use crate::state::Status;
use crate::{etc_files, file, monitor, network, oci_spec, volumes};
use image::Stack;
use kernel::beneath::Root;
use kernel::mount::Mount;
use kernel::seccomp::Program;

/// All that a start needs: made by whoever has the right view of the files, used by the monitor.
#[derive(Debug)]
pub struct Launch {
    pub spec: spec::runtime::Spec,
    /// Containers that the specification names by number.
    pub joined: Joined,
    /// The mounted root, visible nowhere until the container's init attaches it.
    pub rootfs: Mount,
    /// The mounts of its layers, which containers that start meanwhile may share.
    pub layers: Stack,
    /// The compiled default filter; `None` when the specification has its own or none is wanted.
    pub program: Option<Program>,
}

/// Starts a container that has just been made. On an error it stays as `created`, unless it was to be removed at its
/// end anyway.
pub fn start_new(engine: &Engine, container: &mut Container, streams: Streams) -> Result<Client> {
    start(engine, container, streams).inspect_err(|_| {
        if container.record.options.lifecycle.auto_remove {
            let _ = lifecycle::remove(engine, container, Remove { force: true, volumes: true });
        }
    })
}

/// Starts a container; one that runs already is only attached to. `Ok` means that its command has been executed.
pub fn start(engine: &Engine, container: &mut Container, streams: Streams) -> Result<Client> {
    let (now, lock) = container.locked(engine)?;
    *container = now;
    if matches!(container.state.status, Status::Running | Status::Restarting) {
        return connect(engine, container, streams);
    }
    if container.record.process.argv().is_empty() {
        return Err(Error::Failed(format!("{}: remove the container, or restore its files", container.state.error)));
    }
    monitor::wait_gone(engine, container)?;
    remove_leftovers(engine, container)?;
    let launch = Box::new(prepare(engine, container)?);
    monitor::spawn(engine, container, Begin::Launch(launch, streams), lock)
}

/// What a monitor that was killed, at a start or while it cleaned up, has left of the last run.
pub(crate) fn remove_leftovers(engine: &Engine, container: &Container) -> Result<()> {
    if let Some(runtime) = OciRuntime::of(engine, &container.record) {
        runtime.delete()?;
    }
    if let Ok(cgroup) = container.cgroup()
        && cgroup.exists()
    {
        let _ = cgroup.kill(kernel::signal::Signal::KILL);
        let _ = cgroup.remove();
    }
    network::release(engine, &container.record);
    Ok(())
}

/// Everything up to the specification. Leaves only files in the run folder, which the next start replaces.
pub fn prepare(engine: &Engine, container: &Container) -> Result<Launch> {
    let record = &container.record;
    let (rootfs, layers) = container.mount(engine)?;
    let root = Root::from_fd(
        rustix::io::fcntl_dupfd_cloexec(&rootfs, 3).map_err(|e| kernel::Error::new("duplicate rootfs", e))?,
    );
    for volume in &record.volumes {
        volumes::ensure(engine, &volume.name)?;
        if copies_up(record, &volume.target) {
            volumes::copy_up(engine, &volume.name, &root, &volume.target)?;
        }
    }
    let run = engine.paths().run(&record.id);
    file::make_directory(&run)?;
    etc_files::write(engine, record, &run)?;
    let joined = Joined::find(engine, &record.options.namespaces)?;
    let spec = oci_spec::create(engine, record, &root, &run, &joined)?;
    let program = match record.runtime {
        None => oci_spec::program(&record.options.security)?,
        Some(_) => None,
    };
    Ok(Launch { spec, joined, rootfs, layers, program })
}

/// `volume-nocopy` is the only reason not to fill an empty volume from the image.
fn copies_up(record: &crate::record::Record, target: &str) -> bool {
    use crate::options::MountSource;
    !record
        .options
        .storage
        .mounts
        .iter()
        .any(|mount| mount.target == target && matches!(mount.source, MountSource::Volume { copy: false, .. }))
}

/// The runtime's error about a first process, with the engine's distinctions.
pub(crate) fn start_error(error: runtime::Error) -> Error {
    runtime_error("failed to start container", error)
}

/// `what` goes before the reason why a program cannot be executed.
pub(crate) fn runtime_error(what: &str, error: runtime::Error) -> Error {
    use runtime::ExecErrorKind;
    match error {
        runtime::Error::Exec(exec) => {
            let text = format!("{what}: {exec}");
            match exec.kind {
                ExecErrorKind::NotFound => Error::CommandNotFound(text),
                ExecErrorKind::Permission | ExecErrorKind::Other => Error::CommandNotExecutable(text),
            }
        }
        runtime::Error::Setup(error) => Error::Kernel(error),
        runtime::Error::Invalid(text) | runtime::Error::Hook(text) => Error::Invalid(text),
        other => Error::Failed(other.to_string()),
    }
}
