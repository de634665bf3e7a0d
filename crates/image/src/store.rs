//! The store on disk: paths, names, looking images up. Everything that changes images goes
//! through `ingest` (in) and `gc` (out).
//!
//! ```text
//! <root>/images/  oci-layout  index.json  blobs/sha256/<hex>      an OCI image layout, mostly without layers
//!                 partial/<hex>   what has come of a layer whose download was interrupted
//!                 lock         shared: images come in or are used; exclusive: something is swept
//!                 index.lock   held while index.json is replaced, for microseconds
//! <root>/layers/  <diff id>/   see layer.rs
//!                 .tmp-…/      what an ingest is making; swept when its maker is gone
//! <root>/layers.lock           held while a finished layer is put in its place
//! ```

use crate::error::{Error, Result};
use crate::index::{self, Entry};
use crate::ingest::Ingest;
use crate::layer::{Archive, Form, Layers};
use crate::{blob, gc};
use kernel::lock::Lock;
use spec::digest::Algorithm;
use spec::image::{ImageConfig, Manifest};
use spec::{Digest, Reference};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Shortest id prefix that is looked up, in digits.
const ID_PREFIX_MIN: usize = 1;

/// All images under one root directory. Cheap to open and to clone; holds nothing open.
#[derive(Debug, Clone)]
pub struct Store {
    images: PathBuf,
    layers: Layers,
    keep_blobs: bool,
}

/// An image as it was when looked up.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the configuration: what users see as the image's id.
    pub id: Digest,
    pub manifest_digest: Digest,
    pub media_type: String,
    pub manifest: Manifest,
    pub config: ImageConfig,
    /// Tags first, then names with a digest, in the order in which they were given.
    pub names: Vec<Reference>,
}

/// What is in the store.
#[derive(Debug, Default)]
pub struct Listing {
    pub images: Vec<Image>,
    pub damaged: Vec<Damaged>,
}

/// An image whose manifest or configuration is damaged or missing.
#[derive(Debug)]
pub struct Damaged {
    pub id: Digest,
    pub names: Vec<Reference>,
    /// Names the document and the remedy.
    pub why: Error,
}

impl Listing {
    /// `Invalid` when an image with a tag in that repository is damaged.
    pub fn images_of(self, repository: &str) -> Result<Vec<Image>> {
        let is_tag = |name: &Reference| name.digest().is_none() && name.name() == repository;
        match self.damaged.into_iter().find(|damaged| damaged.names.iter().any(is_tag)) {
            Some(damaged) => Err(damaged.why),
            None => Ok(self.images.into_iter().filter(|image| image.tags().any(is_tag)).collect()),
        }
    }
}

/// While it lives no image is swept: taken from before an image is looked up until a container
/// that uses it is on record.
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "held for its drop")] Lock);

impl Store {
    /// Opens the store below `root` and creates what is missing of it.
    pub fn open(root: &Path) -> Result<Store> {
        let layers = Layers::new(root.join("layers"));
        let store = Store { images: root.join("images"), layers, keep_blobs: false };
        if rustix::fs::access(store.images.join("index.json"), rustix::fs::Access::EXISTS).is_err() {
            store.create()?;
        }
        Ok(store)
    }

    fn create(&self) -> Result<()> {
        let blobs = self.images.join("blobs/sha256");
        for directory in [&self.images, self.layers.path()] {
            // Nobody but us may enter: layers hold setuid programs of strangers (CVE-2021-41091).
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(Error::io("create directory", directory))?;
        }
        std::fs::create_dir_all(&blobs).map_err(Error::io("create directory", &blobs))?;
        // The index comes last, and with it the name of `images`; those who find it sync nothing above their own files.
        for directory in [blobs.parent(), self.images.parent()].into_iter().flatten() {
            kernel::disk::sync_directory(directory)?;
        }
        let _lock = self.lock_index()?;
        // Somebody else may have been faster.
        if index::read(&self.images)?.is_none() {
            blob::write_document(&self.images.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            index::write(&self.images, &[])?;
        }
        Ok(())
    }

    /// A store that keeps the compressed form of new layers beside the layers, so that other tools find complete images
    /// in [`Store::images_path`]. By default only layers in the form of directories have theirs kept.
    pub fn keeping_blobs(self) -> Store {
        Store { keep_blobs: true, ..self }
    }

    pub(crate) fn keeps_blob_of(&self, form: Form) -> bool {
        self.keep_blobs || form == Form::Directory
    }

    /// The OCI image layout, for other tools.
    pub fn images_path(&self) -> &Path {
        &self.images
    }

    /// What has come of blobs whose download was interrupted; see `ingest/partial.rs`.
    pub(crate) fn partial_path(&self) -> PathBuf {
        self.images.join("partial")
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// Where a blob is, if the store has it.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let mut path = self.images.join("blobs");
        path.push(digest.algorithm().name());
        path.push(digest.hex());
        path
    }

    /// All blobs that are here.
    pub(crate) fn blobs(&self) -> Result<Vec<PathBuf>> {
        let mut blobs = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let directory = self.images.join("blobs").join(algorithm.name());
            let entries = match std::fs::read_dir(&directory) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                result => result.map_err(Error::io("list", &directory))?,
            };
            for entry in entries {
                blobs.push(entry.map_err(Error::io("list", &directory))?.path());
            }
        }
        Ok(blobs)
    }

    /// Starts to take something in. Waits while a sweep is under way.
    pub fn ingest(&self) -> Result<Ingest> {
        // What killed processes left behind goes first; if anybody is at work it goes another time.
        gc::sweep_temporary(self)?;
        Ingest::begin(self)
    }

    /// Keeps all images in place. Waits while a sweep is under way.
    pub fn use_images(&self) -> Result<Lease> {
        Ok(Lease(self.lock_shared()?))
    }

    pub(crate) fn lock_shared(&self) -> Result<Lock> {
        Ok(Lock::shared(&self.images.join("lock"))?)
    }

    pub(crate) fn try_lock_exclusive(&self) -> Result<Option<Lock>> {
        Ok(Lock::try_exclusive(&self.images.join("lock"))?)
    }

    fn lock_index(&self) -> Result<Lock> {
        Ok(Lock::exclusive(&self.images.join("index.lock"))?)
    }

    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        Ok(index::read(&self.images)?.unwrap_or_default())
    }

    /// Changes the index under its lock. Nothing is written when `change` fails.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<T>) -> Result<T> {
        let _lock = self.lock_index()?;
        let before = self.entries()?;
        let mut entries = before.clone();
        let result = change(&mut entries)?;
        if entries != before {
            index::write(&self.images, &entries)?;
        }
        Ok(result)
    }

    /// Looks an image up by name (`busybox`, `busybox:1.36`, `repo@sha256:…`) or by its id or a
    /// prefix of it, with or without `sha256:`. A name goes before an id prefix, as in docker.
    pub fn resolve(&self, text: &str) -> Result<Image> {
        let entries = self.entries()?;
        let id = find(&entries, text)?.id.clone();
        self.load(&entries, &id)
    }

    /// The image whose configuration has this digest.
    pub fn image(&self, id: &Digest) -> Result<Image> {
        self.load(&self.entries()?, id)
    }

    /// Every image once, oldest entry first. Fails when one of them is damaged.
    pub fn list(&self) -> Result<Vec<Image>> {
        let listing = self.listing()?;
        match listing.damaged.into_iter().next() {
            Some(damaged) => Err(damaged.why),
            None => Ok(listing.images),
        }
    }

    /// Every image once, oldest entry first, those whose documents cannot be read apart.
    pub fn listing(&self) -> Result<Listing> {
        let entries = self.entries()?;
        let mut ids: Vec<&Digest> = Vec::new();
        for entry in &entries {
            if !ids.contains(&&entry.id) {
                ids.push(&entry.id);
            }
        }
        let mut listing = Listing::default();
        for id in ids {
            match self.load(&entries, id) {
                Ok(image) => listing.images.push(image),
                Err(why @ Error::Invalid { .. }) => {
                    let names = entries.iter().filter(|e| e.id == *id).filter_map(|e| e.name.clone()).collect();
                    listing.damaged.push(Damaged { id: id.clone(), names, why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    /// Gives an image one more name; whichever image had it loses it.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<()> {
        if name.digest().is_some() {
            let name = name.familiar();
            return Err(Error::Argument(format!("{name:?}: refusing to create a tag with a digest reference")));
        }
        self.update(|entries| {
            let found = entries.iter().find(|e| e.id == image.id);
            let entry = found.ok_or_else(|| Error::NotFound { name: image.id.to_string() })?;
            let entry = Entry { name: Some(name.clone()), ..entry.clone() };
            index::put(entries, entry);
            Ok(())
        })?;
        self.note_use(image);
        Ok(())
    }

    /// Whether all layers are here (which a user who tidied up by hand may have prevented) and none is known to be damaged.
    pub fn has_layers(&self, diff_ids: &[Digest]) -> bool {
        diff_ids.iter().all(|diff_id| self.layers.is_sound(diff_id))
    }

    /// Has the next pull or load that brings the layer replace it. Not where it is a directory: see
    /// [`Store::is_directory`].
    pub fn mark_damaged(&self, diff_id: &Digest) -> Result<()> {
        self.layers.mark_damaged(diff_id)
    }

    /// What layers given lowest first are on disk, top first: for people to look at. [`Store::stack`] is what can be
    /// mounted.
    pub fn layer_paths(&self, diff_ids: &[Digest]) -> Vec<PathBuf> {
        diff_ids.iter().rev().map(|id| self.layers.place(id)).collect()
    }

    /// The uncompressed archive of a layer, byte for byte as it came.
    pub fn layer_archive(&self, diff_id: &Digest) -> Result<Archive> {
        if let Some(image) = self.layers.open_image(diff_id)? {
            return Ok(Archive::of_image(image)?.proving(diff_id));
        }
        let facts = self.layers.facts(diff_id)?;
        let lacks = |what| Error::invalid(format!("layer {diff_id}"), format_args!("{what}: pull its image again"));
        let facts = facts.ok_or_else(|| lacks("is missing"))?;
        let blob = match self.kept_form(diff_id) {
            Some(own) => self.blob_path(&own),
            None => self.blob_of(diff_id)?.ok_or_else(|| lacks("has lost its compressed form"))?,
        };
        Ok(Archive::of_blob(&blob, facts.archive_length)?.proving(diff_id))
    }

    /// The compressed form that a layer was made of, if that is kept.
    pub fn kept_form(&self, diff_id: &Digest) -> Option<Digest> {
        let blob = self.layers.blob(diff_id)?;
        self.blob_path(&blob).exists().then_some(blob)
    }

    /// A compressed form of a layer as images say, if one is kept.
    fn blob_of(&self, diff_id: &Digest) -> Result<Option<PathBuf>> {
        for image in self.listing()?.images {
            let pairs = image.config.rootfs.diff_ids.iter().zip(&image.manifest.layers);
            let blobs = pairs.filter(|(id, _)| *id == diff_id).map(|(_, layer)| self.blob_path(&layer.digest));
            if let Some(path) = blobs.into_iter().find(|path| path.exists()) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn load(&self, entries: &[Entry], id: &Digest) -> Result<Image> {
        let of_image = entries.iter().filter(|e| e.id == *id);
        // One configuration may have several manifests (a layer compressed differently): the first will do.
        let entry = of_image.clone().next().ok_or_else(|| Error::NotFound { name: id.to_string() })?;
        let names = |digest: bool| {
            let names = of_image.clone().filter_map(|e| e.name.clone());
            names.filter(move |name| name.digest().is_some() == digest)
        };
        let names: Vec<Reference> = names(false).chain(names(true)).collect();
        let digest = &entry.manifest.digest;
        let (manifest, config) = self.documents(digest, id).map_err(|why| match why {
            Error::Invalid { what, why } => {
                Error::invalid(what, format_args!("{why}: `brig image check --repair` fetches what is damaged again"))
            }
            other => other,
        })?;
        Ok(Image {
            id: id.clone(),
            manifest_digest: digest.clone(),
            media_type: entry.manifest.media_type.clone(),
            manifest,
            config,
            names,
        })
    }

    /// A manifest and a configuration. `Invalid` when one of them is damaged or missing.
    pub(crate) fn documents(&self, manifest: &Digest, config: &Digest) -> Result<(Manifest, ImageConfig)> {
        let read = |digest| match blob::read_document(&self.blob_path(digest)) {
            Err(Error::Io(error)) if error.errno == rustix::io::Errno::NOENT => Err("is missing".to_owned()),
            result => result.map_err(|why| format!("cannot be read: {why}")),
        };
        let parsed = read(manifest).and_then(|bytes| Manifest::parse(&bytes).map_err(|why| why.to_string()));
        let first = parsed.map_err(|why| Error::invalid(format!("manifest {manifest}"), why))?;
        let parsed = read(config).and_then(|bytes| ImageConfig::parse(&bytes).map_err(|why| why.to_string()));
        let second = parsed.map_err(|why| Error::invalid(format!("configuration {config}"), why))?;
        Ok((first, second))
    }
}

impl Image {
    /// [`Store::layer_paths`] of its layers.
    pub fn layers(&self, store: &Store) -> Vec<PathBuf> {
        store.layer_paths(&self.config.rootfs.diff_ids)
    }

    /// Sum of the unpacked layers in bytes.
    pub fn size(&self, store: &Store) -> u64 {
        self.config.rootfs.diff_ids.iter().map(|id| store.layers.size(id)).fold(0, u64::saturating_add)
    }

    /// `busybox:latest`, …: the names with a tag.
    pub fn tags(&self) -> impl Iterator<Item = &Reference> {
        self.names.iter().filter(|name| name.digest().is_none())
    }

    /// `busybox@sha256:…`, …: where it was pulled from.
    pub fn repository_digests(&self) -> impl Iterator<Item = &Reference> {
        self.names.iter().filter(|name| name.digest().is_some())
    }
}

/// The entry that `text` names.
pub(crate) fn find<'a>(entries: &'a [Entry], text: &str) -> Result<&'a Entry> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = hex.len() >= ID_PREFIX_MIN && hex.len() <= 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let must_be_id = is_hex && (hex.len() == 64 || text.len() != hex.len());
    if !must_be_id {
        let reference = Reference::parse(text)?;
        if let Some(entry) = by_name(entries, &reference) {
            return Ok(entry);
        }
        if !is_hex {
            return Err(Error::NotFound { name: reference.familiar() });
        }
    }
    let hex = hex.to_ascii_lowercase();
    let mut matches = entries.iter().filter(|e| e.id.hex().starts_with(&hex));
    // The containerd generation of tools shows manifest digests as ids: they are understood whole.
    let by_manifest = || entries.iter().find(|e| e.manifest.digest.hex() == hex);
    let Some(first) = matches.next().or_else(by_manifest) else {
        let name = if must_be_id { text.to_owned() } else { format!("{text}:latest") };
        return Err(Error::NotFound { name });
    };
    if matches.any(|e| e.id != first.id) {
        return Err(Error::Ambiguous { prefix: text.to_owned() });
    }
    Ok(first)
}

/// With a digest, the tag does not matter: the digest says more.
fn by_name<'a>(entries: &'a [Entry], reference: &Reference) -> Option<&'a Entry> {
    let Some(digest) = reference.digest() else {
        return entries.iter().find(|e| e.name.as_ref() == Some(reference));
    };
    let of_repository = |e: &&Entry| e.name.as_ref().is_some_and(|name| name.name() == reference.name());
    let has_digest = |e: &&Entry| e.name.as_ref().is_some_and(|name| name.digest() == Some(digest));
    let mut all = entries.iter().filter(of_repository);
    // The name itself, before another name of the same manifest: `rmi` removes what is found.
    all.clone().find(has_digest).or_else(|| all.find(|e| e.manifest.digest == *digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, add_image};
    use std::io::Read;

    fn entry(name: &str, id: &str) -> Entry {
        let digest = |hex: &str| Digest::parse(&format!("sha256:{hex:0<64}")).unwrap();
        let name = (!name.is_empty()).then(|| Reference::parse(name).unwrap());
        Entry::new(name, digest(id), "", digest(&format!("f{id}")), 1)
    }

    #[test]
    fn names_and_ids() {
        let manifest = format!("f{:0<63}", "ab12");
        let entries = [
            entry("busybox", "ab12"),
            entry("busybox:1.36", "ab12"),
            entry(&format!("busybox@sha256:{manifest}"), "ab12"),
            entry("localhost:5000/tool:v1", "ab34"),
            entry("cafe", "1111"),
            entry("", "cafe"),
        ];
        let id = |text: &str| find(&entries, text).map(|e| e.id.hex()[..4].to_owned());
        for (text, expected) in [
            ("busybox", "ab12"),
            ("docker.io/library/busybox:latest", "ab12"),
            ("busybox:1.36", "ab12"),
            (&*format!("busybox@sha256:{manifest}"), "ab12"),
            (&*format!("busybox:gone@sha256:{manifest}"), "ab12"),
            ("localhost:5000/tool:v1", "ab34"),
            ("ab1", "ab12"),
            ("sha256:ab3", "ab34"),
            ("AB3", "ab34"),
            ("cafe", "1111"),
            ("sha256:cafe", "cafe"),
            (&*format!("{:0<64}", "cafe"), "cafe"),
            (&*manifest, "ab12"),
        ] {
            match id(text) {
                Ok(found) => assert_eq!(found, expected, "{text}"),
                // Upper case is no name; docker refuses it too.
                Err(Error::Name(_)) if text == "AB3" => {}
                Err(error) => panic!("{text}: {error}"),
            }
        }
        assert!(matches!(id("ab"), Err(Error::Ambiguous { .. })));
        assert_eq!(id("nosuch").unwrap_err().to_string(), "No such image: nosuch:latest");
        assert_eq!(id("nosuch:v2").unwrap_err().to_string(), "No such image: nosuch:v2");
        assert_eq!(id("dead").unwrap_err().to_string(), "No such image: dead:latest");
        assert!(matches!(id("Bad"), Err(Error::Name(_))));
    }

    #[test]
    fn a_damaged_image_does_not_hide_the_others() {
        let scratch = Scratch::new("store-damaged");
        let store = Store::open(scratch.path()).unwrap();
        let (one, two) = (add_image(&store, "a", &[("x", b"1")], &[]), add_image(&store, "b", &[("x", b"2")], &[]));
        std::fs::write(store.blob_path(&one.id), "garbage").unwrap();
        let listing = store.listing().unwrap();
        assert_eq!(listing.images.iter().map(|image| &image.id).collect::<Vec<_>>(), [&two.id]);
        assert_eq!((&listing.damaged[0].id, &listing.damaged[0].names), (&one.id, &one.names));
        assert!(listing.damaged[0].why.to_string().contains("image check --repair"));
        assert!(store.list().is_err());
        assert_eq!(store.listing().unwrap().images_of("docker.io/library/b").unwrap().len(), 1);
        assert!(store.listing().unwrap().images_of("docker.io/library/a").is_err());
    }

    #[test]
    fn a_damaged_layer_is_not_handed_out_as_whole() {
        let scratch = Scratch::new("store-damaged-layer");
        let store = Store::open(scratch.path()).unwrap();
        let data = vec![7; 300_000];
        let image = add_image(&store, "a", &[("x", &data)], &[]);
        let diff_id = &image.config.rootfs.diff_ids[0];
        let read = || {
            let mut bytes = Vec::new();
            let mut archive = store.layer_archive(diff_id)?;
            let length = archive.length();
            // As those do who write an entry of known length: they never see the end.
            archive.by_ref().take(length).read_to_end(&mut bytes).map_err(Error::stream)?;
            Ok(blob::digest_of(diff_id.algorithm(), &bytes))
        };
        assert_eq!(read().unwrap(), *diff_id);
        let path = match store.kept_form(diff_id) {
            Some(blob) => store.blob_path(&blob),
            None => store.layers().place(diff_id),
        };
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(100).position(|part| part == [7; 100]).unwrap_or(bytes.len() / 2);
        bytes[at + 50] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error: Error = read().unwrap_err();
        assert!(error.to_string().contains("is damaged: `brig image check --repair`"), "{error}");
    }

    #[test]
    fn open_creates_a_layout() {
        let scratch = Scratch::new("store");
        let store = Store::open(scratch.path()).unwrap();
        assert!(store.list().unwrap().is_empty());
        let layout = std::fs::read_to_string(scratch.path().join("images/oci-layout")).unwrap();
        assert_eq!(layout, r#"{"imageLayoutVersion":"1.0.0"}"#);
        Store::open(scratch.path()).unwrap();
        assert!(store.resolve("x").unwrap_err().is_not_found());
    }
}
