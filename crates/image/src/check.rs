//! Whether everything in the store is what its name says: `image check`. Documents and kept blobs are hashed; of every
//! layer the archive is made again, hashed, and a layer made of that anew, which must be the one on the disk. Nothing
//! is changed; `aside.rs` takes damaged parts out of the way for a repair, which is the engine's, since it needs a registry.

mod aside;
mod tree;

pub use aside::Aside;

use crate::blob::{self, Hasher};
use crate::erofs;
use crate::error::{Error, Result};
use crate::gc::{Marks, Users};
use crate::index::Entry;
use crate::ingest::Ingest;
use crate::layer::{self, Archive, Form};
use crate::store::Store;
use kernel::Context;
use rustix::io::Errno;
use spec::image::{Descriptor, ImageConfig, Manifest};
use spec::{Digest, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

const BUFFER_BYTES: usize = 256 << 10;
/// What a layer's file begins with: our record, which is compared by its meaning.
const RECORD_BYTES: u64 = 1024;

/// A part of the store that can be damaged by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A manifest, a configuration, or a layer in its compressed form.
    Blob(Digest),
    /// A layer, by its diff id.
    Layer(Digest),
}

/// A damaged part.
#[derive(Debug, Clone)]
pub struct Damage {
    pub part: Part,
    /// Continues the sentence that the part's name begins.
    pub why: String,
    /// The images that need it.
    pub images: Vec<Owner>,
}

/// An image as the index has it: it may not be possible to read more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub id: Digest,
    pub manifest: Digest,
    pub names: Vec<Reference>,
}

/// What a check has found.
#[derive(Debug, Default)]
pub struct Report {
    pub images: usize,
    pub blobs: usize,
    pub layers: usize,
    pub damages: Vec<Damage>,
    /// What neither an image nor a container needs, with the bytes that it takes on the disk. Empty while somebody brings
    /// images in, or when damage hides what is needed.
    pub unused: Vec<(Part, u64)>,
}

/// Told of each part before it is looked at, with the bytes on the disk that were looked at so far, and all there are.
pub type Progress<'a> = &'a mut dyn FnMut(&Part, u64, u64);

impl Store {
    /// Checks everything that images need. Reads all layers and writes each once more to a temporary file, so it takes
    /// its time.
    pub fn check(&self, progress: Progress<'_>, users: Users<'_>) -> Result<Report> {
        // Nothing is swept meanwhile, and the temporary files go with it.
        let ingest = self.ingest()?;
        let owners = owners(&self.entries()?);
        let (report, checked) = (Report::default(), BTreeMap::new());
        let bytes = kernel::disk::allocated_bytes(&self.images_path().join("blobs"))?
            + kernel::disk::allocated_bytes(self.layers().path())?;
        let mut check = Check { store: self, ingest, report, checked, progress, bytes: (0, bytes) };
        for owner in &owners {
            check.image(owner)?;
        }
        check.report.images = owners.len();
        let Check { ingest, mut report, .. } = check;
        drop(ingest);
        report.unused = self.unused(users)?;
        Ok(report)
    }

    fn unused(&self, users: Users<'_>) -> Result<Vec<(Part, u64)>> {
        // What comes in just now is needed by nobody yet.
        let Some(_lock) = self.try_lock_exclusive()? else { return Ok(Vec::new()) };
        let marks = match Marks::of(self, &self.entries()?, &users()?) {
            Err(Error::Invalid { .. }) => return Ok(Vec::new()),
            marks => marks?,
        };
        let mut unused = Vec::new();
        for path in self.blobs()? {
            let (directory, hex) = (path.parent().and_then(Path::file_name), path.file_name());
            let [algorithm, hex] = [directory, hex].map(|name| name.unwrap_or_default().to_string_lossy());
            if let (false, Ok(digest)) = (marks.blobs.contains(&*hex), Digest::parse(&format!("{algorithm}:{hex}"))) {
                unused.push((Part::Blob(digest), kernel::disk::allocated_bytes(&path)?));
            }
        }
        for hex in self.layers().list()?.0.iter().filter(|hex| !marks.layers.contains(*hex)) {
            if let Some(diff_id) = layer::diff_id(hex) {
                unused.push((Part::Layer(diff_id), self.layers().allocated_bytes(hex)?));
            }
        }
        Ok(unused)
    }
}

/// One for each manifest.
fn owners(entries: &[Entry]) -> Vec<Owner> {
    let mut owners: Vec<Owner> = Vec::new();
    for entry in entries {
        let manifest = &entry.manifest.digest;
        let position = owners.iter().position(|owner| owner.manifest == *manifest).unwrap_or_else(|| {
            owners.push(Owner { id: entry.id.clone(), manifest: manifest.clone(), names: Vec::new() });
            owners.len() - 1
        });
        owners[position].names.extend(entry.name.clone());
    }
    owners
}

struct Check<'a> {
    store: &'a Store,
    ingest: Ingest,
    report: Report,
    /// What was looked at, with the number of its damage if it has one.
    checked: BTreeMap<Part, Option<usize>>,
    progress: Progress<'a>,
    /// Looked at, and in all.
    bytes: (u64, u64),
}

impl Check<'_> {
    fn image(&mut self, owner: &Owner) -> Result<()> {
        let Some(manifest) = self.document(owner, &owner.manifest)? else { return Ok(()) };
        let manifest = match Manifest::parse(&manifest) {
            Ok(manifest) => manifest,
            Err(why) => return self.damaged(owner, Part::Blob(owner.manifest.clone()), why.to_string()),
        };
        let Some(config) = self.document(owner, &manifest.config.digest)? else { return Ok(()) };
        let config = match ImageConfig::parse(&config) {
            Ok(config) => config,
            Err(why) => return self.damaged(owner, Part::Blob(manifest.config.digest), why.to_string()),
        };
        let pairs: BTreeSet<(&Digest, &Digest)> =
            manifest.layers.iter().map(|layer| &layer.digest).zip(&config.rootfs.diff_ids).collect();
        let described: BTreeMap<&Digest, &Descriptor> =
            manifest.layers.iter().map(|layer| (&layer.digest, layer)).collect();
        for (blob, diff_id) in pairs {
            let path = self.store.blob_path(blob);
            if path.exists() {
                let size = described.get(blob).map_or(0, |layer| layer.size);
                self.part(owner, Part::Blob(blob.clone()), |_| kept_blob(&path, blob, size))?;
            }
            let part = Part::Layer(diff_id.clone());
            self.part(owner, part, |check| check.layer(diff_id, &path))?;
        }
        Ok(())
    }

    /// Looks at a part unless that was done. `look` gives what is wrong with it.
    fn part(&mut self, owner: &Owner, part: Part, look: impl FnOnce(&Self) -> Result<Option<String>>) -> Result<()> {
        if let Some(known) = self.checked.get(&part) {
            if let Some(number) = *known {
                add_owner(&mut self.report.damages[number], owner);
            }
            return Ok(());
        }
        (self.progress)(&part, self.bytes.0, self.bytes.1);
        let size = match &part {
            Part::Blob(digest) => {
                self.report.blobs += 1;
                kernel::disk::allocated_bytes(&self.store.blob_path(digest))?
            }
            Part::Layer(diff_id) => {
                self.report.layers += 1;
                self.store.layers().allocated_bytes(diff_id.hex())?
            }
        };
        self.bytes.0 += size;
        // What cannot be read is as good as damaged; other errors of the machine end the check.
        let why = match look(self) {
            Err(error @ (Error::Invalid { .. } | Error::Mismatch { .. } | Error::Stream(_))) => Some(error.to_string()),
            Err(Error::Io(error)) if is_of_the_disk(error.errno) => Some(format!("cannot be read: {error}")),
            outcome => outcome?,
        };
        self.checked.insert(part.clone(), None);
        match why {
            Some(why) => self.damaged(owner, part, why),
            None => Ok(()),
        }
    }

    fn damaged(&mut self, owner: &Owner, part: Part, why: String) -> Result<()> {
        self.checked.insert(part.clone(), Some(self.report.damages.len()));
        self.report.damages.push(Damage { part, why, images: vec![owner.clone()] });
        Ok(())
    }

    /// A manifest or configuration, if it is whole.
    fn document(&mut self, owner: &Owner, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.store.blob_path(digest);
        let mut document = None;
        self.part(owner, Part::Blob(digest.clone()), |_| {
            if !path.exists() {
                return Ok(Some("is missing".to_owned()));
            }
            let bytes = blob::read_document(&path)?;
            if blob::digest_of(digest.algorithm(), &bytes) != *digest {
                return Ok(Some("does not have the content that its name says".to_owned()));
            }
            document = Some(bytes);
            Ok(None)
        })?;
        // Looked at for another image already.
        if document.is_none() && self.checked.get(&Part::Blob(digest.clone())) == Some(&None) {
            document = Some(blob::read_document(&path)?);
        }
        Ok(document)
    }

    fn layer(&self, diff_id: &Digest, blob: &Path) -> Result<Option<String>> {
        match self.store.layers().form(diff_id) {
            None => Ok(Some("is missing".to_owned())),
            Some(Form::Erofs) => self.image_of_layer(diff_id),
            Some(Form::Directory) if !blob.exists() => Ok(Some("has lost its compressed form".to_owned())),
            Some(Form::Directory) => self.directory_of_layer(diff_id, blob),
        }
    }

    fn image_of_layer(&self, diff_id: &Digest) -> Result<Option<String>> {
        let Some(file) = self.store.layers().open_image(diff_id)? else { return Ok(Some("is missing".to_owned())) };
        let record = erofs::record(&file)?;
        let archive = Archive::of_image(file.try_clone().during("duplicate descriptor")?)?;
        let mut archive = Hashing { input: archive, hasher: Hasher::new(diff_id.algorithm()) };
        let home = self.ingest.temporary();
        let made = layer::write_image(&home, &mut archive);
        let digest = archive.hasher.finish();
        // The digest says more than where a reader of tar has stumbled.
        if digest != *diff_id {
            layer::remove_tree(&home)?;
            return Ok(Some("does not give its archive back".to_owned()));
        }
        let anew = made?.seal(diff_id)?;
        let again = erofs::record(&anew)?;
        // The frame holds compressed bytes, which another version may have written differently.
        let same = (record.size, record.frame_offset) == (again.size, again.frame_offset)
            && same_bytes(&file, &anew, RECORD_BYTES, record.frame_offset)?;
        layer::remove_tree(&home)?;
        Ok((!same).then(|| "is not what its archive makes".to_owned()))
    }

    fn directory_of_layer(&self, diff_id: &Digest, blob: &Path) -> Result<Option<String>> {
        let archive = Archive::of_blob(blob, Some(0))?;
        let mut archive = Hashing { input: archive, hasher: Hasher::new(diff_id.algorithm()) };
        let home = self.ingest.temporary();
        let made = layer::write_directory(&home, &mut archive);
        if archive.hasher.finish() != *diff_id {
            layer::remove_tree(&home)?;
            return Ok(Some("has a compressed form that is not its own".to_owned()));
        }
        made?;
        let directory = self.store.layers().directory(diff_id);
        let anew = home.join(directory.file_name().unwrap_or_default());
        let difference = tree::difference(&directory, &anew)?;
        layer::remove_tree(&home)?;
        Ok(difference.map(|path| format!("is not what its archive makes: {path} differs")))
    }
}

/// Errors that a disk gives for what it has lost, at the place where it was: not the machine's as a whole.
fn is_of_the_disk(errno: Errno) -> bool {
    // EUCLEAN stands for a damaged file system.
    matches!(errno, Errno::IO | Errno::UCLEAN | Errno::BADMSG | Errno::LOOP | Errno::ISDIR)
}

fn add_owner(damage: &mut Damage, owner: &Owner) {
    if !damage.images.contains(owner) {
        damage.images.push(owner.clone());
    }
}

/// A layer's compressed form.
fn kept_blob(path: &Path, digest: &Digest, size: u64) -> Result<Option<String>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut hashing = Hashing { input: &file, hasher: Hasher::new(digest.algorithm()) };
    let length = io::copy(&mut hashing, &mut io::sink()).map_err(Error::Stream)?;
    let is_right = length == size && hashing.hasher.finish() == *digest;
    Ok((!is_right).then(|| "does not have the content that its name says".to_owned()))
}

/// Hashes what is read.
struct Hashing<R> {
    input: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn same_bytes(one: &File, other: &File, from: u64, to: u64) -> Result<bool> {
    let (mut left, mut right) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        one.read_exact_at(&mut left[..count], at).map_err(Error::Stream)?;
        other.read_exact_at(&mut right[..count], at).map_err(Error::Stream)?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
