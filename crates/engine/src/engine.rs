//! Where everything is: the two folders and the image store. Cheap to open; every command does.

use crate::error::Result;
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
    /// `root` keeps images, containers and volumes; `state` what is gone at reboot. Both are made when absent.
    pub fn open(root: &Path, state: &Path) -> Result<Engine> {
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
