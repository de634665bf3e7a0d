//! `save`: images as an archive. Both formats are an OCI image layout; docker's has `manifest.json`
//! and `repositories` as well, and is what docker since version 25 writes itself. Layers are written uncompressed, as
//! docker does too, and the manifests say so: that takes no time, and needs no copy of what was pulled. Equal images
//! give equal archives. What describes a layer comes before it, so that `load` can take it in while it arrives.

use super::oci::{FULL_NAME, REF_NAME, blob_name};
use crate::blob;
use crate::error::{Error, Result};
use crate::export::output_error;
use crate::store::{Image, Store};
use crate::tar::{Entry, Kind, Writer};
use serde::Serialize;
use spec::digest::Algorithm;
use spec::image::{Descriptor, Index, Manifest, media_type};
use spec::{Digest, Reference};
use std::collections::{BTreeMap, BTreeSet};
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
pub(super) struct Item {
    pub(super) config: String,
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Vec<String>,
}

/// Writes the archive. The caller keeps the images in place, see [`Store::use_images`].
pub fn save(store: &Store, images: &[Saved<'_>], format: Format, output: &mut dyn Write) -> Result<()> {
    let mut archive = Archive { writer: Writer::new(output) };
    let plain: Result<Vec<Plain<'_>>> = images.iter().map(|saved| Plain::new(store, saved)).collect();
    let plain = plain?;
    archive.document("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.document("index.json", &Index::new(plain.iter().flat_map(Plain::named).collect()).to_bytes())?;
    if format == Format::Docker {
        archive.json("manifest.json", &plain.iter().map(Plain::item).collect::<Vec<_>>())?;
        let repositories = repositories(images);
        if !repositories.is_empty() {
            archive.json("repositories", &repositories)?;
        }
    }
    archive.directory("blobs/")?;
    let documents: BTreeMap<&Digest, &[u8]> = plain.iter().flat_map(Plain::documents).collect();
    let layers: BTreeMap<&Digest, &Descriptor> =
        plain.iter().flat_map(|image| &image.manifest.layers).map(|layer| (&layer.digest, layer)).collect();
    let algorithms: BTreeSet<&str> =
        documents.keys().chain(layers.keys()).map(|digest| digest.algorithm().name()).collect();
    for algorithm in algorithms {
        archive.directory(&format!("blobs/{algorithm}/"))?;
    }
    for (digest, bytes) in documents {
        archive.document(&blob_name(digest), bytes)?;
    }
    for (digest, layer) in layers {
        archive.file(&blob_name(digest), layer.size, &mut store.layer_archive(digest)?)?;
    }
    archive.writer.finish().map(|_| ()).map_err(output_error)
}

/// An image with its layers uncompressed.
pub struct Plain<'a> {
    saved: &'a Saved<'a>,
    pub manifest: Manifest,
    /// The manifest as it is written.
    pub bytes: Vec<u8>,
    pub descriptor: Descriptor,
    pub config: Vec<u8>,
}

impl<'a> Plain<'a> {
    /// Layers have their diff ids for digests then: [`Store::layer_archive`] gives their bytes.
    pub fn new(store: &Store, saved: &'a Saved<'a>) -> Result<Plain<'a>> {
        let image = saved.image;
        let config = blob::read_document(&store.blob_path(&image.id))?;
        let diff_ids = &image.config.rootfs.diff_ids;
        // Its own manifest, if that describes plain layers: its digest stays the same.
        if image.manifest.layers.iter().map(|layer| &layer.digest).eq(diff_ids) {
            let bytes = blob::read_document(&store.blob_path(&image.manifest_digest))?;
            let size = bytes.len() as u64;
            let descriptor = Descriptor::new(&image.media_type, image.manifest_digest.clone(), size);
            return Ok(Plain { saved, manifest: image.manifest.clone(), bytes, descriptor, config });
        }
        let layer = |diff_id: &Digest| {
            let length = store.layer_archive(diff_id)?.length();
            Ok(Descriptor::new(media_type::OCI_LAYER, diff_id.clone(), length))
        };
        let layers: Result<Vec<Descriptor>> = diff_ids.iter().map(layer).collect();
        let described = Descriptor::new(media_type::OCI_CONFIG, image.id.clone(), config.len() as u64);
        let annotations = image.manifest.annotations.clone();
        let manifest = Manifest { annotations, ..Manifest::new(described, layers?) };
        let bytes = manifest.to_bytes();
        let digest = blob::digest_of(Algorithm::Sha256, &bytes);
        let descriptor = Descriptor::new(media_type::OCI_MANIFEST, digest, bytes.len() as u64);
        Ok(Plain { saved, manifest, bytes, descriptor, config })
    }

    /// For the index: one entry for each name, or one without.
    fn named(&self) -> Vec<Descriptor> {
        let with_name = |name: &Reference| {
            let mut descriptor = self.descriptor.clone();
            descriptor.annotations.insert(FULL_NAME.to_owned(), name.to_string());
            descriptor.annotations.insert(REF_NAME.to_owned(), name.familiar());
            descriptor
        };
        let named: Vec<Descriptor> = tags(self.saved).map(with_name).collect();
        if named.is_empty() { vec![self.descriptor.clone()] } else { named }
    }

    fn item(&self) -> Item {
        let tags: Vec<String> = tags(self.saved).map(Reference::familiar).collect();
        Item {
            config: blob_name(&self.saved.image.id),
            repo_tags: (!tags.is_empty()).then_some(tags),
            layers: self.manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
        }
    }

    fn documents(&self) -> [(&Digest, &[u8]); 2] {
        [(&self.descriptor.digest, &self.bytes), (&self.saved.image.id, &self.config)]
    }
}

/// Docker's oldest list: repository, tag, top layer. Some programs still ask for it.
fn repositories(images: &[Saved<'_>]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for saved in images {
        let top = saved.image.config.rootfs.diff_ids.last().map_or("", Digest::hex);
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
}
