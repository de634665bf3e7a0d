//! Layers become a root file system: an overlay that is mounted nowhere until a container's init
//! attaches it. `run`, `export`, `cp` and `build` call it.

use crate::error::Result;
use kernel::mount::Mount;
use std::path::{Path, PathBuf};

/// Mounts layer directories (top first, as [`crate::Image::layers`] gives them) below an upper and
/// a work directory, detached. Both must be on one file system, which must not itself be overlay.
pub fn mount(lowers: &[PathBuf], upper: &Path, work: &Path, read_only: bool) -> Result<Mount> {
    Ok(kernel::overlay::mount(lowers, Some((upper, work)), read_only)?)
}

/// The same with nothing to write to.
pub fn mount_read_only(lowers: &[PathBuf]) -> Result<Mount> {
    Ok(kernel::overlay::mount(lowers, None, true)?)
}
