//! Every path on disk that the engine owns, in one place. `root` survives a reboot,
//! `state` does not (tmpfs); both can be moved, so that stores live side by side.

use spec::ContainerId;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
    state: PathBuf,
}

impl Paths {
    pub fn new(root: &Path, state: &Path) -> Paths {
        Paths { root: root.to_owned(), state: state.to_owned() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    /// One directory per container; names that start with a dot are being made or removed.
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// One symbolic link per name, its target is the id: making it is the reservation.
    pub fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    pub fn name(&self, name: &str) -> PathBuf {
        self.names().join(name)
    }

    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// The lowest directory of every rootfs: mount points that an image may lack.
    pub fn skeleton(&self) -> PathBuf {
        self.root.join("skeleton")
    }

    pub fn networks(&self) -> net::Places {
        net::Places::new(&self.root, &self.state)
    }

    /// FIFOs, socket and generated /etc files of a live container.
    pub fn run(&self, id: &ContainerId) -> PathBuf {
        self.state.join("containers").join(id.as_str())
    }

    /// What another OCI runtime keeps of its container; see `oci_runtime.rs`.
    pub fn oci(&self, id: &ContainerId) -> PathBuf {
        self.state.join("oci").join(id.as_str())
    }

    /// Links to mounts of layers that monitors hold; see `image/mounts.rs`.
    pub fn layer_mounts(&self) -> PathBuf {
        self.state.join("layers")
    }

    /// An empty directory on which every container's init attaches its rootfs, each in its own mount namespace.
    pub fn mount_point(&self) -> PathBuf {
        self.state.join("rootfs")
    }
}
