//! Manifests and indexes: which blobs make up an image, and which images there are for which platform. The two are told apart
//! by content, and one that could be read as both is refused.

use super::{Error, from_bytes, media_type, null_as_default, to_bytes};
use crate::{Digest, Platform};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where another document or blob is and how to check it (OCI image-spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
}

impl Descriptor {
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: String::new(),
        }
    }
}

/// One image for one platform (manifest.md; docker's v2 schema 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    pub config: Descriptor,
    #[serde(deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An OCI manifest.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.to_owned(),
            artifact_type: String::new(),
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Parses a manifest; an index is an error.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, Error> {
        match Document::parse(bytes)? {
            Document::Manifest(manifest) => Ok(*manifest),
            Document::Index(_) => Err(Error::new("is an index, not the manifest of one image")),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

/// Several images, mostly one for each platform (image-index.md; docker's manifest list).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    #[serde(deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index.
    pub fn new(manifests: Vec<Descriptor>) -> Index {
        Index {
            schema_version: 2,
            media_type: media_type::OCI_INDEX.to_owned(),
            artifact_type: String::new(),
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Parses an index; a manifest is an error.
    pub fn parse(bytes: &[u8]) -> Result<Index, Error> {
        match Document::parse(bytes)? {
            Document::Index(index) => Ok(index),
            Document::Manifest(_) => Err(Error::new("is the manifest of one image, not an index")),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The descriptor of the best image for `wanted`. An entry without a platform counts only
    /// when no other fits; attestations (`unknown/unknown`) never do.
    pub fn choose(&self, wanted: &Platform) -> Option<&Descriptor> {
        let position = wanted.choose(self.manifests.iter().map(|m| m.platform.as_ref()));
        let fallback = || self.manifests.iter().position(|m| m.platform.is_none());
        position.or_else(fallback).map(|index| &self.manifests[index])
    }
}

/// What a registry answers when asked for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    Manifest(Box<Manifest>),
    Index(Index),
}

impl Document {
    /// Parses either kind, told apart by content. A document that can be read as both is
    /// refused, since two readers would see two images (CVE-2021-41190), and so is one whose
    /// `mediaType` contradicts its content.
    pub fn parse(bytes: &[u8]) -> Result<Document, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            schema_version: Option<u32>,
            #[serde(default, deserialize_with = "null_as_default")]
            media_type: String,
            manifests: Option<IgnoredAny>,
            config: Option<IgnoredAny>,
            layers: Option<IgnoredAny>,
            fs_layers: Option<IgnoredAny>,
        }
        let shape: Shape = from_bytes(bytes)?;
        if shape.schema_version == Some(1) || shape.fs_layers.is_some() {
            return Err(Error::new("has the outdated schema 1; push the image again with a current docker or skopeo"));
        }
        if shape.schema_version != Some(2) {
            return Err(Error::new("has no schemaVersion 2"));
        }
        let looks_like_manifest = shape.config.is_some() || shape.layers.is_some();
        match (looks_like_manifest, shape.manifests.is_some()) {
            (true, true) => Err(Error::new("is a manifest and an index at once")),
            (true, false) if media_type::is_index(&shape.media_type) => {
                Err(Error::new("calls itself an index but is a manifest"))
            }
            (false, true) if media_type::is_manifest(&shape.media_type) => {
                Err(Error::new("calls itself a manifest but is an index"))
            }
            (true, false) => Ok(Document::Manifest(from_bytes(bytes)?)),
            // An index without any image, `manifests: null`, is what an empty Go program writes.
            _ => Ok(Document::Index(from_bytes(bytes)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DOCUMENT_SIZE_MAX;
    use super::*;
    use proptest::prelude::*;

    fn digest(byte: u8) -> Digest {
        Digest::from_hash(&[byte; 32])
    }

    #[test]
    fn manifest_is_exact() {
        let manifest = Manifest::new(
            Descriptor::new(media_type::OCI_CONFIG, digest(1), 7),
            vec![Descriptor::new(media_type::OCI_LAYER_GZIP, digest(2), 9)],
        );
        let bytes = manifest.to_bytes();
        let expected = format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":7}},"#,
                r#""layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":9}}]}}"#
            ),
            digest(1),
            digest(2)
        );
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        assert!(Index::parse(&bytes).is_err());
    }

    #[test]
    fn documents_that_contradict_themselves() {
        let one = digest(1);
        for (text, why) in [
            ("{}", "no schemaVersion"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "at once"),
            (r#"{"schemaVersion":2,"layers":[{"size":-1}]}"#, "cannot be read"),
            (
                &format!(r#"{{"schemaVersion":2,"manifests":[],"mediaType":"{}"}}"#, media_type::OCI_MANIFEST),
                "calls itself",
            ),
            (
                &format!(r#"{{"schemaVersion":2,"config":{{"digest":"{one}","size":-5}},"layers":[]}}"#),
                "cannot be read",
            ),
            ("[", "cannot be read"),
            (&format!("{}{}", "[".repeat(9999), "]".repeat(9999)), "cannot be read"),
        ] {
            let error = Document::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let large = vec![b' '; DOCUMENT_SIZE_MAX as usize + 1];
        assert!(Document::parse(&large).unwrap_err().to_string().contains("4 MiB"));
    }

    #[test]
    fn choice_skips_attestations() {
        let with = |byte, os: &str, arch: &str| Descriptor {
            platform: Some(Platform::new(os, arch, "")),
            ..Descriptor::new(media_type::OCI_MANIFEST, digest(byte), 1)
        };
        let index =
            Index::new(vec![with(1, "unknown", "unknown"), with(2, "linux", "arm64"), with(3, "linux", "amd64")]);
        let choose = |text: &str| index.choose(&Platform::parse(text).unwrap()).map(|d| d.digest.clone());
        assert_eq!(choose("linux/amd64"), Some(digest(3)));
        assert_eq!(choose("linux/arm64/v8"), Some(digest(2)));
        assert_eq!(choose("linux/s390x"), None);
        assert_eq!(Index::parse(&index.to_bytes()).unwrap(), index);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in r#"[\{\}\[\]",:a-zA-Z0-9 ]{0,60}"#) {
            let _ = Document::parse(&bytes);
            let _ = Document::parse(text.as_bytes());
        }
    }
}
