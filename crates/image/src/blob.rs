//! Blobs: hashing, and writing one into the store's temporary directory while it is checked.
//! `ingest` moves finished ones to their place. Reading is opening a file that `store` names.

use crate::error::{Error, Result};
use sha2::Digest as _;
use spec::Digest;
use spec::digest::Algorithm;
use spec::image::Descriptor;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A running hash of either algorithm.
#[derive(Clone)]
pub enum Hasher {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(sha2::Sha512::new()),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(hasher) => Digest::from_hash(&hasher.finalize()),
            Hasher::Sha512(hasher) => Digest::from_hash(&hasher.finalize()),
        }
    }
}

/// The digest of bytes at hand.
pub fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// Size and digest of bytes on their way in, compared with what they should be.
pub(crate) struct Check {
    hasher: Hasher,
    bytes: u64,
    expected: Option<Descriptor>,
}

impl Check {
    /// With an `expected` descriptor no more than its size is taken.
    pub(crate) fn new(expected: Option<&Descriptor>) -> Check {
        let algorithm = expected.map_or(Algorithm::Sha256, |d| d.digest.algorithm());
        Check { hasher: Hasher::new(algorithm), bytes: 0, expected: expected.cloned() }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(expected) = &self.expected
            && self.bytes + bytes.len() as u64 > expected.size
        {
            return Err(wrong_size(expected, "more"));
        }
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Digest and size; `Ok` means that they are the expected ones.
    pub(crate) fn finish(self) -> Result<(Digest, u64)> {
        let actual = self.hasher.finish();
        if let Some(expected) = &self.expected {
            if self.bytes < expected.size {
                return Err(wrong_size(expected, "less"));
            }
            if actual != expected.digest {
                let what = format!("blob {}", expected.digest.short());
                return Err(Error::Mismatch { what, expected: expected.digest.clone(), actual });
            }
        }
        Ok((actual, self.bytes))
    }
}

/// A temporary file that is hashed as it is written.
pub(crate) struct TemporaryBlob {
    file: File,
    path: PathBuf,
    check: Check,
}

impl TemporaryBlob {
    /// Creates `path`.
    pub(crate) fn create(path: PathBuf, expected: Option<&Descriptor>) -> Result<TemporaryBlob> {
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        Ok(TemporaryBlob { file, path, check: Check::new(expected) })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check.update(bytes)?;
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// The file's path, digest and size; `Ok` means that they are the expected ones.
    pub(crate) fn finish(self) -> Result<(PathBuf, Digest, u64)> {
        let (digest, bytes) = self.check.finish()?;
        Ok((self.path, digest, bytes))
    }
}

fn wrong_size(expected: &Descriptor, comparison: &str) -> Error {
    let what = format!("blob {}", expected.digest);
    Error::invalid(what, format_args!("has {comparison} than the {} bytes it should", expected.size))
}

/// Reads a document that a descriptor or name promised to be small.
pub(crate) fn read_document(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("stat", path))?.len();
    if size > spec::image::DOCUMENT_SIZE_MAX {
        return Err(Error::invalid(path.display().to_string(), "is too large for an image document"));
    }
    let mut bytes = Vec::with_capacity(size as usize + 1);
    std::io::Read::read_to_end(&mut &file, &mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Writes a small file such that it is there whole or not at all, also after a power cut. The caller holds a lock against
/// other writers of it: the temporary name is always the same, so that what a killed writer left is overwritten.
pub(crate) fn write_document(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    renamed.map_err(Error::io("write", path))?;
    Ok(kernel::disk::sync_directory(path.parent().unwrap_or(Path::new("/")))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn hashes() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest_of(Algorithm::Sha256, b"").as_str(), empty);
        assert_eq!(digest_of(Algorithm::Sha512, b"").hex().len(), 128);
    }

    #[test]
    fn size_and_digest_are_checked() {
        let scratch = Scratch::new("blob");
        let digest = digest_of(Algorithm::Sha256, b"abc");
        let write = |name: &str, size: u64, bytes: &[u8]| {
            let expected = Descriptor::new("", digest.clone(), size);
            let mut blob = TemporaryBlob::create(scratch.path().join(name), Some(&expected))?;
            blob.append(bytes)?;
            blob.finish()
        };
        assert_eq!(write("good", 3, b"abc").unwrap().1, digest);
        assert!(write("short", 4, b"abc").unwrap_err().to_string().contains("less than the 4 bytes"));
        assert!(write("long", 2, b"abc").unwrap_err().to_string().contains("more than the 2 bytes"));
        assert!(matches!(write("other", 3, b"abd"), Err(Error::Mismatch { .. })));
    }

    #[test]
    fn documents_are_replaced_whole() {
        let scratch = Scratch::new("document");
        let path = scratch.path().join("x");
        // Left by a writer that was killed.
        std::fs::write(scratch.path().join("x.new"), "half of som").unwrap();
        write_document(&path, b"one").unwrap();
        write_document(&path, b"two").unwrap();
        assert_eq!(read_document(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
