//! What must stay: the blobs and layers of every image in the index, and the layers of every container. For a sweep, for
//! the budget, and for `check`, which tells what nobody needs.

use super::User;
use crate::error::{Error, Result};
use crate::index::Entry;
use crate::store::Store;
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
        let (manifest, config) = store.documents(digest, &entry.id).map_err(|why| match why {
            Error::Invalid { what, why } => Error::invalid(
                what,
                format_args!(
                    "{why}: nothing is swept before `brig image check --repair` has mended it or its image is removed"
                ),
            ),
            other => other,
        })?;
        self.blobs.extend([digest.hex().to_owned(), entry.id.hex().to_owned()]);
        self.blobs.extend(manifest.layers.iter().map(|layer| layer.digest.hex().to_owned()));
        self.layers.extend(config.rootfs.diff_ids.iter().map(|id| id.hex().to_owned()));
        Ok(())
    }
}
