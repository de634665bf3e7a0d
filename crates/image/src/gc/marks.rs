//! What must stay: the blobs and layers of every image in the index, and the layers of every container. For a sweep, for
//! the budget, and for `check`, which tells what nobody needs.

use super::User;
use crate::blob;
use crate::error::{Error, Result};
use crate::index::Entry;
use crate::store::Store;
use spec::image::{ImageConfig, Manifest};
use std::collections::HashSet;

/// Names in hexadecimal.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    pub(crate) blobs: HashSet<String>,
    pub(crate) layers: HashSet<String>,
}

impl Marks {
    /// `Invalid` when an image's documents cannot be read: then nobody can say what is not needed.
    pub(crate) fn of(store: &Store, entries: &[Entry], users: &[User]) -> Result<Marks> {
        let mut marks = Marks::default();
        for entry in entries {
            marks.add(store, entry)?;
        }
        for user in users {
            marks.layers.extend(user.layers.iter().map(|id| id.hex().to_owned()));
        }
        Ok(marks)
    }

    /// Of one image.
    pub(super) fn add(&mut self, store: &Store, entry: &Entry) -> Result<()> {
        let digest = &entry.manifest.digest;
        let damaged = |what: String, why: String| {
            Error::invalid(what, format_args!("{why}: nothing is swept before `image check --repair` has mended it"))
        };
        let read = |digest| blob::read_document(&store.blob_path(digest)).map_err(|error| error.to_string());
        let manifest = read(digest).and_then(|bytes| Manifest::parse(&bytes).map_err(|why| why.to_string()));
        let manifest = manifest.map_err(|why| damaged(format!("manifest {digest}"), why))?;
        let config = read(&entry.id).and_then(|bytes| ImageConfig::parse(&bytes).map_err(|why| why.to_string()));
        let config = config.map_err(|why| damaged(format!("configuration {}", entry.id), why))?;
        self.blobs.extend([digest.hex().to_owned(), entry.id.hex().to_owned()]);
        self.blobs.extend(manifest.layers.iter().map(|layer| layer.digest.hex().to_owned()));
        self.layers.extend(config.rootfs.diff_ids.iter().map(|id| id.hex().to_owned()));
        Ok(())
    }
}
