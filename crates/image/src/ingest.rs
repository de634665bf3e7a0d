//! Taking an image in: blobs and layers are written and checked in a temporary directory. A layer takes its place in
//! the store as soon as it is whole and on the disk, so that an interrupted pull goes on after it; blobs do in
//! [`Ingest::finish`], which names the image. Pull, load, import and commit use it, from several threads if they like.
//!
//! ```text
//! begin ──► layer (temporary → sync → its place) … blob (temporary) ──► finish: sync, rename blobs, name in index.json
//!   └────── dropped or killed: nothing temporary stays (a killed one's files go at the next sweep)
//! ```
//!
//! A layer without an image is found by the next pull, or swept by the next removal of an image.

pub(crate) mod partial;
mod receive;

pub use partial::Partial;

use crate::blob::{self, TemporaryBlob};
use crate::error::{Error, Result};
use crate::index::{self, Entry};
use crate::layer::{self, Form, Layer, TEMPORARY_PREFIX};
use crate::store::{Image, Store};
use kernel::lock::Lock;
use receive::Order;
use spec::digest::Algorithm;
use spec::image::{Descriptor, ImageConfig, Manifest, media_type};
use spec::{Digest, Reference};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something coming in. Holds a shared lock, so that no sweep takes what has come.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    directory: PathBuf,
    /// Of new layers.
    form: Form,
    next: AtomicU64,
    done: Mutex<Done>,
    _lock: Lock,
}

/// Finished and checked, but not yet durably in its place.
#[derive(Debug, Default)]
struct Done {
    blobs: HashMap<Digest, PathBuf>,
    /// Layers in the form of directories: one sync for all their files.
    layers: HashMap<Digest, PathBuf>,
}

impl Ingest {
    pub(crate) fn begin(store: &Store) -> Result<Ingest> {
        let lock = store.lock_shared()?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id());
            let directory = store.layers().path().join(name);
            match std::fs::create_dir(&directory) {
                // A killed process with our number has left it; it is swept another time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                result => result.map_err(Error::io("create directory", &directory))?,
            }
            let form = store.layers().form_of_new().inspect_err(|_| drop(std::fs::remove_dir(&directory)))?;
            let (next, done) = (AtomicU64::new(0), Mutex::default());
            return Ok(Ingest { store: store.clone(), directory, form, next, done, _lock: lock });
        }
    }

    /// A path for a file or directory that is removed with the ingest.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.directory.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn done(&self) -> std::sync::MutexGuard<'_, Done> {
        // A panic elsewhere leaves the maps whole: each change is one insert.
        self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether the blob is in the store or has come in.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.done().blobs.contains_key(digest) || self.store.blob_path(digest).exists()
    }

    /// Whether the layer is in the store or has come in: all of it that this store keeps, and not known to be damaged.
    pub fn has_layer(&self, descriptor: &Descriptor, diff_id: &Digest) -> Result<bool> {
        let has_come = self.done().layers.contains_key(diff_id);
        let Some(form) = self.form(diff_id).filter(|_| has_come || self.store.layers().is_sound(diff_id)) else {
            return Ok(false);
        };
        Ok(!self.store.keeps_blob_of(form) || self.has_blob(&descriptor.digest))
    }

    /// Of a layer that is in the store or has come in.
    fn form(&self, diff_id: &Digest) -> Option<Form> {
        let has_come = self.done().layers.contains_key(diff_id);
        if has_come { Some(Form::Directory) } else { self.store.layers().form(diff_id) }
    }

    /// Whether the compressed form of new layers is kept.
    pub fn keeps_blobs(&self) -> bool {
        self.store.keeps_blob_of(self.form)
    }

    /// Takes in a blob of which the digest and size are known.
    pub fn blob(&self, expected: &Descriptor) -> Result<BlobWriter<'_>> {
        Ok(BlobWriter { ingest: self, blob: TemporaryBlob::create(self.temporary(), Some(expected))? })
    }

    /// Takes in a small blob at once. `Ok` means that the store will have it. One that is there but damaged is replaced.
    pub fn put_blob(&self, expected: &Descriptor, bytes: &[u8]) -> Result<()> {
        let has_come = self.done().blobs.contains_key(&expected.digest);
        let is_here = || std::fs::read(self.store.blob_path(&expected.digest)).is_ok_and(|is| is == bytes);
        if digest_matches(expected, bytes) && (has_come || is_here()) {
            return Ok(());
        }
        let mut writer = self.blob(expected)?;
        writer.blob.append(bytes)?;
        writer.finish()
    }

    /// Takes in bytes of ours, and describes them.
    pub(crate) fn put_bytes(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let digest = blob::digest_of(Algorithm::Sha256, bytes);
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        self.put_blob(&descriptor, bytes)?;
        Ok(descriptor)
    }

    /// Takes in a layer: reads `compressed` to its end, checks size and digest of it and of what
    /// is inside, and unpacks, all while the bytes arrive. On an error nothing of it stays.
    pub fn layer(&self, compressed: &mut dyn Read, expected: &Descriptor, diff_id: Option<&Digest>) -> Result<Layer> {
        self.receive(compressed, Some(expected), diff_id)
    }

    /// Takes in a layer of which nothing is known but perhaps its diff id.
    pub fn new_layer(&self, archive: &mut dyn Read, diff_id: Option<&Digest>) -> Result<Layer> {
        self.receive(archive, None, diff_id)
    }

    fn receive(&self, input: &mut dyn Read, expected: Option<&Descriptor>, diff_id: Option<&Digest>) -> Result<Layer> {
        let blob = self.keeps_blobs().then(|| self.temporary());
        let order = Order { form: self.form, home: self.temporary(), blob, expected, diff_id };
        let layer = order.receive(input)?;
        if self.form == Form::Erofs {
            self.store.layers().adopt(&order.home, &layer.diff_id)?;
        }
        let mut done = self.done();
        if let Some(blob) = order.blob {
            done.blobs.insert(layer.descriptor.digest.clone(), blob);
        }
        if self.form == Form::Directory {
            done.layers.insert(layer.diff_id.clone(), order.home);
        }
        Ok(layer)
    }

    /// Makes everything that has come in part of the store, durably, and gives the image its
    /// names. May be called again for further images. Without names the image is kept, nameless.
    ///
    /// # Errors
    /// `Invalid` also for a name with a digest that is not the manifest's.
    pub fn finish(&self, manifest: &[u8], media_type: &str, names: &[Reference]) -> Result<Image> {
        self.finish_found(manifest, media_type, names, None)
    }

    /// The same for a manifest that the caller has found by the digest `root`, its own or that of an index that leads to
    /// it: names may have that one, too.
    pub fn finish_found(
        &self,
        manifest: &[u8],
        media_type: &str,
        names: &[Reference],
        root: Option<&Digest>,
    ) -> Result<Image> {
        let algorithm = names.iter().find_map(Reference::digest).map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = blob::digest_of(algorithm, manifest);
        check_digests(names, &digest, root)?;
        let id = self.check_complete(&digest, manifest)?;
        let descriptor = Descriptor::new(media_type, digest, manifest.len() as u64);
        self.put_blob(&descriptor, manifest)?;
        self.publish()?;
        self.store.update(|entries| {
            let names = names.iter().cloned().map(Some);
            let names: Vec<_> = if names.len() == 0 { vec![None] } else { names.collect() };
            for name in names {
                let digest = descriptor.digest.clone();
                index::put(entries, Entry::new(name, id.clone(), media_type, digest, descriptor.size));
            }
            Ok(())
        })?;
        let image = self.store.image(&id)?;
        // Its manifest may have been here before.
        self.store.note_use(&image);
        Ok(image)
    }

    /// Writes configuration and manifest of an image of ours, and finishes it.
    pub(crate) fn finish_new(
        &self,
        config: &ImageConfig,
        layers: Vec<Descriptor>,
        names: &[Reference],
    ) -> Result<Image> {
        let config = self.put_bytes(media_type::OCI_CONFIG, &config.to_bytes())?;
        self.finish_with(&config.digest, config.size, layers, names)
    }

    /// Writes the manifest for a configuration that has come in.
    pub(crate) fn finish_with(
        &self,
        config: &Digest,
        config_size: u64,
        layers: Vec<Descriptor>,
        names: &[Reference],
    ) -> Result<Image> {
        let config = Descriptor::new(media_type::OCI_CONFIG, config.clone(), config_size);
        let manifest = Manifest::new(config, layers).to_bytes();
        self.finish(&manifest, media_type::OCI_MANIFEST, names)
    }

    /// Everything a manifest speaks of must be here; returns the image's id.
    fn check_complete(&self, digest: &Digest, bytes: &[u8]) -> Result<Digest> {
        let what = format!("manifest {}", digest.short());
        let manifest = Manifest::parse(bytes).map_err(|why| Error::invalid(&what, why))?;
        let id = manifest.config.digest;
        if !self.has_blob(&id) {
            return Err(Error::invalid(what, format_args!("needs blob {id}, which has not come")));
        }
        let pending = self.done().blobs.get(&id).cloned();
        let bytes = blob::read_document(&pending.unwrap_or_else(|| self.store.blob_path(&id)))?;
        let config = ImageConfig::parse(&bytes).map_err(|why| Error::invalid(format!("configuration {id}"), why))?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (layers, ids) = (manifest.layers.len(), diff_ids.len());
            return Err(Error::invalid(what, format_args!("has {layers} layers, its configuration {ids}")));
        }
        for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
            // Whether the store has come to keep compressed forms since does not matter.
            let is_here = match self.form(diff_id) {
                Some(Form::Erofs) => true,
                Some(Form::Directory) => self.has_blob(&layer.digest),
                None => false,
            };
            if !is_here {
                return Err(Error::invalid(what, format_args!("needs layer {diff_id}, which has not come")));
            }
        }
        Ok(id)
    }

    /// Data first, then the names that make it count: after a power cut a layer or blob that
    /// has its name is whole.
    fn publish(&self) -> Result<()> {
        let done = std::mem::take(&mut *self.done());
        if done.layers.is_empty() {
            for path in done.blobs.values() {
                File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))?;
            }
        } else {
            let directory = File::open(&self.directory).map_err(Error::io("open", &self.directory))?;
            kernel::disk::sync_filesystem(&directory)?;
        }
        for (diff_id, temporary) in &done.layers {
            self.store.layers().adopt(temporary, diff_id)?;
        }
        // Also when nothing is new to us: somebody who was killed, or is still at work, may have brought it.
        let blobs = self.store.images_path().join("blobs");
        let mut changed = BTreeSet::from([self.store.layers().path().to_owned()]);
        for (digest, temporary) in &done.blobs {
            let path = self.store.blob_path(digest);
            let parent = path.parent().unwrap_or(Path::new("/"));
            if !parent.exists() {
                std::fs::create_dir_all(parent).map_err(Error::io("create directory", parent))?;
                changed.insert(blobs.clone());
            }
            std::fs::rename(temporary, &path).map_err(Error::io("rename blob to", &path))?;
        }
        let algorithms = [Algorithm::Sha256, Algorithm::Sha512].map(|algorithm| blobs.join(algorithm.name()));
        changed.extend(algorithms.into_iter().filter(|directory| directory.exists()));
        changed.iter().try_for_each(|directory| Ok(kernel::disk::sync_directory(directory)?))
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // What cannot be removed now goes at the next sweep.
        let _ = layer::remove_tree(&self.directory);
    }
}

/// A blob on its way in. Dropped without [`BlobWriter::finish`] it goes with the ingest.
pub struct BlobWriter<'a> {
    ingest: &'a Ingest,
    blob: TemporaryBlob,
}

impl BlobWriter<'_> {
    /// `Ok` means that size and digest were the expected ones.
    pub fn finish(self) -> Result<()> {
        let (path, digest, _) = self.blob.finish()?;
        self.ingest.done().blobs.insert(digest, path);
        Ok(())
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.blob.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Who uses an image by a digest trusts that nothing else is ever called so.
fn check_digests(names: &[Reference], manifest: &Digest, root: Option<&Digest>) -> Result<()> {
    let is_false = |name: &&Reference| name.digest().is_some_and(|is| is != manifest && Some(is) != root);
    match names.iter().find(is_false) {
        None => Ok(()),
        Some(name) => {
            let actual = root.unwrap_or(manifest);
            let why = format_args!("is not the name of this image: its digest is {actual}");
            Err(Error::invalid(name.familiar(), why))
        }
    }
}

fn digest_matches(expected: &Descriptor, bytes: &[u8]) -> bool {
    blob::digest_of(expected.digest.algorithm(), bytes) == expected.digest
}

/// Reads until the buffer is full or the input ends.
pub(crate) fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
