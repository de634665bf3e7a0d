//! Image layouts, skopeo's directories and archives that are read in place, without the store: `image copy` takes images
//! from them. Docker's older archives, which have no manifests, get some here. Documents are checked against their digests; who copies
//! blobs checks those.

use super::bundle::Bundle;
use super::docker::{self, Item};
use super::oci::{FULL_NAME, REF_NAME, blob_name};
use super::package::directory_name;
use crate::blob;
use crate::compress::Compression;
use crate::error::{Error, Result};
use kernel::Context;
use kernel::beneath::Root;
use rustix::fs::{Mode, OFlags};
use spec::digest::Algorithm;
use spec::image::{DOCUMENT_SIZE_MAX, Descriptor, Document, ImageConfig, Index, Manifest, media_type};
use spec::{Digest, Reference};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// See the module.
pub struct Outside {
    files: Files,
    index: Index,
    /// Of docker's older form: documents that were made here, and where layers are.
    documents: HashMap<Digest, Vec<u8>>,
    layers: HashMap<Digest, String>,
}

enum Files {
    /// Opened beneath the directory: a layout from elsewhere may hold any link.
    Layout(Root),
    /// Skopeo's `dir:`, opened in the same way.
    Directory(Root),
    Archive(Bundle),
}

impl Outside {
    /// A directory with an image layout (image-layout.md).
    pub fn layout(directory: &Path) -> Result<Outside> {
        let files = Files::Layout(Root::open(directory)?);
        let Some(index) = files.read("index.json", DOCUMENT_SIZE_MAX)? else {
            return Err(Error::invalid(directory.display().to_string(), "is no image layout: it has no index.json"));
        };
        Outside::with_index(files, &index)
    }

    /// A directory with one image, in the form of skopeo's `dir:`.
    pub fn directory(directory: &Path) -> Result<Outside> {
        let files = Files::Directory(Root::open(directory)?);
        let what = || directory.display().to_string();
        let Some(bytes) = files.read("manifest.json", DOCUMENT_SIZE_MAX)? else {
            return Err(Error::invalid(what(), "is no directory with an image: it has no manifest.json"));
        };
        let kind = match Document::parse(&bytes).map_err(|why| Error::invalid("manifest.json", why))? {
            Document::Manifest(manifest) if manifest.media_type.is_empty() => media_type::OCI_MANIFEST.to_owned(),
            Document::Manifest(manifest) => manifest.media_type,
            Document::Index(index) if index.media_type.is_empty() => media_type::OCI_INDEX.to_owned(),
            Document::Index(index) => index.media_type,
        };
        let digest = blob::digest_of(Algorithm::Sha256, &bytes);
        let index = Index::new(vec![Descriptor::new(&kind, digest.clone(), bytes.len() as u64)]);
        Ok(Outside { files, index, documents: HashMap::from([(digest, bytes)]), layers: HashMap::new() })
    }

    /// An archive, in OCI's or docker's form. It must be a file that is not compressed.
    pub fn archive(path: &Path) -> Result<Outside> {
        let bundle = Bundle::in_place(File::open(path).map_err(Error::io("open", path))?)?;
        if let Some(index) = bundle.document("index.json")? {
            return Outside::with_index(Files::Archive(bundle), &index);
        }
        let Some(manifest) = bundle.document("manifest.json")? else {
            return Err(Error::invalid("archive", "holds no image (neither index.json nor manifest.json)"));
        };
        let mut outside = Outside {
            files: Files::Archive(bundle),
            index: Index::new(Vec::new()),
            documents: HashMap::new(),
            layers: HashMap::new(),
        };
        docker::items(&manifest)?.iter().try_for_each(|item| outside.describe(item))?;
        Ok(outside)
    }

    fn with_index(files: Files, index: &[u8]) -> Result<Outside> {
        let index = Index::parse(index).map_err(|why| Error::invalid("index.json", why))?;
        Ok(Outside { files, index, documents: HashMap::new(), layers: HashMap::new() })
    }

    /// Makes a manifest for an image of docker's older form.
    fn describe(&mut self, item: &Item) -> Result<()> {
        let Files::Archive(bundle) = &self.files else { return Ok(()) };
        let lacks = || Error::invalid("archive", format_args!("lacks {:?}", item.config));
        let config = bundle.document(&item.config)?.ok_or_else(lacks)?;
        let described = ImageConfig::parse(&config)
            .map_err(|why| Error::invalid(format!("configuration {:?}", item.config), why))?;
        let paths = item.layers.as_deref().unwrap_or_default();
        let diff_ids = &described.rootfs.diff_ids;
        if paths.len() != diff_ids.len() {
            let (layers, ids) = (paths.len(), diff_ids.len());
            return Err(Error::invalid("archive", format_args!("has {layers} layers for a configuration with {ids}")));
        }
        let mut layers = Vec::new();
        for (path, diff_id) in paths.iter().zip(diff_ids) {
            let section = bundle.require(path)?;
            if section.compression()? != Compression::None {
                return Err(Error::invalid("archive", "has a compressed layer without a digest: load it instead"));
            }
            layers.push(Descriptor::new(media_type::OCI_LAYER, diff_id.clone(), section.size()));
            self.layers.insert(diff_id.clone(), path.clone());
        }
        let id = blob::digest_of(Algorithm::Sha256, &config);
        let manifest =
            Manifest::new(Descriptor::new(media_type::OCI_CONFIG, id.clone(), config.len() as u64), layers).to_bytes();
        let digest = blob::digest_of(Algorithm::Sha256, &manifest);
        let descriptor = Descriptor::new(media_type::OCI_MANIFEST, digest.clone(), manifest.len() as u64);
        let names = docker::names(item)?;
        let named = names.iter().map(|name| {
            let mut descriptor = descriptor.clone();
            descriptor.annotations.insert(FULL_NAME.to_owned(), name.to_string());
            descriptor
        });
        self.index.manifests.extend(named);
        if names.is_empty() {
            self.index.manifests.push(descriptor);
        }
        self.documents.extend([(id, config), (digest, manifest)]);
        Ok(())
    }

    /// The directory or file that it is.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.files {
            Files::Layout(root) | Files::Directory(root) => root.as_fd(),
            Files::Archive(bundle) => bundle.descriptor(),
        }
    }

    /// What a tag or a whole name means here; without one there must be one image only.
    pub fn find(&self, name: Option<&str>) -> Result<Descriptor> {
        let annotated = |descriptor: &Descriptor, name: &str| {
            let full = Reference::parse(name).map(|name| name.to_string());
            let is_full = |text: &String| full.as_ref() == Ok(text) || text == name;
            descriptor.annotations.get(REF_NAME).is_some_and(|text| text == name)
                || descriptor.annotations.get(FULL_NAME).is_some_and(is_full)
        };
        let mut fitting: Vec<&Descriptor> = Vec::new();
        for descriptor in &self.index.manifests {
            let fits = name.is_none_or(|name| annotated(descriptor, name));
            if fits && !fitting.iter().any(|known| known.digest == descriptor.digest) {
                fitting.push(descriptor);
            }
        }
        let held = || {
            let names = self.index.manifests.iter().filter_map(|descriptor| {
                descriptor.annotations.get(FULL_NAME).or_else(|| descriptor.annotations.get(REF_NAME))
            });
            names.cloned().collect::<Vec<_>>().join(", ")
        };
        match (fitting.as_slice(), name) {
            ([only], _) => Ok((*only).clone()),
            ([], Some(name)) => Err(Error::invalid(format!("{name:?}"), format_args!("is not there, but: {}", held()))),
            ([], None) => Err(Error::invalid("index.json", "names no image")),
            _ => Err(Error::invalid("index.json", format_args!("names several images, say which: {}", held()))),
        }
    }

    /// A manifest, an index or a configuration.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if let Some(bytes) = self.documents.get(&descriptor.digest) {
            return Ok(bytes.clone());
        }
        let name = self.files.name(descriptor);
        let lacks = || Error::invalid("image layout", format_args!("lacks {name:?}"));
        let bytes = self.files.read(&name, DOCUMENT_SIZE_MAX)?.ok_or_else(lacks)?;
        let actual = blob::digest_of(descriptor.digest.algorithm(), &bytes);
        if actual != descriptor.digest {
            return Err(Error::Mismatch { what: name, expected: descriptor.digest.clone(), actual });
        }
        Ok(bytes)
    }

    /// The bytes of a blob, unchecked.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send + '_>> {
        if let Some(bytes) = self.documents.get(&descriptor.digest) {
            return Ok(Box::new(bytes.as_slice()));
        }
        let usual = self.files.name(descriptor);
        let name = self.layers.get(&descriptor.digest).unwrap_or(&usual);
        match &self.files {
            Files::Layout(root) | Files::Directory(root) => Ok(Box::new(open(root, name)?)),
            Files::Archive(bundle) => Ok(Box::new(bundle.require(name)?)),
        }
    }
}

impl Files {
    /// Where a blob is.
    fn name(&self, blob: &Descriptor) -> String {
        match self {
            Files::Directory(_) => directory_name(blob),
            Files::Layout(_) | Files::Archive(_) => blob_name(&blob.digest),
        }
    }

    /// A whole small file, `None` if it is not there.
    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        let root = match self {
            Files::Archive(bundle) => return bundle.document(name),
            Files::Layout(root) | Files::Directory(root) => root,
        };
        let file = match open(root, name) {
            Err(Error::Io(error)) if error.errno == rustix::io::Errno::NOENT => return Ok(None),
            result => result?,
        };
        let mut bytes = Vec::new();
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(Error::Stream)?;
        if bytes.len() as u64 > bytes_max {
            return Err(Error::invalid("image layout", format_args!("has a {name:?} that is too large")));
        }
        Ok(Some(bytes))
    }
}

fn open(root: &Root, name: &str) -> Result<File> {
    let found = root.open_file(name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok(kernel::beneath::open_regular(found).during_at("open", name)?.into())
}
