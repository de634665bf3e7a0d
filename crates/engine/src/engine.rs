//! Where everything is: the two folders and the image store. Cheap to open; every command does.

use crate::error::{Error, Result};
use crate::paths::Paths;
use std::path::Path;

pub const DEFAULT_ROOT: &str = "/var/lib/brig";
pub const DEFAULT_STATE: &str = "/run/brig";

#[derive(Debug)]
pub struct Engine {
    paths: Paths,
    store: image::Store,
}

impl Engine {
    /// `NeedsRoot` for another user. `root` keeps images, containers and volumes; `state` what is gone at reboot. Both are made when absent.
    pub fn open(root: &Path, state: &Path) -> Result<Engine> {
        require_root()?;
        let paths = Paths::new(root, state);
        for directory in [&paths.containers(), &paths.names(), &paths.mount_point()] {
            if !directory.is_dir() {
                crate::file::make_directory(directory)?;
            }
        }
        Ok(Engine { store: image::Store::open(root)?, paths })
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    pub fn store(&self) -> &image::Store {
        &self.store
    }
}

/// The one place that decides it: where containers without root come in, only this changes.
fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::NeedsRoot("containers need root in this version of brig: run it as root, for example with sudo".into()))
}
