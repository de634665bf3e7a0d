//! docker, podman and newer skopeo, for tests that compare with them. They live in a root of their own, which a program
//! enters: the one that `BRIG_PEERS` names, else `../shared/tools/peers` beside the project. `PROGRAM dockerd COMMAND…`
//! runs COMMAND there with a dockerd, `PROGRAM run COMMAND…` without, both with the project at /src and this machine's
//! loopback. Machines without it skip these tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One at a time: they share the root's stores.
static ONE: Mutex<()> = Mutex::new(());

/// The other engines, and a directory that they see as well.
pub struct Peers {
    program: PathBuf,
    project: PathBuf,
    /// For files of the test; `inside` is its name for the others.
    pub dir: PathBuf,
    _one: MutexGuard<'static, ()>,
}

impl Peers {
    /// `None`, said on stderr, where they are not there.
    pub fn find() -> Option<Peers> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let project = project.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", project.display()));
        let named = std::env::var_os("BRIG_PEERS").filter(|value| !value.is_empty()).map(PathBuf::from);
        let program = named.unwrap_or_else(|| project.join("../shared/tools/peers"));
        if !program.exists() {
            eprintln!("skipped: docker and podman are not there (BRIG_PEERS names the program that enters their root)");
            return None;
        }
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        // Below what git ignores; the target directory may be outside of the project.
        let dir = project.join(format!("target/peers-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Some(Peers { program, project, dir, _one: one })
    }

    /// Runs lines of bash(1) in the shared directory, with a dockerd. All must succeed; gives what they print.
    pub fn bash(&self, script: &str) -> String {
        self.call(&["dockerd", "bash"], script)
    }

    /// The same without a dockerd and in a network namespace of its own.
    pub fn bash_apart(&self, script: &str) -> String {
        self.call(&["run", "unshare", "--net", "bash"], &format!("ip link set lo up\n{script}"))
    }

    fn call(&self, how: &[&str], script: &str) -> String {
        std::fs::write(self.dir.join("script"), format!("set -euo pipefail\ncd \"${{0%/*}}\"\n{script}\n"))
            .expect("script");
        let inside = Path::new("/src").join(self.dir.strip_prefix(&self.project).expect("it is below")).join("script");
        let mut command = Command::new(&self.program);
        command.args(how).arg(inside).current_dir(&self.project).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}\nstdout: {stdout}\nstderr: {stderr}\nof: {script}", output.status);
        stdout.into_owned()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
