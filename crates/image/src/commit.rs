//! New images made on this machine: a container's changes on top of its image (`commit`).
//! `import` and `hello` share the last step.

use crate::compress::GzipWriter;
use crate::error::{Error, Result};
use crate::export;
use crate::ingest::Ingest;
use crate::layer::Layer;
use crate::pipe::pipe;
use crate::store::{Image, Store};
use spec::image::{Config, Descriptor, History, media_type};
use spec::{Reference, Timestamp};
use std::io::Write;
use std::path::Path;

/// What to make of a container.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The image below.
    pub base: &'a Image,
    /// Upper directory of the container's overlay; nothing may change it meanwhile.
    pub upper: &'a Path,
    /// The new image's configuration, complete.
    pub config: Config,
    pub author: &'a str,
    pub comment: &'a str,
    /// The command that made the changes, for the history.
    pub created_by: &'a str,
    pub created: Timestamp,
    pub name: Option<&'a Reference>,
}

/// Makes an image of a container. `Ok` means that it is in the store, durably.
pub fn commit(store: &Store, commit: &Commit<'_>) -> Result<Image> {
    let ingest = store.ingest()?;
    let layer = layer_of(&ingest, commit.upper)?;
    let mut config = commit.base.config.clone();
    config.config = commit.config.clone();
    config.created = Some(commit.created);
    config.author = commit.author.to_owned();
    config.comment = commit.comment.to_owned();
    config.rootfs.diff_ids.push(layer.diff_id);
    config.history.push(History {
        created: Some(commit.created),
        created_by: commit.created_by.to_owned(),
        author: commit.author.to_owned(),
        comment: commit.comment.to_owned(),
        empty_layer: false,
    });
    let mut layers: Vec<Descriptor> = commit.base.manifest.layers.iter().map(as_oci).collect();
    layers.push(layer.descriptor);
    ingest.finish_new(&config, layers, commit.name.map_or(&[], std::slice::from_ref))
}

/// Packs an overlay's upper directory into a compressed layer and takes it in.
pub fn layer_of(ingest: &Ingest, upper: &Path) -> Result<Layer> {
    let (mut sender, mut receiver) = pipe();
    std::thread::scope(|scope| {
        let packer = scope.spawn(move || {
            let mut gzip = GzipWriter::new(&mut sender);
            export::layer_of(upper, &mut gzip)?;
            gzip.finish().and_then(|sender| sender.flush()).map_err(Error::stream)
        });
        let layer = ingest.new_layer(&mut receiver, None);
        drop(receiver);
        let packed = packer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (layer, packed) {
            // The reader gave up first: its error is the cause.
            (Err(cause), Err(Error::Stream(_))) => Err(cause),
            (_, Err(cause)) => Err(cause),
            (layer, Ok(())) => layer,
        }
    })
}

/// An OCI manifest names layers in OCI's way, also those that came from a docker manifest.
fn as_oci(descriptor: &Descriptor) -> Descriptor {
    let media_type = match descriptor.media_type.as_str() {
        media_type::DOCKER_LAYER => media_type::OCI_LAYER,
        media_type::DOCKER_LAYER_GZIP => media_type::OCI_LAYER_GZIP,
        other => other,
    };
    Descriptor { media_type: media_type.to_owned(), ..descriptor.clone() }
}
