//! The platform an image is for: `os/architecture/variant`, and the choice among several.
//!
//! Names are normalised to Go's (`x86_64` → `amd64`, `aarch64` → `arm64/v8`), as manifests
//! write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// As in a descriptor of an index (OCI image-spec, image-index.md).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(rename = "os.version", default, skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "crate::image::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// A normalised platform.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Platform {
        let (architecture, variant) = normalise(architecture, variant);
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        Platform { architecture, os, os_version: String::new(), os_features: Vec::new(), variant }
    }

    /// What this program was compiled for.
    pub fn host() -> Platform {
        Platform::new("linux", std::env::consts::ARCH, "")
    }

    /// Parses `os/architecture[/variant]`, `os` (with the host's architecture) or
    /// `architecture` (with the host's os).
    pub fn parse(text: &str) -> Result<Platform, Error> {
        let parts: Vec<&str> = text.split('/').collect();
        let word =
            |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if !parts.iter().all(word) {
            return Err(Error(text.to_owned()));
        }
        match parts[..] {
            [os] if KNOWN_OS.contains(&os.to_ascii_lowercase().as_str()) => {
                let host = Platform::host();
                Ok(Platform::new(os, &host.architecture, &host.variant))
            }
            [architecture] => {
                let platform = Platform::new("linux", architecture, "");
                let known = KNOWN_ARCHITECTURES.contains(&platform.architecture.as_str());
                if known { Ok(platform) } else { Err(Error(text.to_owned())) }
            }
            [os, architecture] => Ok(Platform::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Platform::new(os, architecture, variant)),
            _ => Err(Error(text.to_owned())),
        }
    }

    /// Whether the words are those of an operating system and an architecture that there are.
    pub fn is_known(&self) -> bool {
        KNOWN_OS.contains(&self.os.as_str()) && KNOWN_ARCHITECTURES.contains(&self.architecture.as_str())
    }

    /// How well an image for `candidate` runs where `self` is wanted: `None` when it does not,
    /// else the smaller the better, 0 for an exact match.
    pub fn distance(&self, candidate: &Platform) -> Option<u32> {
        let wanted = Platform::new(&self.os, &self.architecture, &self.variant);
        let candidate = Platform::new(&candidate.os, &candidate.architecture, &candidate.variant);
        if wanted.os != candidate.os {
            return None;
        }
        let (want, have) = (level(&wanted), level(&candidate));
        match (wanted.architecture.as_str(), candidate.architecture.as_str()) {
            ("amd64" | "arm" | "arm64", same) if same == wanted.architecture => want?.checked_sub(have?),
            (one, other) if one == other => (wanted.variant == candidate.variant).then_some(0),
            // A 64-bit kernel runs the 32-bit programs of its architecture, as a last resort.
            ("amd64", "386") => Some(100),
            ("arm64", "arm") => Some(100 + 8_u32.checked_sub(have?)?),
            _ => None,
        }
    }

    /// The index of the best match among `candidates`; the first of several equals.
    pub fn choose<'a>(&self, candidates: impl IntoIterator<Item = Option<&'a Platform>>) -> Option<usize> {
        let scored = candidates.into_iter().enumerate();
        let fitting = scored.filter_map(|(index, platform)| Some((self.distance(platform?)?, index)));
        fitting.min().map(|(_, index)| index)
    }
}

const KNOWN_OS: [&str; 11] =
    ["linux", "darwin", "macos", "windows", "freebsd", "netbsd", "openbsd", "solaris", "illumos", "wasi", "wasip1"];

const KNOWN_ARCHITECTURES: [&str; 12] =
    ["386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x", "wasm"];

fn normalise(architecture: &str, variant: &str) -> (String, String) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.to_ascii_lowercase();
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386" | "i486" | "i586" | "i686" | "x86", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", other) => ("amd64", other),
        ("aarch64" | "arm64", "" | "8") => ("arm64", "v8"),
        ("aarch64", other) => ("arm64", other),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        ("loongarch64", other) => ("loong64", other),
        ("powerpc64le", other) => ("ppc64le", other),
        (architecture, variant) => (architecture, variant),
    };
    (architecture.to_owned(), variant.to_owned())
}

/// The variant as a number: `v8` is 8, none is 1, and what cannot be compared is `None`.
fn level(platform: &Platform) -> Option<u32> {
    match platform.variant.as_str() {
        "" => Some(1),
        // `v8.1` and the like: only the whole number counts.
        text => text.strip_prefix('v')?.split('.').next()?.parse().ok().filter(|&n| n <= 99),
    }
}

/// The text names no platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a platform such as linux/amd64 or linux/arm64/v8", self.0)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Platform, Error> {
        Platform::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn normalised() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64/v8"),
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/arm64/8", "linux/arm64/v8"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i686", "linux/386"),
            ("arm64", "linux/arm64/v8"),
            ("s390x", "linux/s390x"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(Platform::parse("linux").unwrap(), Platform::host());
    }

    #[test]
    fn refusals() {
        for text in ["", "/", "linux/", "nonsense", "a/b/c/d", "linux/am d64", "linux//v8"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
        let message = Platform::parse("nonsense").unwrap_err().to_string();
        assert!(message.starts_with("\"nonsense\" is not a platform"), "{message}");
    }

    #[test]
    fn choice() {
        let list = |texts: &[&str]| texts.iter().map(|t| Platform::parse(t).unwrap()).collect::<Vec<_>>();
        let choose = |wanted: &str, texts: &[&str]| {
            let candidates = list(texts);
            Platform::parse(wanted).unwrap().choose(candidates.iter().map(Some))
        };
        assert_eq!(choose("linux/amd64", &["linux/arm64", "linux/amd64"]), Some(1));
        assert_eq!(choose("linux/amd64", &["windows/amd64", "linux/arm64"]), None);
        assert_eq!(choose("linux/amd64", &["linux/386", "linux/amd64"]), Some(1));
        assert_eq!(choose("linux/amd64", &["linux/386"]), Some(0));
        assert_eq!(choose("linux/amd64", &["linux/amd64/v3"]), None);
        assert_eq!(choose("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"]), Some(1));
        assert_eq!(choose("linux/arm64", &["linux/arm/v6", "linux/arm/v7"]), Some(1));
        assert_eq!(choose("linux/arm64", &["linux/arm/v7", "linux/arm64"]), Some(1));
        assert_eq!(choose("linux/arm/v6", &["linux/arm/v7", "linux/arm/v5"]), Some(1));
        assert_eq!(choose("linux/arm64", &["linux/amd64"]), None);
        assert_eq!(Platform::host().choose([None, None]), None);
    }

    #[test]
    fn json_order() {
        let platform = Platform::parse("linux/arm64").unwrap();
        let json = r#"{"architecture":"arm64","os":"linux","variant":"v8"}"#;
        assert_eq!(serde_json::to_string(&platform).unwrap(), json);
        assert_eq!(serde_json::from_str::<Platform>(json).unwrap(), platform);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z0-9/v._-]{0,20}", other in ".*") {
            let _ = Platform::parse(&other);
            if let Ok(platform) = Platform::parse(&text) {
                prop_assert_eq!(Platform::parse(&platform.to_string()).unwrap(), platform.clone());
                let _ = Platform::host().distance(&platform);
            }
        }
    }
}
