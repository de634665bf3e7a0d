//! Taking an image in: blobs and layers are written and checked in a temporary directory, and
//! only [`Ingest::finish`] makes them part of the store. Pull, load, import and commit use it,
//! from several threads if they like.
//!
//! ```text
//! begin ──► blob, layer, … (temporary) ──► finish: sync, rename all, name in index.json
//!   └────── dropped or killed: nothing of it stays (a killed one's files go at the next sweep)
//! ```

use crate::blob::{self, Hasher, TemporaryBlob};
use crate::compress;
use crate::error::{Error, Result};
use crate::index::{self, Entry};
use crate::layer::{self, Layer, TEMPORARY_PREFIX};
use crate::pipe::{CHUNK_BYTES, pipe};
use crate::store::{Image, Store};
use kernel::lock::Lock;
use spec::digest::Algorithm;
use spec::image::{Descriptor, ImageConfig, Manifest, media_type};
use spec::{Digest, Reference};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something coming in. Holds a shared lock, so that no sweep takes its blobs.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    directory: PathBuf,
    next: AtomicU64,
    done: Mutex<Done>,
    _lock: Lock,
}

/// Finished and checked, but still in the temporary directory.
#[derive(Debug, Default)]
struct Done {
    blobs: HashMap<Digest, PathBuf>,
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
            let (next, done) = (AtomicU64::new(0), Mutex::default());
            return Ok(Ingest { store: store.clone(), directory, next, done, _lock: lock });
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

    /// Whether the layer's blob and its unpacked form are in the store or have come in.
    pub fn has_layer(&self, descriptor: &Descriptor, diff_id: &Digest) -> Result<bool> {
        Ok(self.has_blob(&descriptor.digest) && self.has_unpacked(diff_id))
    }

    fn has_unpacked(&self, diff_id: &Digest) -> bool {
        self.done().layers.contains_key(diff_id) || self.store.layers().contains(diff_id)
    }

    /// Takes in a blob of which the digest and size are known.
    pub fn blob(&self, expected: &Descriptor) -> Result<BlobWriter<'_>> {
        Ok(BlobWriter { ingest: self, blob: TemporaryBlob::create(self.temporary(), Some(expected))? })
    }

    /// Takes in a small blob at once. `Ok` means that the store will have it.
    pub fn put_blob(&self, expected: &Descriptor, bytes: &[u8]) -> Result<()> {
        if self.has_blob(&expected.digest) && digest_matches(expected, bytes) {
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
        let unpacked = self.temporary();
        let blob = TemporaryBlob::create(self.temporary(), expected)?;
        let blob_path = blob.path().to_owned();
        let result = self.receive_into(input, blob, &unpacked, expected, diff_id);
        if result.is_err() {
            // The ingest may go on without it, or end much later.
            let _ = std::fs::remove_file(blob_path);
            let _ = layer::remove_tree(&unpacked);
        }
        result
    }

    fn receive_into(
        &self,
        input: &mut dyn Read,
        blob: TemporaryBlob,
        unpacked: &Path,
        expected: Option<&Descriptor>,
        diff_id: Option<&Digest>,
    ) -> Result<Layer> {
        let mut tee = Tee { input, blob, error: None };
        let received = decompress_and_unpack(&mut tee, expected, diff_id, unpacked);
        // Whether the bytes are the right ones matters more than what is wrong inside of them.
        if tee.error.is_none() && matches!(received, Err(Error::Invalid { .. })) {
            tee.drain();
        }
        if let Some(error) = tee.error.take() {
            return Err(error);
        }
        if let Err(error @ (Error::Io(_) | Error::Stream(_))) = received {
            return Err(error);
        }
        let (path, digest, bytes) = tee.blob.finish()?;
        let received = received?;
        if let Some(diff_id) = diff_id
            && received.diff_id != *diff_id
        {
            let what = format!("layer {}", digest.short());
            return Err(Error::Mismatch { what, expected: diff_id.clone(), actual: received.diff_id });
        }
        let kind = expected.map_or(received.media_type, |d| &d.media_type);
        let mut descriptor = Descriptor::new(kind, digest.clone(), bytes);
        if let Some(expected) = expected {
            descriptor.annotations.clone_from(&expected.annotations);
        }
        let mut done = self.done();
        done.blobs.insert(digest, path);
        done.layers.insert(received.diff_id.clone(), unpacked.to_owned());
        Ok(Layer { descriptor, diff_id: received.diff_id, size: received.size })
    }

    /// Makes everything that has come in part of the store, durably, and gives the image its
    /// names. May be called again for further images. Without names the image is kept, nameless.
    pub fn finish(&self, manifest: &[u8], media_type: &str, names: &[Reference]) -> Result<Image> {
        let digest = match names.iter().find_map(Reference::digest) {
            Some(digest) => blob::digest_of(digest.algorithm(), manifest),
            None => blob::digest_of(Algorithm::Sha256, manifest),
        };
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
        self.store.image(&id)
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
        for descriptor in manifest.layers.iter().chain([&manifest.config]) {
            if !self.has_blob(&descriptor.digest) {
                return Err(Error::invalid(what, format_args!("needs blob {}, which has not come", descriptor.digest)));
            }
        }
        let id = manifest.config.digest;
        let pending = self.done().blobs.get(&id).cloned();
        let bytes = blob::read_document(&pending.unwrap_or_else(|| self.store.blob_path(&id)))?;
        let config = ImageConfig::parse(&bytes).map_err(|why| Error::invalid(format!("configuration {id}"), why))?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (layers, ids) = (manifest.layers.len(), diff_ids.len());
            return Err(Error::invalid(what, format_args!("has {layers} layers, its configuration {ids}")));
        }
        match diff_ids.iter().find(|diff_id| !self.has_unpacked(diff_id)) {
            Some(missing) => Err(Error::invalid(what, format_args!("needs layer {missing}, which has not come"))),
            None => Ok(id),
        }
    }

    /// Data first, then the names that make it count: after a power cut a layer or blob that
    /// has its name is whole.
    fn publish(&self) -> Result<()> {
        let done = std::mem::take(&mut *self.done());
        let directory = File::open(&self.directory).map_err(Error::io("open", &self.directory))?;
        kernel::disk::sync_filesystem(&directory)?;
        for (diff_id, temporary) in &done.layers {
            self.store.layers().adopt(temporary, diff_id)?;
        }
        for (digest, temporary) in &done.blobs {
            let path = self.store.blob_path(digest);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(Error::io("create directory", parent))?;
            }
            std::fs::rename(temporary, &path).map_err(Error::io("rename blob to", &path))?;
        }
        kernel::disk::sync_filesystem(&directory)?;
        Ok(())
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

fn digest_matches(expected: &Descriptor, bytes: &[u8]) -> bool {
    blob::digest_of(expected.digest.algorithm(), bytes) == expected.digest
}

/// Keeps what is read. An error of the blob's file, unlike one of the input, stays typed.
struct Tee<'a> {
    input: &'a mut dyn Read,
    blob: TemporaryBlob,
    error: Option<Error>,
}

impl Tee<'_> {
    fn drain(&mut self) {
        let mut buffer = vec![0; 64 << 10];
        while matches!(self.read(&mut buffer), Ok(count) if count > 0) {}
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.input.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let copy = io::Error::new(error.kind(), error.to_string());
                    self.error = Some(Error::Stream(error));
                    return Err(copy);
                }
                Ok(count) => break count,
            }
        };
        if let Err(error) = self.blob.append(&buffer[..count]) {
            let copy = io::Error::other(error.to_string());
            self.error = Some(error);
            return Err(copy);
        }
        Ok(count)
    }
}

struct Received {
    diff_id: Digest,
    size: u64,
    media_type: &'static str,
}

/// Inflating and hashing keep one core busy, creating files another.
fn decompress_and_unpack(
    tee: &mut Tee<'_>,
    expected: Option<&Descriptor>,
    diff_id: Option<&Digest>,
    unpacked: &Path,
) -> Result<Received> {
    let what = expected.map_or_else(|| "layer".to_owned(), |d| format!("layer {}", d.digest.short()));
    let mut input = compress::Decoder::new(tee).map_err(|why| Error::invalid(&what, why))?;
    let media_type = input.compression().layer_media_type();
    std::fs::create_dir(unpacked).map_err(Error::io("create directory", unpacked))?;
    let (sender, mut receiver) = pipe();
    std::thread::scope(|scope| {
        let unpacker = scope.spawn(move || layer::unpack_into(unpacked, &mut receiver));
        let mut hasher = Hasher::new(diff_id.map_or(Algorithm::Sha256, Digest::algorithm));
        let outcome = loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            match fill(&mut input, &mut chunk) {
                Ok(0) => break Ok(()),
                Ok(count) => chunk.truncate(count),
                Err(error) => break Err(Error::invalid(&what, format_args!("cannot be decompressed: {error}"))),
            }
            hasher.update(&chunk);
            // The unpacker ends early only when it has failed.
            if sender.send(chunk).is_err() {
                break Ok(());
            }
        };
        drop(sender);
        let unpacked = unpacker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcome?;
        let size = unpacked.map_err(|error| match error {
            Error::Invalid { what: inner, why } => {
                Error::invalid(what, format_args!("cannot be unpacked: {inner} {why}"))
            }
            other => other,
        })?;
        Ok(Received { diff_id: hasher.finish(), size, media_type })
    })
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
