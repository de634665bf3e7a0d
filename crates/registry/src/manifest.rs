//! From a reference to the manifest of one image: fetched, checked against its digest, chosen from
//! an index by platform, and refused if it describes something that cannot run. `pull` calls it.

use spec::image::{Descriptor, Document, Index, Manifest, media_type};
use spec::{Digest, Platform, Reference};

use crate::Error;
use crate::answer;
use crate::client::Client;
use crate::document::{self, Fetched};

/// Indexes within indexes that are followed. One level is common, two occur.
const DEPTH_MAX: usize = 4;
/// Docker's oldest schema 2 pushes gave no better type for their configuration.
const UNTYPED_CONFIG: &str = "application/octet-stream";

/// The manifest of the image to pull.
#[derive(Debug)]
pub struct Found {
    /// What the reference names: the digest of the index, if there is one.
    pub digest: Digest,
    /// The digest of the manifest itself.
    pub manifest_digest: Digest,
    pub manifest: Manifest,
    /// As the registry sent it: what the digest is of.
    pub bytes: Vec<u8>,
    pub media_type: String,
}

/// Which image of an index is meant.
#[derive(Debug)]
pub enum Wanted {
    Platform(Platform),
    Manifest(Digest),
}

/// Fetches what `reference` names and chooses the image that is wanted.
pub fn resolve(client: &Client<'_>, reference: &Reference, wanted: &Wanted) -> Result<Found, Error> {
    let familiar = reference.familiar();
    let what = format!("manifest for {familiar}");
    let first = document::get(client, &what, document::name(reference), reference.digest())?;
    let digest = first.digest.clone();
    let mut fetched = first;
    for _ in 0..DEPTH_MAX {
        match Document::parse(&fetched.bytes) {
            Err(why) => return Err(Error::Unsupported { what, cause: format!("it {why}") }),
            Ok(Document::Manifest(manifest)) => {
                check_runnable(&manifest).map_err(|cause| Error::Unsupported { what: familiar, cause })?;
                let media_type = media_type_of(&manifest).to_owned();
                let (manifest_digest, bytes) = (fetched.digest, fetched.bytes);
                return Ok(Found { digest, manifest_digest, manifest: *manifest, bytes, media_type });
            }
            Ok(Document::Index(index)) => {
                fetched = fetch_entry(client, &what, choose(&index, wanted, &familiar)?)?;
            }
        }
    }
    Err(Error::Unsupported { what, cause: format!("it is an index nested more than {DEPTH_MAX} deep") })
}

/// The entry that is the image; where a platform is wanted, perhaps an index that has it.
fn choose<'a>(index: &'a Index, wanted: &Wanted, familiar: &str) -> Result<&'a Descriptor, Error> {
    match wanted {
        Wanted::Platform(platform) => index.choose(platform).ok_or_else(|| Error::Platform {
            reference: familiar.to_owned(),
            wanted: platform.to_string(),
            available: available(index),
        }),
        Wanted::Manifest(digest) => {
            let found = index.manifests.iter().find(|entry| entry.digest == *digest);
            found.ok_or_else(|| Error::NotFound {
                what: format!("manifest {digest}"),
                cause: format!("the index {familiar} does not list it"),
            })
        }
    }
}

fn fetch_entry(client: &Client<'_>, what: &str, entry: &Descriptor) -> Result<Fetched, Error> {
    let fetched = document::get(client, what, entry.digest.as_str(), Some(&entry.digest))?;
    if fetched.bytes.len() as u64 != entry.size {
        let cause = format!("{what} has {} bytes, not {} as its index says", fetched.bytes.len(), entry.size);
        return Err(client.protocol(cause));
    }
    Ok(fetched)
}

/// OCI manifests need not name their type; docker's do.
fn media_type_of(manifest: &Manifest) -> &str {
    if manifest.media_type.is_empty() { media_type::OCI_MANIFEST } else { &manifest.media_type }
}

/// The platforms of an index, for an error; attestations are none.
pub fn available(index: &Index) -> String {
    let mut names: Vec<String> = index
        .manifests
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(|platform| answer::printable(&platform.to_string()))
        .collect();
    names.dedup();
    if names.is_empty() { "none, it holds no images".to_owned() } else { names.join(", ") }
}

/// Whether this is a container image that the store can take. `Err` says what it is instead.
fn check_runnable(manifest: &Manifest) -> Result<(), String> {
    let config = manifest.config.media_type.as_str();
    if !matches!(config, media_type::OCI_CONFIG | media_type::DOCKER_CONFIG | UNTYPED_CONFIG) {
        let kind = if manifest.artifact_type.is_empty() { config } else { &manifest.artifact_type };
        return Err(format!("it is no container image but an artifact of type {}", answer::printable(kind)));
    }
    for layer in &manifest.layers {
        let kind = answer::printable(&layer.media_type);
        let foreign = kind.contains(".foreign.") || kind.contains(".nondistributable.");
        if foreign && !layer.urls.is_empty() {
            return Err(format!(
                "layer {} is not on the registry but at another place ({kind}); brig does not fetch such layers",
                layer.digest
            ));
        }
        if !media_type::is_layer(&layer.media_type) {
            return Err(format!("layer {} has type {kind}, which cannot be unpacked", layer.digest));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(media_type: &str) -> Descriptor {
        Descriptor::new(media_type, Digest::from_hash(&[7; 32]), 1)
    }

    fn check(config: &str, layer: &Descriptor) -> String {
        let manifest = Manifest::new(descriptor(config), vec![layer.clone()]);
        check_runnable(&manifest).err().unwrap_or_default()
    }

    #[test]
    fn images_of_both_kinds_run() {
        for config in [media_type::OCI_CONFIG, media_type::DOCKER_CONFIG, UNTYPED_CONFIG] {
            for layer in [media_type::OCI_LAYER_ZSTD, media_type::DOCKER_LAYER_GZIP] {
                assert_eq!(check(config, &descriptor(layer)), "");
            }
        }
    }

    #[test]
    fn other_things_are_named() {
        let layer = descriptor(media_type::OCI_LAYER);
        let helm = "application/vnd.cncf.helm.config.v1+json";
        assert!(check(helm, &layer).contains(&format!("artifact of type {helm}")));
        let encrypted = descriptor("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
        assert!(check(media_type::OCI_CONFIG, &encrypted).contains("cannot be unpacked"));
    }

    #[test]
    fn foreign_layers_are_refused_only_if_elsewhere() {
        let mut layer = descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        assert_eq!(check(media_type::DOCKER_CONFIG, &layer), "");
        layer.urls.push("https://example.com/layer".to_owned());
        assert!(check(media_type::DOCKER_CONFIG, &layer).contains("does not fetch such layers"));
    }

    #[test]
    fn platforms_are_listed_without_attestations() {
        let entry = |os: &str, arch: &str| Descriptor {
            platform: Some(Platform::new(os, arch, "")),
            ..descriptor(media_type::OCI_MANIFEST)
        };
        let index = Index::new(vec![entry("linux", "s390x"), entry("unknown", "unknown"), entry("linux", "arm")]);
        assert_eq!(available(&index), "linux/s390x, linux/arm/v7");
        assert!(available(&Index::new(Vec::new())).starts_with("none"));
    }
}
