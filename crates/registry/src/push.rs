//! `push`: layers, configuration, manifest, in this order, so that a registry never has a manifest whose blobs are
//! missing. A layer that the registry has, in the compressed form in which it came or in one that was pushed before, is
//! neither compressed nor sent; if that is so for all, the manifest goes out byte for byte as it came. A form that only a
//! manifest claims, of a layer that was here before, does not count (see `origins`).

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::time::Instant;

use image::{Image, Store};
use spec::image::{Descriptor, Manifest, media_type};
use spec::{Digest, Reference};

use crate::Error;
use crate::client::{Client, Purpose};
use crate::compression::Compression;
use crate::document;
use crate::layers::REPORT_EVERY;
use crate::origins;
use crate::session::Session;
use crate::upload;
use crate::workers::{self, Reporter};

/// How to push.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// The form of layers that have to be compressed here.
    pub compression: Compression,
    /// All layers are to have that form (of any level), also those of which another is known.
    pub force_compression: bool,
    /// Layers that are sent at the same time; 3 if `None`.
    pub layers_at_once: Option<NonZeroUsize>,
}

/// What the registry has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    pub digest: Digest,
    /// Of the manifest, in bytes.
    pub size: u64,
    pub media_type: String,
    pub manifest: Vec<u8>,
}

/// What a push tells its caller while it works, in the steps of docker's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushProgress<'a> {
    /// One of several tags is about to be pushed.
    Tag { tag: &'a str },
    /// A layer has reached a step.
    Layer { diff_id: &'a Digest, step: PushStep },
}

/// How far a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushStep {
    /// Will be looked at ("Preparing").
    Waiting,
    /// The repository has it ("Layer already exists").
    AlreadyExists,
    /// The registry took it from another of its repositories ("Mounted from …").
    Mounted { from: String },
    /// Bytes of the uncompressed layer so far and in all. About ten a second.
    Pushing { current: u64, total: u64 },
    /// It is on the registry.
    Pushed,
}

/// Pushes `image` under the tag of `target`. `Ok` means that the registry has said so for every part. If the image has a
/// name in that repository, it has the digest of what was pushed as another one from then on.
pub fn push(
    session: &Session,
    store: &Store,
    image: &Image,
    target: &Reference,
    options: &PushOptions,
    progress: &mut dyn FnMut(PushProgress<'_>),
) -> Result<Pushed, Error> {
    if target.digest().is_some() {
        let cause = "a digest is no name to push to: give a tag".to_owned();
        return Err(Error::Unsupported { what: target.familiar(), cause });
    }
    let _lease = store.use_images()?;
    let client = Client::new(session, target, Purpose::Push)?;
    let layers = send_layers(&client, store, image, target, options, progress)?;
    send_config(&client, store, &image.manifest.config)?;
    let (media_type, bytes) = manifest(store, image, layers)?;
    let what = format!("manifest for {}", target.familiar());
    let digest = document::put(&client, &what, document::name(target), &media_type, &bytes)?;
    note_name(store, image, target, &media_type, &bytes, &digest)?;
    Ok(Pushed { digest, size: bytes.len() as u64, media_type, manifest: bytes })
}

/// By its digest an image is pinned and signed after a push.
fn note_name(
    store: &Store,
    image: &Image,
    target: &Reference,
    media_type: &str,
    manifest: &[u8],
    digest: &Digest,
) -> Result<(), Error> {
    let name = target.with_digest(digest.clone());
    let fits = image.names.iter().any(|other| other.name() == name.name()) && !image.names.contains(&name);
    if !fits {
        return Ok(());
    }
    match store.ingest()?.finish(manifest, media_type, &[name]) {
        // The new forms of its layers are not kept here, though layers in the form of directories need them.
        Err(image::Error::Invalid { .. }) => Ok(()),
        outcome => Ok(outcome.map(|_| ())?),
    }
}

/// Pushes every tag that the store has of a repository.
///
/// # Errors
/// `NotFound` if it has none; else the first failure.
pub fn push_all_tags(
    session: &Session,
    store: &Store,
    repository: &Reference,
    options: &PushOptions,
    progress: &mut dyn FnMut(PushProgress<'_>),
) -> Result<Vec<(Reference, Pushed)>, Error> {
    let mut all = Vec::new();
    for image in store.listing()?.images_of(&repository.name())? {
        for name in image.tags().filter(|name| name.name() == repository.name()) {
            progress(PushProgress::Tag { tag: name.tag().unwrap_or_default() });
            all.push((name.clone(), push(session, store, &image, name, options, progress)?));
        }
    }
    if all.is_empty() {
        let cause = "there is no image with this name here".to_owned();
        return Err(Error::NotFound { what: format!("a tag of {}", repository.familiar_name()), cause });
    }
    Ok(all)
}

type Event = (Digest, PushStep);

/// A layer to be pushed.
struct Layer<'a> {
    blob: &'a Descriptor,
    diff_id: &'a Digest,
}

/// What all layers of a push need.
struct Push<'a> {
    client: &'a Client<'a>,
    store: &'a Store,
    target: &'a Reference,
    options: &'a PushOptions,
    /// The image's manifest is in docker's format.
    docker: bool,
}

/// Brings every layer to the registry; the descriptors that it has them under, in the order of the image.
fn send_layers(
    client: &Client<'_>,
    store: &Store,
    image: &Image,
    target: &Reference,
    options: &PushOptions,
    progress: &mut dyn FnMut(PushProgress<'_>),
) -> Result<Vec<Descriptor>, Error> {
    let docker = image.media_type == media_type::DOCKER_MANIFEST;
    let push = Push { client, store, target, options, docker };
    let pairs = image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids);
    let all: Vec<Layer<'_>> = pairs.map(|(blob, diff_id)| Layer { blob, diff_id }).collect();
    let mut each: Vec<&Layer<'_>> = Vec::new();
    for layer in &all {
        if !each.iter().any(|known| known.diff_id == layer.diff_id) {
            progress(PushProgress::Layer { diff_id: layer.diff_id, step: PushStep::Waiting });
            each.push(layer);
        }
    }
    let work = |layer: &&Layer<'_>, reporter: &Reporter<'_, Event>| push.layer(layer, reporter);
    let event = |(diff_id, step): Event| progress(PushProgress::Layer { diff_id: &diff_id, step });
    let sent = workers::run(&each, options.layers_at_once, work, event)?;
    let on_registry: Vec<(&Digest, &Descriptor)> = each.iter().map(|layer| layer.diff_id).zip(&sent).collect();
    origins::note(store, &target.name(), on_registry.iter().copied());
    let find = |layer: &Layer<'_>| on_registry.iter().find(|(diff_id, _)| *diff_id == layer.diff_id);
    Ok(all.iter().filter_map(|layer| find(layer).map(|(_, blob)| (*blob).clone())).collect())
}

impl Push<'_> {
    fn layer(&self, layer: &Layer<'_>, reporter: &Reporter<'_, Event>) -> Result<Descriptor, Error> {
        let done = |step: PushStep, blob: Descriptor| {
            reporter.report((layer.diff_id.clone(), step));
            Ok(blob)
        };
        let known = self.known(layer);
        for (blob, _) in &known {
            if upload::exists(self.client, &blob.digest)? {
                return done(PushStep::AlreadyExists, blob.clone());
            }
        }
        for (blob, repositories) in &known {
            for from in repositories.iter().filter_map(|name| self.mountable(name)) {
                if upload::mount(self.client, &blob.digest, &from)? {
                    return done(PushStep::Mounted { from }, blob.clone());
                }
            }
        }
        let blob = match known.into_iter().find(|(blob, _)| self.store.blob_path(&blob.digest).exists()) {
            Some((blob, _)) => self.send_kept(&blob, layer.diff_id, reporter).map(|()| blob)?,
            None => self.send_compressed(layer.diff_id, reporter)?,
        };
        done(PushStep::Pushed, blob)
    }

    /// The forms of a layer that would do, the image's own first, with the repositories that have them.
    fn known(&self, layer: &Layer<'_>) -> Vec<(Descriptor, Vec<String>)> {
        let wanted = self.options.compression;
        let will_do = |kind: &str| match self.options.force_compression {
            true => wanted.is_that_of(kind),
            false => wanted.is_that_of(kind) || !Compression::None.is_that_of(kind),
        };
        let mut known: Vec<(Descriptor, Vec<String>)> = Vec::new();
        if will_do(&layer.blob.media_type) && origins::is_form(self.store, layer.diff_id, layer.blob) {
            known.push((layer.blob.clone(), Vec::new()));
        }
        for origin in origins::of(self.store, layer.diff_id) {
            if let Some((_, repositories)) = known.iter_mut().find(|(blob, _)| blob.digest == origin.blob.digest) {
                *repositories = origin.repositories;
            } else if will_do(&origin.blob.media_type) {
                let kind = self.translated(&origin.blob.media_type);
                known.push((Descriptor::new(kind, origin.blob.digest, origin.blob.size), origin.repositories));
            }
        }
        known
    }

    /// A layer's type in the format of this image.
    fn translated<'k>(&self, kind: &'k str) -> &'k str {
        let forms = [Compression::Gzip(1), Compression::Zstd(1), Compression::None];
        forms.iter().find(|form| form.is_that_of(kind)).map_or(kind, |form| form.media_type(self.docker))
    }

    /// The repository to mount from, if it is another one of this registry. Where configuration has moved the
    /// target, nothing is known of what the registry calls the other one.
    fn mountable(&self, name: &str) -> Option<String> {
        let other = Reference::parse_untagged(name).ok()?;
        let is_unmoved = self.client.home().repository() == self.target.repository();
        let fits = is_unmoved && other.registry() == self.target.registry() && other.name() != self.target.name();
        fits.then(|| other.repository().to_owned())
    }

    /// Sends a compressed form that the store has.
    fn send_kept(&self, blob: &Descriptor, diff_id: &Digest, reporter: &Reporter<'_, Event>) -> Result<(), Error> {
        let path = self.store.blob_path(&blob.digest);
        let mut open = || open(&path);
        let mut progress =
            |current| reporter.report((diff_id.clone(), PushStep::Pushing { current, total: blob.size }));
        upload::send(self.client, Some(blob), &mut open, &mut progress).map(|_| ())
    }

    /// Compresses and sends a layer.
    fn send_compressed(&self, diff_id: &Digest, reporter: &Reporter<'_, Event>) -> Result<Descriptor, Error> {
        let compression = self.options.compression;
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut open = || -> Result<Box<dyn Read + Send>, Error> {
            let (store, diff_id, sender) = (self.store.clone(), diff_id.clone(), sender.clone());
            Ok(compression.compress(Box::new(move || {
                let archive = store.layer_archive(&diff_id).map_err(|error| io::Error::other(Error::from(error)))?;
                let total = archive.length();
                Ok(Box::new(Metered { archive, read: 0, total, reported: None, sender }))
            })))
        };
        let mut progress = |_| {
            // The archive is read by other threads, which live as long as the upload wants them.
            if let Some((current, total)) = receiver.try_iter().last() {
                reporter.report((diff_id.clone(), PushStep::Pushing { current, total }));
            }
        };
        let (digest, size) = upload::send(self.client, None, &mut open, &mut progress)?;
        Ok(Descriptor::new(compression.media_type(self.docker), digest, size))
    }
}

/// An archive that says how far it is read.
struct Metered<R> {
    archive: R,
    read: u64,
    total: u64,
    reported: Option<Instant>,
    sender: std::sync::mpsc::Sender<(u64, u64)>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let failed = |error| io::Error::other(Error::from(image::Error::stream(error)));
        let count = self.archive.read(buffer).map_err(failed)?;
        self.read += count as u64;
        if self.reported.is_none_or(|then| then.elapsed() >= REPORT_EVERY) {
            self.reported = Some(Instant::now());
            let _ = self.sender.send((self.read, self.total));
        }
        Ok(count)
    }
}

fn send_config(client: &Client<'_>, store: &Store, config: &Descriptor) -> Result<(), Error> {
    if upload::exists(client, &config.digest)? {
        return Ok(());
    }
    let path = store.blob_path(&config.digest);
    upload::send(client, Some(config), &mut || open(&path), &mut |_| ()).map(|_| ())
}

fn open(path: &std::path::Path) -> Result<Box<dyn Read + Send>, Error> {
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Error::Stream { what: format!("cannot open {}", path.display()), cause: error.to_string() }),
    }
}

/// The manifest as it came if it still fits; else a new one with the layers as they are on the registry.
fn manifest(store: &Store, image: &Image, layers: Vec<Descriptor>) -> Result<(String, Vec<u8>), Error> {
    let same = layers.iter().map(|blob| &blob.digest).eq(image.manifest.layers.iter().map(|blob| &blob.digest));
    if same {
        let path = store.blob_path(&image.manifest_digest);
        let bytes = std::fs::read(&path).map_err(|error| Error::Stream {
            what: format!("cannot read {}", path.display()),
            cause: error.to_string(),
        })?;
        return Ok((image.media_type.clone(), bytes));
    }
    let is_oci = |blob: &Descriptor| !blob.media_type.starts_with("application/vnd.docker.");
    let mut manifest = Manifest { layers, ..image.manifest.clone() };
    // Docker's format has no name for zstd: the whole image becomes OCI's.
    if image.media_type == media_type::DOCKER_MANIFEST && manifest.layers.iter().any(is_oci) {
        manifest.media_type = media_type::OCI_MANIFEST.to_owned();
        manifest.config.media_type = media_type::OCI_CONFIG.to_owned();
        for blob in manifest.layers.iter_mut().filter(|blob| !is_oci(blob)) {
            let gzip = blob.media_type.ends_with("gzip");
            blob.media_type = if gzip { media_type::OCI_LAYER_GZIP } else { media_type::OCI_LAYER }.to_owned();
        }
    }
    let kind = if manifest.media_type.is_empty() { media_type::OCI_MANIFEST } else { &manifest.media_type }.to_owned();
    Ok((kind, manifest.to_bytes()))
}
