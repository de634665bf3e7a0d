//! Docker's form: `manifest.json` lists, for each image, its configuration, its names and its
//! layers (uncompressed, mostly). There is no manifest in OCI's sense; one is written here.

use super::bundle::Bundle;
use super::{Loaded, Wanted};
use crate::blob;
use crate::compress::Compression;
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use crate::store::{Image, Store};
use serde::Deserialize;
use spec::digest::Algorithm;
use spec::image::{Descriptor, ImageConfig, media_type};
use spec::{Digest, Reference};

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    pub(super) config: String,
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Option<Vec<String>>,
}

pub(super) fn items(manifest: &[u8]) -> Result<Vec<Item>> {
    serde_json::from_slice(manifest)
        .map_err(|why| Error::invalid("archive", format_args!("has a bad manifest.json: {why}")))
}

pub(super) fn names(item: &Item) -> Result<Vec<Reference>> {
    let parse = |tag: &String| {
        let name = Reference::parse(tag)?;
        // The digest of a manifest; here is none that could have it.
        if name.digest().is_some() {
            return Err(Error::invalid("archive", format_args!("calls an image {tag:?}: a digest is no tag")));
        }
        Ok(name)
    };
    item.repo_tags.iter().flatten().map(parse).collect()
}

/// The names that docker's list gives to each image, by the image's id. For an OCI layout that
/// has none itself.
pub(super) fn names_by_id(bundle: &Bundle, manifest: &[u8]) -> Result<Vec<(Digest, Vec<Reference>)>> {
    let of_item = |item: &Item| {
        let Some(config) = bundle.document(&item.config)? else { return Ok(None) };
        Ok(Some((blob::digest_of(Algorithm::Sha256, &config), names(item)?)))
    };
    items(manifest)?.iter().filter_map(|item| of_item(item).transpose()).collect()
}

pub(super) fn load(
    store: &Store,
    ingest: &Ingest,
    bundle: &Bundle,
    manifest: &[u8],
    wanted: &Wanted,
) -> Result<Vec<Loaded>> {
    items(manifest)?.iter().filter_map(|item| load_one(store, ingest, bundle, item, wanted).transpose()).collect()
}

/// `None` for an image that is not wanted.
fn load_one(store: &Store, ingest: &Ingest, bundle: &Bundle, item: &Item, wanted: &Wanted) -> Result<Option<Loaded>> {
    let names = names(item)?;
    let lacks = || Error::invalid("archive", format_args!("lacks {:?}", item.config));
    let bytes = bundle.document(&item.config)?.ok_or_else(lacks)?;
    let config =
        ImageConfig::parse(&bytes).map_err(|why| Error::invalid(format!("configuration {:?}", item.config), why))?;
    if !wanted.takes(&config) {
        return Ok(None);
    }
    let id = blob::digest_of(Algorithm::Sha256, &bytes);
    if let Ok(image) = store.image(&id)
        && store.has_layers(&config.rootfs.diff_ids)
    {
        names.iter().try_for_each(|name| store.tag(&image, name))?;
        return Ok(Some(Loaded { image: store.image(&id)?, names }));
    }
    let paths = item.layers.as_deref().unwrap_or_default();
    let diff_ids = &config.rootfs.diff_ids;
    if paths.len() != diff_ids.len() {
        let (layers, ids) = (paths.len(), diff_ids.len());
        return Err(Error::invalid("archive", format_args!("has {layers} layers for a configuration with {ids}")));
    }
    let layers: Result<Vec<Descriptor>> =
        paths.iter().zip(diff_ids).map(|(path, diff_id)| load_layer(ingest, bundle, path, diff_id)).collect();
    let layers = layers?;
    ingest.put_bytes(media_type::OCI_CONFIG, &bytes)?;
    let image: Image = ingest.finish_with(&id, bytes.len() as u64, layers, &names)?;
    Ok(Some(Loaded { image, names }))
}

fn load_layer(ingest: &Ingest, bundle: &Bundle, path: &str, diff_id: &Digest) -> Result<Descriptor> {
    let mut section = bundle.require(path)?;
    if section.compression()? == Compression::None {
        // Then its digest is the diff id, and it may be here already.
        let descriptor = Descriptor::new(media_type::OCI_LAYER, diff_id.clone(), section.size());
        if ingest.has_layer(&descriptor, diff_id)? {
            return Ok(descriptor);
        }
    }
    Ok(ingest.new_layer(&mut section, Some(diff_id))?.descriptor)
}
