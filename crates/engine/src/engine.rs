//! Where everything is: the two folders and the image store. Cheap to open; every command does.

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::settings::Settings;
use std::path::Path;

pub const DEFAULT_ROOT: &str = "/var/lib/brig";
pub const DEFAULT_STATE: &str = "/run/brig";

#[derive(Debug)]
pub struct Engine {
    paths: Paths,
    store: image::Store,
    /// Or why they cannot be read.
    settings: Result<Settings, String>,
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
        let settings = Settings::load().map_err(|error| error.to_string());
        let keeps_blobs = settings.as_ref().is_ok_and(|settings| settings.keep_blobs);
        let store = image::Store::open(root)?;
        let store = if keeps_blobs { store.keeping_blobs() } else { store };
        Ok(Engine { store, paths, settings })
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// `Invalid` when the file has a mistake; then what needs none of it goes by the defaults.
    pub fn settings(&self) -> Result<&Settings> {
        self.settings.as_ref().map_err(|why| Error::Invalid(why.clone()))
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
