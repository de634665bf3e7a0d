//! The root of a container that has no mount namespace of its own: its first process attaches it where the caller is, so
//! it shows there and outlives the process, as with runc. Only where the container is not started after all it is
//! taken off again. Called by `create` and `start`.

use crate::error::Result;
use kernel::Context;
use kernel::mount::Mount;
use std::os::fd::AsFd;

/// Dropped, it stays as it is.
#[derive(Debug)]
pub(crate) struct ShownRoot(Mount);

impl ShownRoot {
    pub fn of(rootfs: &Mount) -> Result<ShownRoot> {
        Ok(ShownRoot(Mount::from(rootfs.as_fd().try_clone_to_owned().during("copy descriptor")?)))
    }

    pub fn take_off(&self) {
        // Fails where the process did not come so far as to attach it.
        let _ = self.0.take_off();
    }
}
