//! `index.json` of the store: which images there are and what they are called. One entry per
//! name, and one without a name for an image that lost its last. Only `store` and `gc` use it.
//!
//! `org.opencontainers.image.ref.name` holds the name as users write it, so that skopeo and others
//! find it (`oci:/var/lib/brig/images:busybox:latest`); two annotations of our own hold the full
//! name and the image's id, so that looking up takes no other file.

use crate::blob;
use crate::error::{Error, Result};
use spec::image::{Descriptor, Index, Manifest};
use spec::{Digest, Reference};
use std::path::Path;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const FULL_NAME: &str = "dev.brig.image.name";
const IMAGE_ID: &str = "dev.brig.image.id";

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Option<Reference>,
    /// Digest of the configuration.
    pub(crate) id: Digest,
    /// Of the manifest; its annotations are those above.
    pub(crate) manifest: Descriptor,
}

impl Entry {
    pub(crate) fn new(name: Option<Reference>, id: Digest, media_type: &str, manifest: Digest, size: u64) -> Entry {
        Entry { name, id, manifest: Descriptor::new(media_type, manifest, size) }
    }

    fn to_descriptor(&self) -> Descriptor {
        let mut descriptor = self.manifest.clone();
        descriptor.annotations.insert(IMAGE_ID.to_owned(), self.id.to_string());
        for key in [REF_NAME, FULL_NAME] {
            descriptor.annotations.remove(key);
        }
        if let Some(name) = &self.name {
            descriptor.annotations.insert(REF_NAME.to_owned(), name.familiar());
            descriptor.annotations.insert(FULL_NAME.to_owned(), name.to_string());
        }
        descriptor
    }

    /// What another tool wrote lacks our annotations; `None` when it is no image we know.
    fn from_descriptor(descriptor: Descriptor, blobs: &Path) -> Option<Entry> {
        let annotation = |key: &str| descriptor.annotations.get(key).map(String::as_str);
        let name = annotation(FULL_NAME).or_else(|| annotation(REF_NAME));
        let name = name.and_then(|text| Reference::parse(text).ok());
        let id = match annotation(IMAGE_ID).and_then(|text| Digest::parse(text).ok()) {
            Some(id) => id,
            None => {
                let digest = &descriptor.digest;
                let path = blobs.join(digest.algorithm().name()).join(digest.hex());
                Manifest::parse(&blob::read_document(&path).ok()?).ok()?.config.digest
            }
        };
        Some(Entry { name, id, manifest: descriptor })
    }
}

/// Reads the entries; `None` when there is no such file.
pub(crate) fn read(images: &Path) -> Result<Option<Vec<Entry>>> {
    let path = images.join("index.json");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    // Not `Index::parse`: a store may hold more names than a registry's document may be large.
    let index: Index = serde_json::from_slice(&bytes).map_err(|why| Error::invalid(path.display().to_string(), why))?;
    let blobs = images.join("blobs");
    Ok(Some(index.manifests.into_iter().filter_map(|d| Entry::from_descriptor(d, &blobs)).collect()))
}

/// Replaces the file. The caller holds the index lock.
pub(crate) fn write(images: &Path, entries: &[Entry]) -> Result<()> {
    let index = Index::new(entries.iter().map(Entry::to_descriptor).collect());
    blob::write_document(&images.join("index.json"), &index.to_bytes())
}

/// Gives `name` to the image of `entry`, taking it from whichever had it. An image that loses
/// its last name stays, nameless.
pub(crate) fn put(entries: &mut Vec<Entry>, entry: Entry) {
    if let Some(name) = &entry.name
        && let Some(position) = entries.iter().position(|e| e.name.as_ref() == Some(name))
    {
        let old = &entries[position];
        if old.manifest.digest == entry.manifest.digest {
            return;
        }
        let others = entries.iter().enumerate().filter(|(i, _)| *i != position).map(|(_, e)| e);
        let last = !others.chain([&entry]).any(|e| e.id == old.id);
        if last {
            entries[position].name = None;
        } else {
            entries.remove(position);
        }
    }
    let nameless = |e: &Entry| e.name.is_none() && e.manifest.digest == entry.manifest.digest;
    if entry.name.is_some() {
        entries.retain(|e| !nameless(e));
    } else if entries.iter().any(|e| e.manifest.digest == entry.manifest.digest) {
        return;
    }
    entries.push(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, byte: u8) -> Entry {
        let name = (!name.is_empty()).then(|| Reference::parse(name).unwrap());
        Entry::new(name, Digest::from_hash(&[byte; 32]), "type", Digest::from_hash(&[byte + 100; 32]), 5)
    }

    fn names(entries: &[Entry]) -> Vec<(String, u8)> {
        let hex = |d: &Digest| u8::from_str_radix(&d.hex()[..2], 16).unwrap();
        entries.iter().map(|e| (e.name.as_ref().map_or(String::new(), Reference::familiar), hex(&e.id))).collect()
    }

    #[test]
    fn a_name_means_one_image() {
        let mut entries = Vec::new();
        put(&mut entries, entry("a", 1));
        put(&mut entries, entry("b", 1));
        put(&mut entries, entry("a", 2));
        assert_eq!(names(&entries), [("b:latest".to_owned(), 1), ("a:latest".to_owned(), 2)]);
        put(&mut entries, entry("b", 2));
        assert_eq!(
            names(&entries),
            [(String::new(), 1), ("a:latest".to_owned(), 2), ("b:latest".to_owned(), 2)],
            "the image that lost its last name stays"
        );
        put(&mut entries, entry("c", 1));
        assert_eq!(names(&entries).len(), 3, "and is nameless no more");
        put(&mut entries, entry("", 1));
        assert_eq!(names(&entries).len(), 3);
    }

    #[test]
    fn written_and_read_back() {
        let scratch = crate::testing::Scratch::new("index");
        assert_eq!(read(scratch.path()).unwrap(), None);
        let entries = vec![entry("localhost:5000/a:b", 1), entry("", 2)];
        write(scratch.path(), &entries).unwrap();
        let back = read(scratch.path()).unwrap().unwrap();
        assert_eq!(names(&back), names(&entries));
        assert_eq!(back[0].name, entries[0].name);
        assert_eq!(back[1].manifest.digest, entries[1].manifest.digest);
        std::fs::write(scratch.path().join("index.json"), "{").unwrap();
        assert!(matches!(read(scratch.path()), Err(Error::Invalid { .. })));
    }
}
