//! A layer on disk: `layers/<diff id>/` holds the directory `diff` (the unpacked archive, in the
//! form overlay wants) and the file `size`. No other file knows this form; an EROFS image per
//! layer can take its place here.

use crate::error::{Error, Result};
use crate::unpack::{self, Options};
use kernel::beneath::Root;
use kernel::lock::Lock;
use spec::Digest;
use spec::image::Descriptor;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A layer that has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of the archive as it came, compressed or not.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Sum of the sizes of its files in bytes.
    pub size: u64,
}

/// The `layers` directory.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    path: PathBuf,
}

/// Names of this form are being made, or were when their maker was killed.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

impl Layers {
    pub(crate) fn new(path: PathBuf) -> Layers {
        Layers { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn home(&self, diff_id: &Digest) -> PathBuf {
        self.path.join(diff_id.hex())
    }

    /// A directory for an overlay's `lowerdir`.
    pub(crate) fn directory(&self, diff_id: &Digest) -> PathBuf {
        let mut path = self.home(diff_id);
        path.push("diff");
        path
    }

    pub(crate) fn contains(&self, diff_id: &Digest) -> bool {
        // `size` is written last.
        rustix::fs::access(self.home(diff_id).join("size"), rustix::fs::Access::EXISTS).is_ok()
    }

    /// Unpacked size in bytes; 0 when the layer is missing.
    pub(crate) fn size(&self, diff_id: &Digest) -> u64 {
        let text = std::fs::read_to_string(self.home(diff_id).join("size"));
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Digests (in hexadecimal) of all layers, and temporary directories by their names.
    pub(crate) fn list(&self) -> Result<(Vec<String>, Vec<PathBuf>)> {
        let (mut layers, mut temporary) = (Vec::new(), Vec::new());
        let entries = std::fs::read_dir(&self.path).map_err(Error::io("list", &self.path))?;
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(TEMPORARY_PREFIX) { temporary.push(entry.path()) } else { layers.push(name) }
        }
        Ok((layers, temporary))
    }

    /// Moves a finished layer to its place; if that is taken, the older one stays.
    pub(crate) fn adopt(&self, temporary: &Path, diff_id: &Digest) -> Result<()> {
        let home = self.home(diff_id);
        // One at a time: what one has just put in its place must not look like leftovers to another.
        let _lock = Lock::exclusive(&self.path.with_extension("lock"))?;
        if self.contains(diff_id) {
            return remove_tree(temporary);
        }
        // A directory without `size` is none of ours that is complete.
        if home.exists() {
            remove_tree(&home)?;
        }
        std::fs::rename(temporary, &home).map_err(Error::io("rename layer to", &home))
    }

    /// Removes a layer. It is renamed first, so that a kill leaves no half of it under its name.
    pub(crate) fn remove(&self, hex: &str) -> Result<()> {
        let doomed = self.path.join(format!("{TEMPORARY_PREFIX}remove-{}-{hex}", std::process::id()));
        let home = self.path.join(hex);
        std::fs::rename(&home, &doomed).map_err(Error::io("rename", &home))?;
        remove_tree(&doomed)
    }
}

/// Unpacks an uncompressed archive into the new directory `temporary`; returns the size.
pub(crate) fn unpack_into(temporary: &Path, archive: &mut dyn Read) -> Result<u64> {
    let diff = temporary.join("diff");
    std::fs::create_dir_all(&diff).map_err(Error::io("create directory", &diff))?;
    // The mode of a rootfs whose archive has no entry for "/" itself.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&diff, open).map_err(Error::io("change mode of", &diff))?;
    let root = Root::open(&diff)?;
    let size = unpack::unpack(archive, &root, &Options::layer())?;
    // What follows the end of the archive counts for the layer's digest.
    std::io::copy(archive, &mut std::io::sink()).map_err(Error::Stream)?;
    let path = temporary.join("size");
    std::fs::write(&path, format!("{size}\n")).map_err(Error::io("write", &path))?;
    Ok(size)
}

/// Removes a directory of ours with everything in it.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match kernel::remove::tree(path) {
        Err(error) if error.errno != rustix::io::Errno::NOENT => Err(error.into()),
        _ => Ok(()),
    }
}
