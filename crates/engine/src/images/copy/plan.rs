//! What a copy consists of: all documents that are reached from one, and the blobs that they name. Made before anything
//! is written, so that what is broken is found first.

use crate::error::{Error, Result};
use registry::Platforms;
use spec::image::{DOCUMENT_SIZE_MAX, Descriptor, Document as Parsed, Index, media_type};
use spec::{Digest, Platform};
use std::collections::HashSet;

/// Indexes within indexes that are followed.
const DEPTH_MAX: usize = 8;
/// Documents of one copy, which are in memory at once.
const DOCUMENTS_MAX: usize = 1000;

/// See the module.
pub struct Plan {
    /// Each once: configurations and layers.
    pub blobs: Vec<Descriptor>,
    /// What is named comes before what names it; the last is the root.
    pub documents: Vec<Document>,
    pub root: Digest,
}

/// A manifest or an index.
pub struct Document {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

type Read<'a> = &'a dyn Fn(&Descriptor) -> Result<Vec<u8>>;

/// Follows `root` down. Of an index with one platform wanted only that image counts, and becomes the root.
pub fn plan(root: Descriptor, platforms: &Platforms, read: Read<'_>) -> Result<Plan> {
    let root = match platforms {
        Platforms::All => root,
        Platforms::One(platform) => choose(root, platform.clone().unwrap_or_else(Platform::host), read)?,
    };
    let mut plan = Plan { blobs: Vec::new(), documents: Vec::new(), root: root.digest.clone() };
    let mut seen = HashSet::new();
    plan.follow(root, 0, &mut seen, read)?;
    Ok(plan)
}

fn choose(root: Descriptor, platform: Platform, read: Read<'_>) -> Result<Descriptor> {
    let mut found = root;
    for _ in 0..DEPTH_MAX {
        let Parsed::Index(index) = parse(&found, &checked(&found, read)?)? else { return Ok(found) };
        found = index.choose(&platform).cloned().ok_or_else(|| nothing_for(&platform, &index))?;
    }
    Err(Error::Failed(format!("manifest {} is nested more than {DEPTH_MAX} deep", found.digest)))
}

fn nothing_for(platform: &Platform, index: &Index) -> Error {
    let platforms = index.manifests.iter().filter_map(|manifest| manifest.platform.as_ref());
    let names: Vec<String> = platforms.filter(|platform| platform.os != "unknown").map(ToString::to_string).collect();
    Error::NotFound(format!("there is no image for {platform}; choose with --platform one of: {}", names.join(", ")))
}

fn checked(descriptor: &Descriptor, read: Read<'_>) -> Result<Vec<u8>> {
    if descriptor.size > DOCUMENT_SIZE_MAX {
        return Err(Error::Failed(format!("manifest {} is too large", descriptor.digest)));
    }
    let bytes = read(descriptor)?;
    if bytes.len() as u64 != descriptor.size {
        let (digest, actual, size) = (&descriptor.digest, bytes.len(), descriptor.size);
        return Err(Error::Failed(format!("manifest {digest} has {actual} bytes, not {size} as is said of it")));
    }
    Ok(bytes)
}

fn parse(descriptor: &Descriptor, bytes: &[u8]) -> Result<Parsed> {
    Parsed::parse(bytes).map_err(|why| Error::Failed(format!("manifest {} {why}", descriptor.digest)))
}

impl Plan {
    fn follow(
        &mut self,
        descriptor: Descriptor,
        depth: usize,
        seen: &mut HashSet<Digest>,
        read: Read<'_>,
    ) -> Result<()> {
        if !seen.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        if depth > DEPTH_MAX || seen.len() > DOCUMENTS_MAX {
            let limits = format!("{DEPTH_MAX} deep or {DOCUMENTS_MAX} documents");
            return Err(Error::Failed(format!("manifest {} leads to more than {limits}", descriptor.digest)));
        }
        let bytes = checked(&descriptor, read)?;
        let own_type = match parse(&descriptor, &bytes)? {
            Parsed::Manifest(manifest) => {
                for blob in std::iter::once(manifest.config).chain(manifest.layers) {
                    // What lies elsewhere by its descriptor stays there.
                    let is_new = blob.urls.is_empty() && !self.blobs.iter().any(|known| known.digest == blob.digest);
                    if is_new {
                        self.blobs.push(blob);
                    }
                }
                if manifest.media_type.is_empty() { media_type::OCI_MANIFEST.to_owned() } else { manifest.media_type }
            }
            Parsed::Index(index) => {
                for manifest in index.manifests {
                    self.follow(manifest, depth + 1, seen, read)?;
                }
                if index.media_type.is_empty() { media_type::OCI_INDEX.to_owned() } else { index.media_type }
            }
        };
        let descriptor = Descriptor::new(&own_type, descriptor.digest, descriptor.size);
        self.documents.push(Document { descriptor, bytes });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::digest::Algorithm;
    use spec::image::Manifest;
    use std::collections::HashMap;

    fn blob(byte: u8) -> Descriptor {
        Descriptor::new(media_type::OCI_LAYER, Digest::from_hash(&[byte; 32]), 1)
    }

    fn add(documents: &mut HashMap<Digest, Vec<u8>>, kind: &str, bytes: Vec<u8>) -> Descriptor {
        let digest = image::blob::digest_of(Algorithm::Sha256, &bytes);
        let descriptor = Descriptor::new(kind, digest.clone(), bytes.len() as u64);
        documents.insert(digest, bytes);
        descriptor
    }

    #[test]
    fn what_is_named_comes_first() {
        let mut documents = HashMap::new();
        let mut member = |architecture: &str, layer: u8| {
            let bytes = Manifest::new(blob(0), vec![blob(layer)]).to_bytes();
            let mut descriptor = add(&mut documents, media_type::OCI_MANIFEST, bytes);
            descriptor.platform = Some(Platform::new("linux", architecture, ""));
            descriptor
        };
        let members = vec![member("amd64", 1), member("s390x", 2)];
        let (one, root) = (members[1].clone(), Index::new(members).to_bytes());
        let root = add(&mut documents, media_type::OCI_INDEX, root);
        let read = |descriptor: &Descriptor| Ok(documents[&descriptor.digest].clone());
        let all = plan(root.clone(), &Platforms::All, &read).unwrap();
        assert_eq!((all.blobs.len(), all.documents.len()), (3, 3));
        assert_eq!(all.documents[2].descriptor.digest, root.digest);
        let s390x = Platforms::One(Some(Platform::new("linux", "s390x", "")));
        let chosen = plan(root.clone(), &s390x, &read).unwrap();
        assert_eq!((chosen.root, chosen.documents.len(), chosen.blobs.len()), (one.digest, 1, 2));
        let riscv = Platforms::One(Some(Platform::new("linux", "riscv64", "")));
        let error = plan(root, &riscv, &read).err().unwrap().to_string();
        assert!(error.ends_with("one of: linux/amd64, linux/s390x"), "{error}");
    }
}
