//! `save`: images as an archive. Both formats are an OCI image layout; docker's has `manifest.json`
//! and `repositories` as well, and is what docker since version 25 writes itself. Equal images
//! give equal archives.

use super::oci::{FULL_NAME, REF_NAME, blob_name};
use crate::blob;
use crate::error::{Error, Result};
use crate::export::output_error;
use crate::store::{Image, Store};
use crate::tar::{Entry, Kind, Writer};
use serde::Serialize;
use spec::image::{Descriptor, Index};
use spec::{Digest, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For `docker load`, `podman load` and skopeo's `docker-archive:`.
    Docker,
    /// For skopeo's `oci-archive:` and everything else that reads OCI layouts.
    Oci,
}

/// An image to save, with the names it shall have in the archive (none, if asked for by id).
#[derive(Debug)]
pub struct Saved<'a> {
    pub image: &'a Image,
    pub names: &'a [Reference],
}

/// An image in docker's `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Writes the archive. The caller keeps the images in place, see [`Store::use_images`].
pub fn save(store: &Store, images: &[Saved<'_>], format: Format, output: &mut dyn Write) -> Result<()> {
    let mut archive = Archive { writer: Writer::new(output) };
    let blobs: BTreeSet<&Digest> = images.iter().flat_map(|saved| blobs_of(saved.image)).collect();
    archive.directory("blobs/")?;
    let algorithms: BTreeSet<&str> = blobs.iter().map(|digest| digest.algorithm().name()).collect();
    for algorithm in algorithms {
        archive.directory(&format!("blobs/{algorithm}/"))?;
    }
    for digest in blobs {
        archive.blob(store, digest)?;
    }
    archive.document("index.json", &index(store, images)?.to_bytes())?;
    if format == Format::Docker {
        archive.json("manifest.json", &images.iter().map(item).collect::<Vec<_>>())?;
    }
    archive.document("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    if format == Format::Docker {
        let repositories = repositories(images);
        if !repositories.is_empty() {
            archive.json("repositories", &repositories)?;
        }
    }
    archive.writer.finish().map(|_| ()).map_err(output_error)
}

fn blobs_of(image: &Image) -> impl Iterator<Item = &Digest> {
    let layers = image.manifest.layers.iter().map(|layer| &layer.digest);
    layers.chain([&image.manifest_digest, &image.id])
}

/// One entry for each name, or one without.
fn index(store: &Store, images: &[Saved<'_>]) -> Result<Index> {
    let mut manifests = Vec::new();
    for Saved { image, names } in images {
        let path = store.blob_path(&image.manifest_digest);
        let size = blob::read_document(&path)?.len() as u64;
        let plain = Descriptor::new(&image.media_type, image.manifest_digest.clone(), size);
        let named = names.iter().filter(|name| name.digest().is_none()).map(|name| {
            let mut descriptor = plain.clone();
            descriptor.annotations.insert(FULL_NAME.to_owned(), name.to_string());
            descriptor.annotations.insert(REF_NAME.to_owned(), name.familiar());
            descriptor
        });
        let before = manifests.len();
        manifests.extend(named);
        if manifests.len() == before {
            manifests.push(plain);
        }
    }
    Ok(Index::new(manifests))
}

fn item(saved: &Saved<'_>) -> Item {
    let tags: Vec<String> = tags(saved).map(Reference::familiar).collect();
    Item {
        config: blob_name(&saved.image.id),
        repo_tags: (!tags.is_empty()).then_some(tags),
        layers: saved.image.manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
    }
}

/// Docker's oldest list: repository, tag, top layer. Some programs still ask for it.
fn repositories(images: &[Saved<'_>]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for saved in images {
        let top = saved.image.manifest.layers.last().map_or("", |layer| layer.digest.hex());
        for name in tags(saved) {
            let tags = repositories.entry(name.familiar_name()).or_default();
            tags.insert(name.tag().unwrap_or("latest").to_owned(), top.to_owned());
        }
    }
    repositories
}

fn tags<'a>(saved: &'a Saved<'_>) -> impl Iterator<Item = &'a Reference> {
    saved.names.iter().filter(|name| name.digest().is_none())
}

struct Archive<'a> {
    writer: Writer<&'a mut dyn Write>,
}

impl Archive<'_> {
    fn directory(&mut self, name: &str) -> Result<()> {
        let entry = Entry { path: name.into(), kind: Kind::Directory, mode: 0o755, ..Entry::default() };
        self.writer.append(&entry, &mut io::empty()).map_err(output_error)
    }

    fn file(&mut self, name: &str, size: u64, data: &mut dyn Read) -> Result<()> {
        let entry = Entry { path: name.into(), mode: 0o644, size, ..Entry::default() };
        self.writer.append(&entry, data).map_err(output_error)
    }

    fn document(&mut self, name: &str, mut bytes: &[u8]) -> Result<()> {
        self.file(name, bytes.len() as u64, &mut bytes)
    }

    fn json(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec(value).map_err(|why| Error::invalid(name, why))?;
        bytes.push(b'\n');
        self.document(name, &bytes)
    }

    fn blob(&mut self, store: &Store, digest: &Digest) -> Result<()> {
        let path = store.blob_path(digest);
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        let size = file.metadata().map_err(Error::io("stat", &path))?.len();
        self.file(&blob_name(digest), size, &mut file)
    }
}
