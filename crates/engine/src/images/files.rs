//! Images and file systems that do not come from a registry: archives, layouts, streams. The image policy is asked about
//! where they lie before anything of them has a name in the store or is written elsewhere.

use super::Reach;
use crate::engine::Engine;
use crate::error::Result;
use image::Image;
use image::archive::{self, Format, Input, Loaded};
use image::import::Import;
use registry::policy::{Local, Policy, Transport};
use spec::Platform;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// Where what is open lies, without symbolic links; `None` for a pipe and the like. Asked of what is open, so that nobody
/// can put something else in its place.
pub fn path_of(open: impl AsFd) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", open.as_fd().as_raw_fd())).ok()?;
    path.is_absolute().then_some(path)
}

/// Takes in the images of an archive that lies at `path`, see [`archive::load`].
pub fn load(
    engine: &Engine,
    reach: &Reach,
    input: Input<'_>,
    path: Option<&Path>,
    platform: Option<&Platform>,
) -> Result<Vec<Loaded>> {
    let policy = Policy::load(&reach.access.policy)?;
    let check = |form: Format| policy.check_local(&Local { transport: transport(form), path, name: None });
    // Which form it has is seen late; what is refused in either need not be read.
    if let (Err(error), Err(_)) = (check(Format::Oci), check(Format::Docker)) {
        return Err(error.into());
    }
    archive::load(engine.store(), input, platform, |form| Ok(check(form)?))
}

/// Makes an image of a file system, see [`image::import::import`]. `path` as for [`load`].
pub fn import(
    engine: &Engine,
    reach: &Reach,
    input: &mut dyn Read,
    path: Option<&Path>,
    import: &Import<'_>,
) -> Result<Image> {
    check(reach, Local { transport: Transport::Tarball, path, name: None })?;
    Ok(image::import::import(engine.store(), input, import)?)
}

/// Asks the policy in force.
pub(super) fn check(reach: &Reach, local: Local<'_>) -> Result<()> {
    Ok(Policy::load(&reach.access.policy)?.check_local(&local)?)
}

/// Podman's name for an archive of this form.
pub(super) fn transport(form: Format) -> Transport {
    match form {
        Format::Docker => Transport::DockerArchive,
        Format::Oci => Transport::OciArchive,
    }
}
