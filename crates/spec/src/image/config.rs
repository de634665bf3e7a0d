//! The configuration of an image: what its containers do by default, and the digests of its layers. Its own digest is the
//! image's id.

use super::{Error, from_bytes, null_as_default, to_bytes};
use crate::{Digest, Platform, Timestamp};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

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

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in r#"[\{\}\[\]",:a-zA-Z0-9 ]{0,60}"#) {
            let _ = ImageConfig::parse(&bytes);
            let _ = ImageConfig::parse(text.as_bytes());
        }
    }
}
