//! A container's root file system as one archive: docker's `export`. Volumes, `/proc` and other
//! mounts are left out: the layers are put together once more, read-only, beside the mount that a
//! running container has of them.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use kernel::beneath::Root;
use std::io::Write;
use std::path::Path;

/// Writes the archive. Of a running container each file is as it is when its turn comes.
pub fn export(engine: &Engine, container: &Container, output: &mut dyn Write) -> Result<()> {
    Ok(image::export::tar_of(&layers_only(engine, container)?, Path::new("/"), "", output)?)
}

/// The rootfs without mounts, to read only. With the writable layer as a lower one nothing is
/// written and no lock needed; the kernel lets a directory be both (`index=off`).
pub(crate) fn layers_only(engine: &Engine, container: &Container) -> Result<Root> {
    let upper = container.upper(engine);
    let (mount, _) = container.over_layers(engine, |lower| {
        let all: Vec<_> = std::iter::once(upper.clone()).chain(lower.iter().cloned()).collect();
        kernel::overlay::mount(&all, None, true)
    })?;
    Ok(Root::from_fd(mount.into()))
}
