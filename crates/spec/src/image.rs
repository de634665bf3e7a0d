//! Image documents: manifest, index and configuration, in OCI's and in docker's (v2, schema 2)
//! form.
//!
//! Reading is lenient, since images in the wild are old: unknown fields are skipped, `null`
//! stands for an empty list, a date that makes no sense is no date. Writing is exact: fields
//! in the order and with the omissions that docker and buildkit use.

use crate::{Digest, Platform, Timestamp};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Docker's first schema: recognised only to be refused with a clear message.
    pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

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

/// The configuration of an image (config.md); keys in alphabetical order, as docker sorts them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    #[serde(default)]
    pub architecture: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: Config,
    #[serde(default, deserialize_with = "lenient_time", skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    #[serde(default)]
    pub os: String,
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub rootfs: RootFs,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl ImageConfig {
    /// Parses the configuration of an image that can run: one whose root is made of layers.
    pub fn parse(bytes: &[u8]) -> Result<ImageConfig, Error> {
        let config: ImageConfig = from_bytes(bytes)?;
        if !matches!(config.rootfs.kind.as_str(), "layers" | "") {
            return Err(Error::new("has a rootfs that is not made of layers"));
        }
        Ok(config)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The platform it is for; an old configuration that names none is for Linux.
    pub fn platform(&self) -> Platform {
        let os = if self.os.is_empty() { "linux" } else { &self.os };
        let mut platform = Platform::new(os, &self.architecture, &self.variant);
        platform.os_version.clone_from(&self.os_version);
        platform.os_features.clone_from(&self.os_features);
        platform
    }
}

/// The process part of an image's configuration: what a container of it does by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// `user[:group]`, names or numbers; empty means root.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `80/tcp`.
    #[serde(default, with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=value`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(default, deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    #[serde(default, with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(default, deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// Docker's extension of the OCI configuration. Durations are nanoseconds, 0 means inherited
/// or default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", word…]`, `["CMD-SHELL", line]`; empty inherits.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// How one layer (or, with `empty_layer`, only configuration) came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    #[serde(default, deserialize_with = "lenient_time", skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_false")]
    pub empty_layer: bool,
}

/// The layers, lowest first, by the digests of their uncompressed archives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() }
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

/// Go's zero time and other dates outside of what a `Timestamp` holds become `None`.
fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| Timestamp::parse(&text).ok()))
}

/// A command is a list of words; very old images have one text instead.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        One(String),
    }
    Ok(match Option::<Words>::deserialize(deserializer)? {
        Some(Words::List(list)) => list,
        Some(Words::One(word)) => vec![word],
        None => Vec::new(),
    })
}

/// A set of names, which Go writes as a map to empty objects.
mod set {
    use super::*;

    pub(super) fn serialize<S: Serializer>(names: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Empty {}
        serializer.collect_map(names.iter().map(|name| (name, Empty {})))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, IgnoredAny>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
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
    fn lenient_configuration() {
        let text = r#"{"architecture":"amd64","os":"linux","created":"0001-01-01T00:00:00Z","unknown":{"a":[1]},
            "config":{"Env":null,"Cmd":"/bin/sh","Entrypoint":null,"Volumes":null,"ExposedPorts":{"80/tcp":{}},"Labels":null,
            "ArgsEscaped":true,"Hostname":"x","Healthcheck":{"Test":["CMD","true"],"Interval":5000000000}},
            "rootfs":{"type":"layers","diff_ids":null},"history":[{"created_by":"x","empty_layer":true}]}"#;
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.created, None);
        assert_eq!(config.config.cmd, ["/bin/sh"]);
        assert!(config.config.env.is_empty() && config.config.entrypoint.is_empty());
        assert!(config.config.exposed_ports.contains("80/tcp"));
        assert_eq!(config.config.healthcheck.as_ref().unwrap().interval, 5_000_000_000);
        assert!(config.history[0].empty_layer);
        let again = String::from_utf8(config.to_bytes()).unwrap();
        let expected = concat!(
            r#"{"architecture":"amd64","config":{"ExposedPorts":{"80/tcp":{}},"Cmd":["/bin/sh"],"#,
            r#""Healthcheck":{"Test":["CMD","true"],"Interval":5000000000}},"#,
            r#""history":[{"created_by":"x","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#
        );
        assert_eq!(again, expected);
        assert!(ImageConfig::parse(br#"{"rootfs":{"type":"squash"}}"#).is_err());
        assert_eq!(ImageConfig::parse(b"{\"config\":null}").unwrap().config, Config::default());
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

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in r#"[\{\}\[\]",:a-zA-Z0-9 ]{0,60}"#) {
            let _ = Document::parse(&bytes);
            let _ = ImageConfig::parse(text.as_bytes());
            let _ = Document::parse(text.as_bytes());
        }
    }
}
