//! The name of an image as docker reads it: `[registry/]repository[:tag][@digest]`.
//!
//! A parsed reference is complete: `busybox` becomes `docker.io/library/busybox:latest`. The
//! grammar is distribution/reference's. Ids and id prefixes are no references; the store
//! looks for them first.

use crate::digest::{self, Digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The registry meant when a name gives none.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// Longest repository in bytes, without the registry.
pub const REPOSITORY_LENGTH_MAX: usize = 255;
/// Longest tag in bytes.
pub const TAG_LENGTH_MAX: usize = 128;

/// A normalised reference. Without a digest it has a tag, unless made by
/// [`Reference::parse_untagged`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: Box<str>,
    repository: Box<str>,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses a name; when it has neither tag nor digest, the tag is `latest`.
    pub fn parse(text: &str) -> Result<Reference, Error> {
        let mut reference = Reference::parse_untagged(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some("latest".into());
        }
        Ok(reference)
    }

    /// Like `parse`, but adds no tag: for commands that mean all tags of a repository.
    pub fn parse_untagged(text: &str) -> Result<Reference, Error> {
        if text.is_empty() {
            return Err(Error::Format);
        }
        if text.len() == 64 && digest::is_lower_hex(text) {
            return Err(Error::LooksLikeId(text.to_owned()));
        }
        let (registry, remainder) = split_registry(text);
        let remote = remainder.split(':').next().unwrap_or(remainder);
        if remote.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Error::Uppercase(remote.to_owned()));
        }
        let (name_and_tag, digest) = match remainder.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (remainder, None),
        };
        let (name, tag) = match name_and_tag.split_once(':') {
            Some((name, tag)) if is_tag(tag) => (name, Some(tag.into())),
            Some(_) => return Err(Error::Format),
            None => (name_and_tag, None),
        };
        let repository = match registry {
            DEFAULT_REGISTRY if !name.contains('/') => format!("library/{name}"),
            _ => name.to_owned(),
        };
        if !is_registry(registry) || !repository.split('/').all(is_path_component) {
            return Err(Error::Format);
        }
        if repository.len() > REPOSITORY_LENGTH_MAX {
            return Err(Error::TooLong);
        }
        Ok(Reference { registry: registry.into(), repository: repository.into(), tag, digest })
    }

    /// `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// `library/busybox`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `docker.io/library/busybox`, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name without tag and digest as users write it: `busybox`, `user/tool`,
    /// `localhost:5000/tool`.
    pub fn familiar_name(&self) -> String {
        if &*self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        let official = self.repository.strip_prefix("library/").filter(|rest| !rest.contains('/'));
        let short = official.unwrap_or(&self.repository);
        // `docker.io/ghcr.io/x` must not be taken for what is at ghcr.io.
        if split_registry(short) == (DEFAULT_REGISTRY, short) { short.to_owned() } else { self.name() }
    }

    /// The whole reference as users write it: `busybox:latest`, `busybox@sha256:…`.
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        self.push_suffix(&mut text);
        text
    }

    /// The same repository with this digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn push_suffix(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
    }
}

/// Why a text is no reference; the words are docker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    Format,
    Uppercase(String),
    TooLong,
    LooksLikeId(String),
    Digest(digest::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Format => f.write_str("invalid reference format"),
            Error::Uppercase(name) => {
                write!(f, "invalid reference format: repository name ({name}) must be lowercase")
            }
            Error::TooLong => {
                write!(f, "repository name must not be more than {REPOSITORY_LENGTH_MAX} characters")
            }
            Error::LooksLikeId(text) => {
                write!(f, "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
            }
            Error::Digest(error) => write!(f, "invalid reference format: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.name();
        self.push_suffix(&mut text);
        f.pad(&text)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference, Error> {
        Reference::parse(text)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Reference::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The part before the first slash is a registry when it is `localhost`, or contains a dot, a
/// colon or an upper-case letter (which no repository may have).
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some(("index.docker.io", rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest))
            if first == "localhost" || first.bytes().any(|b| b == b'.' || b == b':' || b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    }
}

/// A digest of an unknown algorithm is a digest nevertheless, so that the message says so.
fn parse_digest(text: &str) -> Result<Digest, Error> {
    let plausible = text.split_once(':').is_some_and(|(algorithm, hex)| {
        let start = algorithm.starts_with(|c: char| c.is_ascii_alphabetic());
        let words = algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+.".contains(&b));
        start && words && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    if !plausible {
        return Err(Error::Format);
    }
    Digest::parse(text).map_err(Error::Digest)
}

/// host[:port], where the host is a domain name, an IPv4 address or `[IPv6]`.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                return false;
            }
            ("", rest.strip_prefix(':').or(if rest.is_empty() { None } else { Some("") }))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port_fits = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let bracketed = text.starts_with('[');
    port_fits && (bracketed || host.split('.').all(is_host_label))
}

fn is_host_label(label: &str) -> bool {
    let edges = |c: char| c.is_ascii_alphanumeric();
    label.starts_with(edges) && label.ends_with(edges) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `[a-z0-9]+` words joined by one of `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut rest = component.as_bytes();
    loop {
        let length = rest.iter().take_while(|&&b| word(b)).count();
        if length == 0 {
            return false;
        }
        rest = &rest[length..];
        rest = match rest {
            [] => return true,
            [b'.', rest @ ..] | [b'_', b'_', rest @ ..] | [b'_', rest @ ..] => rest,
            [b'-', ..] => &rest[rest.iter().take_while(|&&b| b == b'-').count()..],
            _ => return false,
        };
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match tag.as_bytes() {
        [first, rest @ ..] if word(*first) => {
            tag.len() <= TAG_LENGTH_MAX && rest.iter().all(|&b| word(b) || b == b'.' || b == b'-')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

    #[test]
    fn normalised() {
        for (text, full, familiar) in [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("user/tool", "docker.io/user/tool:latest", "user/tool:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"),
            ("localhost/tool", "localhost/tool:latest", "localhost/tool:latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest", "ghcr.io/a/b/c:latest"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest", "127.0.0.1:5000/x:latest"),
            ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
            ("[::1]/x", "[::1]/x:latest", "[::1]/x:latest"),
            ("HOST/x", "HOST/x:latest", "HOST/x:latest"),
            ("ns/a--b__c.d_e", "docker.io/ns/a--b__c.d_e:latest", "ns/a--b__c.d_e:latest"),
            ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("docker.io/ghcr.io/x", "docker.io/ghcr.io/x:latest", "docker.io/ghcr.io/x:latest"),
            ("docker.io/localhost/x", "docker.io/localhost/x:latest", "docker.io/localhost/x:latest"),
            ("docker.io/index.docker.io/x", "docker.io/index.docker.io/x:latest", "docker.io/index.docker.io/x:latest"),
            ("x:Tag_.-1", "docker.io/library/x:Tag_.-1", "x:Tag_.-1"),
        ] {
            let reference = Reference::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(reference.to_string(), full, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(Reference::parse(familiar).unwrap(), reference, "{text}");
        }
    }

    #[test]
    fn digests() {
        let by_digest = Reference::parse(&format!("busybox@{HASH}")).unwrap();
        assert_eq!(by_digest.tag(), None);
        assert_eq!(by_digest.digest().unwrap().as_str(), HASH);
        assert_eq!(by_digest.familiar(), format!("busybox@{HASH}"));
        let both = Reference::parse(&format!("localhost:5000/x:v1@{HASH}")).unwrap();
        assert_eq!(both.to_string(), format!("localhost:5000/x:v1@{HASH}"));
        let unknown = Reference::parse("x@md5:d41d8cd98f00b204e9800998ecf8427e").unwrap_err();
        assert_eq!(unknown, Error::Digest(digest::Error::Algorithm));
    }

    #[test]
    fn refusals() {
        for text in [
            "",
            ":",
            "@",
            "/x",
            "x/",
            "x//y",
            "x:",
            "x:-a",
            "-x",
            "x-",
            "x..y",
            "x___y",
            "_x",
            "x y",
            "x@",
            "x@sha256:1",
            "http://x/y",
            "x.io:/y",
            "x.io:a/y",
            "-a.b/x",
            "[g]/x",
            "[::1]x/y",
            "[]/x",
            "é",
            "x:a:b",
            "a_b.c/x",
            "../x",
            "x/../y",
            "localhost:5000",
        ] {
            let result = Reference::parse(text);
            if text == "localhost:5000" {
                // One component: a name with a tag, as docker reads it.
                assert_eq!(result.unwrap().familiar(), "localhost:5000");
            } else {
                assert_eq!(result, Err(Error::Format), "{text}");
            }
        }
        assert!(Reference::parse(&format!("x:{}", "a".repeat(128))).is_ok());
        assert_eq!(Reference::parse(&format!("x:{}", "a".repeat(129))), Err(Error::Format));
        assert_eq!(Reference::parse(&"a".repeat(300)), Err(Error::TooLong));
        assert!(matches!(Reference::parse(&"a".repeat(64)), Err(Error::LooksLikeId(_))));
    }

    #[test]
    fn uppercase_says_so() {
        let message = |text: &str| Reference::parse(text).unwrap_err().to_string();
        assert_eq!(message("BusyBox"), "invalid reference format: repository name (BusyBox) must be lowercase");
        assert_eq!(message("a.io/X/y:Z"), "invalid reference format: repository name (X/y) must be lowercase");
    }

    #[test]
    fn untagged_stays_untagged() {
        let untagged = Reference::parse_untagged("a/b").unwrap();
        assert_eq!((untagged.tag(), untagged.to_string().as_str()), (None, "docker.io/a/b"));
        assert_eq!(untagged.familiar_name(), "a/b");
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = Reference::parse(&text);
        }

        #[test]
        fn both_forms_parse_back(text in "([a-zA-Z.:\\[\\]-]{1,8}/)?[a-z0-9._/-]{1,20}(:[A-Za-z0-9._-]{1,8})?") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference.clone());
                prop_assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference);
            }
        }
    }
}
