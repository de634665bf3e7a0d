//! OCI's form: an image layout (image-layout.md) in an archive. `index.json` names manifests, which
//! name blobs by digest; all are checked.

use super::bundle::Bundle;
use super::docker;
use super::{Loaded, Wanted};
use crate::blob;
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use spec::image::{DOCUMENT_SIZE_MAX, Descriptor, Document, ImageConfig, Index, Manifest};
use spec::{Digest, Platform, Reference};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The full name, as containerd and docker annotate it.
pub(super) const FULL_NAME: &str = "io.containerd.image.name";
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Indexes may hold indexes; nobody nests them deeper.
const DEPTH_MAX: usize = 4;

pub(super) fn load(
    ingest: &Ingest,
    bundle: &Bundle,
    index: &[u8],
    docker_manifest: Option<&[u8]>,
    wanted: &Wanted,
) -> Result<Vec<Loaded>> {
    let index = Index::parse(index).map_err(|why| Error::invalid("index.json", why))?;
    let docker_names = match docker_manifest {
        Some(manifest) => docker::names_by_id(bundle, manifest)?,
        None => Vec::new(),
    };
    let mut loaded: Vec<Loaded> = Vec::new();
    for descriptor in &index.manifests {
        let Some((media_type, bytes, manifest)) = find(bundle, descriptor, &wanted.platform, 0)? else { continue };
        let mut names: Vec<Reference> = name(descriptor)?.into_iter().collect();
        let of_docker = docker_names.iter().filter(|(id, _)| *id == manifest.config.digest);
        for name in of_docker.flat_map(|(_, names)| names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        if !take_in(ingest, bundle, &manifest, wanted)? {
            continue;
        }
        // What was found by a digest may be called so, and nothing else.
        let image = ingest.finish_found(&bytes, &media_type, &names, Some(&descriptor.digest))?;
        // The same image is listed once for each of its names.
        match loaded.iter_mut().find(|one| one.image.id == image.id) {
            Some(one) => {
                names.retain(|name| !one.names.contains(name));
                one.names.append(&mut names);
                one.image = image;
            }
            None => loaded.push(Loaded { image, names }),
        }
    }
    Ok(loaded)
}

/// `ref.name` alone is often no more than a tag; then it names nothing.
fn name(descriptor: &Descriptor) -> Result<Option<Reference>> {
    let full = descriptor.annotations.get(FULL_NAME);
    let short = || descriptor.annotations.get(REF_NAME).filter(|name| name.contains([':', '/']));
    match full.or_else(short) {
        Some(name) => Ok(Some(Reference::parse(name)?)),
        None => Ok(None),
    }
}

/// The manifest that a descriptor leads to, for this platform. `None` when there is none.
fn find(
    bundle: &Bundle,
    descriptor: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<Option<(String, Vec<u8>, Manifest)>> {
    if depth > DEPTH_MAX {
        return Err(Error::invalid("index.json", "nests indexes too deeply"));
    }
    // Attestations and other platforms need not even be in the archive.
    let other = descriptor.platform.as_ref().is_some_and(|is| platform.distance(is).is_none());
    if other {
        return Ok(None);
    }
    let bytes = document(bundle, descriptor)?;
    let what = || format!("manifest {}", descriptor.digest.short());
    match Document::parse(&bytes).map_err(|why| Error::invalid(what(), why))? {
        Document::Manifest(manifest) => {
            let own = if descriptor.media_type.is_empty() { &manifest.media_type } else { &descriptor.media_type };
            Ok(Some((own.clone(), bytes, *manifest)))
        }
        Document::Index(index) => match index.choose(platform) {
            Some(chosen) => find(bundle, chosen, platform, depth + 1),
            None => Ok(None),
        },
    }
}

/// The layers of images for `platform` that the documents of an unfinished archive describe, by the names of their parts.
/// What is broken or missing is told when all has come.
pub(super) fn layers(bundle: &Bundle, platform: &Platform) -> HashMap<PathBuf, (Descriptor, Digest)> {
    let mut layers = HashMap::new();
    let Ok(Some(index)) = bundle.document("index.json") else { return layers };
    let Ok(index) = Index::parse(&index) else { return layers };
    let mut seen: HashSet<Digest> = HashSet::new();
    // An image is listed once for each of its names.
    for descriptor in index.manifests.iter().filter(|descriptor| seen.insert(descriptor.digest.clone())) {
        let Ok(Some((_, _, manifest))) = find(bundle, descriptor, platform, 0) else { continue };
        let Ok(config) = document(bundle, &manifest.config) else { continue };
        let Ok(config) = ImageConfig::parse(&config) else { continue };
        for (layer, diff_id) in manifest.layers.into_iter().zip(config.rootfs.diff_ids) {
            layers.entry(PathBuf::from(blob_name(&layer.digest))).or_insert((layer, diff_id));
        }
    }
    layers
}

/// False for an image that is not wanted.
fn take_in(ingest: &Ingest, bundle: &Bundle, manifest: &Manifest, wanted: &Wanted) -> Result<bool> {
    let bytes = document(bundle, &manifest.config)?;
    let id = &manifest.config.digest;
    let config = ImageConfig::parse(&bytes).map_err(|why| Error::invalid(format!("configuration {id}"), why))?;
    if !wanted.takes(&config) {
        return Ok(false);
    }
    ingest.put_blob(&manifest.config, &bytes)?;
    for (descriptor, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
        if !ingest.has_layer(descriptor, diff_id)? {
            let mut section = bundle.require(&blob_name(&descriptor.digest))?;
            ingest.layer(&mut section, descriptor, Some(diff_id))?;
        }
    }
    Ok(true)
}

/// A blob that is a document, checked.
fn document(bundle: &Bundle, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let name = blob_name(&descriptor.digest);
    let lacks = || Error::invalid("archive", format_args!("lacks {name:?}"));
    if descriptor.size > DOCUMENT_SIZE_MAX {
        return Err(Error::invalid("archive", format_args!("has a {name:?} that is too large")));
    }
    let bytes = bundle.document(&name)?.ok_or_else(lacks)?;
    let actual = blob::digest_of(descriptor.digest.algorithm(), &bytes);
    if actual != descriptor.digest {
        return Err(Error::Mismatch { what: name, expected: descriptor.digest.clone(), actual });
    }
    Ok(bytes)
}

pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
