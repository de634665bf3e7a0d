//! A download that goes on after its process was killed: the compressed bytes of a layer are kept in
//! `images/partial/<digest>` while they come, and the next one who wants the layer begins where they end. Whoever holds
//! the file has it locked, so of two pulls of the same layer the second waits, and then mostly finds the layer.

use super::Ingest;
use crate::error::{Error, Result};
use crate::layer::Layer;
use kernel::Context;
use kernel::lock::Lock;
use rustix::fs::FlockOperation;
use spec::Digest;
use spec::image::Descriptor;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Smaller ones are not worth a file: they come again in no time.
const SIZE_MIN: u64 = 1 << 20;

/// What has come of a blob so far. Dropped without [`Partial::remove`] it stays for the next one.
#[derive(Debug)]
pub struct Partial {
    /// `None` for a small blob.
    file: Option<File>,
    path: PathBuf,
    length: u64,
}

impl Ingest {
    /// Waits while somebody else downloads the same blob; after that [`Ingest::has_layer`] may well be true.
    pub fn partial(&self, expected: &Descriptor) -> Result<Partial> {
        Partial::open(&self.store.partial_path(), expected)
    }

    /// [`Ingest::layer`] of a layer that is downloaded, going on after what an interrupted download has left. `rest`
    /// gives the bytes from an offset on; it is called once more, with 0, when what was left turns out to be damaged.
    /// `Ok` means that the store has the layer, not that this call brought it.
    pub fn resume_layer<R: Read>(
        &self,
        expected: &Descriptor,
        diff_id: &Digest,
        mut rest: impl FnMut(u64) -> R,
    ) -> Result<Layer> {
        loop {
            let mut partial = self.partial(expected)?;
            if self.has_layer(expected, diff_id)? {
                let size = self.store.layers().size(diff_id);
                partial.remove();
                return Ok(Layer { descriptor: expected.clone(), diff_id: diff_id.clone(), size });
            }
            let was_resumed = partial.length > 0;
            let rest = rest(partial.length);
            match self.layer(&mut partial.followed_by(rest), expected, Some(diff_id)) {
                // What is kept is not what it should be. If a part of it is of another time, that may be why.
                Err(Error::Mismatch { .. } | Error::Invalid { .. }) if was_resumed => partial.remove(),
                // The transfer broke off, or the disk is full: it may go on later.
                Err(error @ (Error::Stream(_) | Error::Io(_))) => return Err(error),
                result => {
                    partial.remove();
                    return result;
                }
            }
        }
    }
}

impl Partial {
    fn open(directory: &Path, expected: &Descriptor) -> Result<Partial> {
        let path = directory.join(expected.digest.hex());
        if expected.size < SIZE_MIN {
            return Ok(Partial { file: None, path, length: 0 });
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(Error::io("create directory", directory))?;
        loop {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&path).map_err(Error::io("open", &path))?;
            match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result.during_at("lock", &path)?,
            }
            let metadata = file.metadata().map_err(Error::io("stat", &path))?;
            // Whoever had it has finished with it and removed it.
            if metadata.nlink() == 0 {
                continue;
            }
            let length = if metadata.len() <= expected.size { metadata.len() } else { 0 };
            file.set_len(length).map_err(Error::io("cut", &path))?;
            return Ok(Partial { file: Some(file), path, length });
        }
    }

    /// How many bytes from the start are here already.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The blob from its start on: what is here, then `rest`, which is kept as it is read.
    pub fn followed_by<R: Read>(&mut self, rest: R) -> Followed<'_, R> {
        Followed { partial: self, read: 0, rest }
    }

    /// For when the bytes are no longer needed, or are the wrong ones.
    pub fn remove(self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what nobody is downloading; returns the bytes on the disk that this freed.
pub(crate) fn remove_abandoned(directory: &Path) -> Result<u64> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        result => result.map_err(Error::io("list", directory))?,
    };
    let mut freed = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Ok(Some(_lock)) = Lock::try_exclusive(&path) {
            freed += kernel::disk::allocated_bytes(&path)?;
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(freed)
}

/// See [`Partial::followed_by`].
pub struct Followed<'a, R> {
    partial: &'a mut Partial,
    /// Of what was here.
    read: u64,
    rest: R,
}

impl<R: Read> Read for Followed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.partial.file else { return self.rest.read(buffer) };
        if self.read < self.partial.length {
            if self.read == 0 {
                file.rewind()?;
            }
            let left = usize::try_from(self.partial.length - self.read).unwrap_or(usize::MAX);
            let limit = left.min(buffer.len());
            let count = file.read(&mut buffer[..limit])?;
            self.read += count as u64;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = self.rest.read(buffer)?;
        // With its name: a full disk is told as ours, and not as the registry's.
        io::Write::write_all(file, &buffer[..count])
            .map_err(|error| io::Error::other(Error::io("write", &self.partial.path)(error)))?;
        Ok(count)
    }
}
