//! `import`: a tarball of a root file system becomes an image of one layer.

use crate::change;
use crate::error::Result;
use crate::store::{Image, Store};
use spec::image::{History, ImageConfig};
use spec::{Platform, Reference, Timestamp};
use std::io::Read;

/// How to import.
#[derive(Debug)]
pub struct Import<'a> {
    pub name: Option<&'a Reference>,
    /// Instructions as in a Dockerfile, see [`change`].
    pub changes: &'a [String],
    /// For the history; docker's default is `Imported from -` or from the file's name.
    pub message: &'a str,
    pub platform: Platform,
    pub created: Timestamp,
}

/// Takes in a tarball, plain or compressed with gzip or zstd. The layer is stored as it came.
pub fn import(store: &Store, archive: &mut dyn Read, import: &Import<'_>) -> Result<Image> {
    let mut config = ImageConfig {
        architecture: import.platform.architecture.clone(),
        os: import.platform.os.clone(),
        variant: import.platform.variant.clone(),
        comment: import.message.to_owned(),
        created: Some(import.created),
        ..ImageConfig::default()
    };
    // A mistake in these should not wait for gigabytes to arrive.
    change::apply(&mut config.config, import.changes)?;
    let ingest = store.ingest()?;
    let layer = ingest.new_layer(archive, None)?;
    config.rootfs.diff_ids.push(layer.diff_id);
    let created = Some(import.created);
    config.history.push(History { created, comment: import.message.to_owned(), ..History::default() });
    ingest.finish_new(&config, vec![layer.descriptor], import.name.map_or(&[], std::slice::from_ref))
}
