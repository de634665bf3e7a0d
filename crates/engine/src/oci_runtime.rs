//! Containers under another OCI runtime (`--runtime`): crun, runc, runsc, or any program that speaks runc's command line.
//! Which program that is, where it keeps what it knows of a container, and what is asked of it once the container is
//! made; making it is `oci_runtime/container.rs`. The monitor and the rest of the engine see a container as any other.
//! Nothing here is touched for a container of brig's own runtime.

mod call;
mod console;
mod container;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::{MountSource, Options};
use crate::record::Record;
use call::{Streams, call, output_of};
use kernel::signal::Signal;
use rustix::io::Errno;
use serde::Deserialize;
use spec::ContainerId;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use container::Created;

/// What `--runtime` calls brig's own.
const OWN: &str = "brig";

/// The runtime of one container.
#[derive(Debug, Clone)]
pub struct OciRuntime {
    program: PathBuf,
    /// Of this container alone: the runtime's own state (`--root`), and what is handed over beside it.
    folder: PathBuf,
    /// Where the container's root is attached while it lives, in the monitor's mount namespace.
    rootfs: PathBuf,
    id: ContainerId,
}

/// The program that `name`, a name in PATH or a path, means; `None` for brig's own. `Invalid` when there is none.
pub fn find(name: &str) -> Result<Option<PathBuf>> {
    if name.is_empty() || name == OWN {
        return Ok(None);
    }
    let unknown = || {
        Error::Invalid(format!(
            "unknown or invalid runtime name: {name}: install it so that it is found in PATH, or give the path of its program"
        ))
    };
    if name.contains('/') {
        let path = std::path::absolute(name).map_err(|_| unknown())?;
        return if is_program(&path) { Ok(Some(path)) } else { Err(unknown()) };
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&search).filter(|directory| directory.is_absolute());
    places
        .find_map(|directory| Some(directory.join(name)).filter(|path| is_program(path)))
        .map(Some)
        .ok_or_else(unknown)
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// `Unsupported` for what brig does itself in a container of its own and no other runtime can be asked for.
pub fn check(options: &Options) -> Result<()> {
    let unsupported = |what: &str| {
        Err(Error::Unsupported(format!("{what} is not supported under another runtime: leave it or --runtime away")))
    };
    if options.process.init {
        return unsupported("--init");
    }
    let shares = |source: &MountSource| matches!(source, MountSource::Bind { propagation, .. } if matches!(propagation.as_str(), "shared" | "rshared"));
    // The runtime works in a mount namespace from which nothing comes back to the host.
    if options.storage.mounts.iter().any(|mount| shares(&mount.source)) {
        return unsupported("a shared bind mount");
    }
    Ok(())
}

/// The root directory in the bundle, as the runtime sees it. In the folder that nobody but `OciRuntime::delete` removes,
/// and only once the root is no longer attached there: what is in it are the container's files.
pub fn rootfs(engine: &Engine, id: &ContainerId) -> PathBuf {
    engine.paths().oci(id).join("bundle/rootfs")
}

/// What counts here of the answer to `state` (runtime.md).
#[derive(Deserialize)]
struct State {
    status: String,
}

impl OciRuntime {
    /// `None` for a container of brig's own runtime.
    pub fn of(engine: &Engine, record: &Record) -> Option<OciRuntime> {
        let program = record.runtime.clone()?;
        let rootfs = rootfs(engine, &record.id);
        Some(OciRuntime { program, folder: engine.paths().oci(&record.id), rootfs, id: record.id.clone() })
    }

    /// Lets a created container go.
    pub fn start(&self) -> Result<()> {
        self.call_with_id(&["start"])
    }

    /// A signal for the first process, which may be one that only the runtime can reach.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        // The number last: it belongs behind the id.
        call(self, &["kill".as_ref(), self.id.as_str().as_ref(), signal.number().to_string().as_ref()], Streams::None)
    }

    /// Starts a container whose monitor was killed between its creation and its start.
    pub fn finish_start(&self) -> Result<()> {
        let answer = output_of(self, &["state".as_ref(), self.id.as_str().as_ref()])?;
        let state: State = serde_json::from_slice(&answer).map_err(|error| {
            Error::Failed(format!("runtime {} gives a state that cannot be read: {error}", self.program.display()))
        })?;
        if state.status == "created" { self.start() } else { Ok(()) }
    }

    /// Takes away what the runtime still has of the container, processes included. Nothing to do is no error, and when
    /// the runtime fails its folder goes all the same: its processes are the cgroup's, which the caller ends.
    pub fn delete(&self) -> Result<()> {
        if self.folder.exists() {
            let _ = self.call_with_id(&["delete", "--force"]);
        }
        // Mounted for the monitor that attached it alone, and before the folder is removed, with all that is in it.
        match kernel::mount::detach(&self.rootfs) {
            Err(error) if !matches!(error.errno, Errno::NOENT | Errno::INVAL) => return Err(error.into()),
            _ => {}
        }
        match kernel::remove::tree(&self.folder) {
            Err(error) if error.errno != Errno::NOENT => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn call_with_id(&self, words: &[&str]) -> Result<()> {
        let words: Vec<_> = words.iter().map(AsRef::as_ref).chain([self.id.as_str().as_ref()]).collect();
        call(self, &words, Streams::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_a_name_in_the_path_or_a_path() {
        assert_eq!(find("").unwrap(), None);
        assert_eq!(find("brig").unwrap(), None);
        assert_eq!(find("sh").unwrap().and_then(|path| path.file_name().map(ToOwned::to_owned)), Some("sh".into()));
        assert_eq!(find("/bin/sh").unwrap(), Some("/bin/sh".into()));
        for unknown in ["no-such-runtime", "/no/such/runtime", "/etc/passwd", "/tmp"] {
            let error = find(unknown).unwrap_err().to_string();
            assert!(error.starts_with(&format!("unknown or invalid runtime name: {unknown}")), "{error}");
        }
    }
}
