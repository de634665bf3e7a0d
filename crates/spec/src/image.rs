//! Image documents: manifest, index and configuration, in OCI's and in docker's (v2, schema 2)
//! form.
//!
//! Reading is lenient, since images in the wild are old: unknown fields are skipped, `null`
//! stands for an empty list, a date that makes no sense is no date. Writing is exact: fields
//! in the order and with the omissions that docker and buildkit use.

mod config;
mod manifest;

pub use config::{Config, Healthcheck, History, ImageConfig, RootFs};
pub use manifest::{Descriptor, Document, Index, Manifest};

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Largest manifest, index or configuration that is read, in bytes: what registries accept.
pub const DOCUMENT_SIZE_MAX: u64 = 4 << 20;

/// Media types, OCI's and docker's.
pub mod media_type {
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    pub fn is_index(media_type: &str) -> bool {
        media_type == OCI_INDEX || media_type == DOCKER_INDEX
    }

    pub fn is_manifest(media_type: &str) -> bool {
        media_type == OCI_MANIFEST || media_type == DOCKER_MANIFEST
    }

    /// Whether it is a layer's: a tar archive, compressed in a known way or not. Includes
    /// OCI's non-distributable and docker's foreign layers.
    pub fn is_layer(media_type: &str) -> bool {
        let oci = media_type
            .strip_prefix("application/vnd.oci.image.layer.v1.tar")
            .or_else(|| media_type.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.tar"));
        let docker = media_type
            .strip_prefix("application/vnd.docker.image.rootfs.diff.tar")
            .or_else(|| media_type.strip_prefix("application/vnd.docker.image.rootfs.foreign.diff.tar"));
        oci.or(docker).is_some_and(|suffix| matches!(suffix, "" | "+gzip" | "+zstd" | ".gzip" | ".zstd"))
    }
}

/// Why a document is refused; reads as a sentence after its name: `manifest has no …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    fn new(why: &str) -> Error {
        Error(why.to_owned())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    if bytes.len() as u64 > DOCUMENT_SIZE_MAX {
        return Err(Error(format!("is larger than {} MiB", DOCUMENT_SIZE_MAX >> 20)));
    }
    serde_json::from_slice(bytes).map_err(|e| Error(format!("cannot be read: {e}")))
}

fn to_bytes<T: Serialize>(document: &T) -> Vec<u8> {
    // Only maps with keys that are not text can fail, and none of these types has one.
    serde_json::to_vec(document).expect("image documents have only text keys")
}

/// `null` counts as absent: Go programs write empty lists and maps that way.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn layer_types() {
        for kind in [
            media_type::OCI_LAYER,
            media_type::OCI_LAYER_GZIP,
            media_type::OCI_LAYER_ZSTD,
            media_type::DOCKER_LAYER_GZIP,
        ] {
            assert!(media_type::is_layer(kind), "{kind}");
        }
        assert!(!media_type::is_layer(media_type::OCI_CONFIG));
        assert!(!media_type::is_layer("application/vnd.oci.image.layer.v1.tar+encrypted"));
    }
}
