//! One layer on its way in, in one pass over its bytes: checked, decompressed, hashed and written while they arrive.
//!
//! ```text
//!  this thread:   input → check (size, digest) → decompress ──chunks──▶  the other: hash → image or directory
//! ```

use super::fill;
use crate::blob::{Check, Hasher};
use crate::compress::{self, Compression};
use crate::erofs::Unsealed;
use crate::error::{Error, Result};
use crate::layer::{self, Form, Layer};
use crate::pipe::{Sender, pipe};
use spec::Digest;
use spec::digest::Algorithm;
use spec::image::{Descriptor, media_type};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What is known of a layer before it comes, and where it goes.
pub(super) struct Order<'a> {
    pub(super) form: Form,
    /// New directory to be made.
    pub(super) home: PathBuf,
    /// Where the bytes as they come are kept; `None` if they are not.
    pub(super) blob: Option<PathBuf>,
    pub(super) expected: Option<&'a Descriptor>,
    pub(super) diff_id: Option<&'a Digest>,
}

impl Order<'_> {
    fn what(&self) -> String {
        self.expected.map_or_else(|| "layer".to_owned(), |d| format!("layer {}", d.digest.short()))
    }

    /// Takes the layer in; then it is whole, in its temporary place. On an error nothing of it stays.
    pub(super) fn receive(&self, input: &mut dyn Read) -> Result<Layer> {
        let result = self.receive_or_leave(input);
        if result.is_err() {
            // The ingest may go on without it, or end much later.
            if let Some(blob) = &self.blob {
                let _ = std::fs::remove_file(blob);
            }
            let _ = layer::remove_tree(&self.home);
        }
        result
    }

    fn receive_or_leave(&self, input: &mut dyn Read) -> Result<Layer> {
        let file = self.blob.as_ref().map(|path| File::create_new(path).map_err(Error::io("create", path)));
        let arrived = Cell::new(0);
        let check = Check::new(self.expected);
        let mut tee = Tee { input, arrived: &arrived, check, file: file.transpose()?, error: None };
        let unpacked = self.unpack(&mut tee);
        // Whether the bytes are the right ones matters more than what is wrong inside of them.
        if tee.error.is_none() && matches!(unpacked, Err(Error::Invalid { .. })) {
            tee.drain();
        }
        if let Some(error) = tee.error.take() {
            return Err(error);
        }
        if let Err(error @ (Error::Io(_) | Error::Stream(_))) = unpacked {
            return Err(error);
        }
        let (digest, bytes) = tee.check.finish()?;
        let Unpacked { compression, made, diff_id, archive_length } = unpacked?;
        let diff_id = diff_id.unwrap_or_else(|| digest.clone());
        if let Some(wanted) = self.diff_id
            && diff_id != *wanted
        {
            let what = format!("layer {}", digest.short());
            return Err(Error::Mismatch { what, expected: wanted.clone(), actual: diff_id });
        }
        if self.blob.is_some() {
            layer::note_blob(&self.home, &digest)?;
        }
        let size = self.seal(made, &diff_id, archive_length)?;
        let descriptor = match self.expected {
            Some(expected) => expected.clone(),
            None if self.blob.is_some() => Descriptor::new(compression.layer_media_type(), digest, bytes),
            // The bytes that came are not kept; these can be had again.
            None => Descriptor::new(media_type::OCI_LAYER, diff_id.clone(), archive_length),
        };
        Ok(Layer { descriptor, diff_id, size })
    }

    fn seal(&self, made: Made, diff_id: &Digest, archive_length: u64) -> Result<u64> {
        match made {
            Made::Image(image) => {
                let size = image.size();
                layer::seal_image(&self.home, *image, diff_id)?;
                Ok(size)
            }
            Made::Directory { size } => {
                layer::seal_directory(&self.home, size, archive_length)?;
                Ok(size)
            }
        }
    }

    /// Inflating keeps one core busy; hashing what comes out and writing it another.
    fn unpack(&self, tee: &mut Tee<'_>) -> Result<Unpacked> {
        let what = self.what();
        let (algorithm, mut start) = (self.diff_id.map_or(Algorithm::Sha256, Digest::algorithm), [0; 6]);
        let count = fill(tee, &mut start).map_err(Error::Stream)?;
        let compression = compress::detect(&start[..count]).map_err(|name| {
            Error::invalid(
                &what,
                format_args!("is compressed with {name}, which is not supported: decompress it first"),
            )
        })?;
        // What is not compressed is hashed already.
        let as_blob = self.expected.map_or(Algorithm::Sha256, |d| d.digest.algorithm()) == algorithm;
        let hasher = (compression != Compression::None || !as_blob).then(|| Hasher::new(algorithm));
        let (sender, receiver) = pipe();
        let archive = Hashing { input: receiver, hasher, count: 0 };
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || make(self.form, &self.home, archive));
            let outcome = decompress(tee, &start[..count], &what, sender);
            let made = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome?;
            let (made, diff_id, archive_length) = made.map_err(|error| match error {
                Error::Invalid { what: inner, why } => {
                    Error::invalid(what, format_args!("cannot be unpacked: {inner} {why}"))
                }
                other => other,
            })?;
            Ok(Unpacked { compression, made, diff_id, archive_length })
        })
    }
}

struct Unpacked {
    compression: Compression,
    made: Made,
    /// `None` when it is the digest of the bytes as they came.
    diff_id: Option<Digest>,
    archive_length: u64,
}

enum Made {
    Image(Box<Unsealed>),
    Directory { size: u64 },
}

/// What was made of the archive, with its digest (if it is not known already) and its length in bytes. On an error the
/// archive is dropped here: who sends it waits for as long as somebody could read it.
fn make<R: Read>(form: Form, home: &Path, mut archive: Hashing<R>) -> Result<(Made, Option<Digest>, u64)> {
    let made = match form {
        Form::Erofs => Made::Image(Box::new(layer::write_image(home, &mut archive)?)),
        Form::Directory => Made::Directory { size: layer::write_directory(home, &mut archive)? },
    };
    Ok((made, archive.hasher.map(Hasher::finish), archive.count))
}

/// Passes on the uncompressed bytes in chunks until they end.
fn decompress(tee: &mut Tee<'_>, start: &[u8], what: &str, sender: Sender) -> Result<()> {
    let arrived = tee.arrived;
    let mut input = compress::Decoder::new(start.chain(&mut *tee)).map_err(|why| Error::invalid(what, why))?;
    let mut total = 0;
    loop {
        let mut chunk = sender.chunk();
        match fill(&mut input, &mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => chunk.truncate(count),
            Err(error) => return Err(Error::invalid(what, format_args!("cannot be decompressed: {error}"))),
        }
        total += chunk.len() as u64;
        compress::check_growth(arrived.get(), total).map_err(|why| Error::invalid(what, why))?;
        // The writer ends early only when it has failed.
        if sender.send(chunk).is_err() {
            return Ok(());
        }
    }
}

/// Checks what is read, and keeps it if there is a file. An error of ours, unlike one of the input, stays typed.
struct Tee<'a> {
    input: &'a mut dyn Read,
    /// Count of bytes.
    arrived: &'a Cell<u64>,
    check: Check,
    file: Option<File>,
    error: Option<Error>,
}

impl Tee<'_> {
    fn drain(&mut self) {
        let mut buffer = vec![0; 64 << 10];
        while matches!(self.read(&mut buffer), Ok(count) if count > 0) {}
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.arrived.set(self.arrived.get() + bytes.len() as u64);
        self.check.update(bytes)?;
        match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(Error::io("write", Path::new("blob"))),
            None => Ok(()),
        }
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.input.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let copy = io::Error::new(error.kind(), error.to_string());
                    self.error = Some(Error::stream(error));
                    return Err(copy);
                }
                Ok(count) => break count,
            }
        };
        if let Err(error) = self.take(&buffer[..count]) {
            let copy = io::Error::other(error.to_string());
            self.error = Some(error);
            return Err(copy);
        }
        Ok(count)
    }
}

/// Hashes and counts what is read.
struct Hashing<R> {
    input: R,
    hasher: Option<Hasher>,
    count: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        self.count += count as u64;
        Ok(count)
    }
}
