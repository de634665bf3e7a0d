//! A content digest: `sha256:` or `sha512:` and the hash in lower-case hexadecimal.
//!
//! A `Digest` is always valid, so its hexadecimal part may be used as a file name without
//! further checks. Computing one is `image::blob`'s work; this file only holds the text.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The two registered algorithms (OCI image-spec, descriptor.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Length of the hash in hexadecimal digits.
    pub fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

/// `algorithm:hex`, checked when it was made.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    text: Box<str>,
    algorithm: Algorithm,
}

impl Digest {
    /// Parses `sha256:<64 hex>` or `sha512:<128 hex>`.
    pub fn parse(text: &str) -> Result<Digest, Error> {
        let (name, hex) = text.split_once(':').ok_or(Error::Format)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            "" => return Err(Error::Format),
            _ => return Err(Error::Algorithm),
        };
        if hex.len() != algorithm.hex_length() {
            return Err(Error::Length);
        }
        if !is_lower_hex(hex) {
            return Err(Error::Format);
        }
        Ok(Digest { text: text.into(), algorithm })
    }

    /// The digest whose hash has just been computed; `hash` has 32 or 64 bytes, and anything
    /// else is a mistake of the caller.
    pub fn from_hash(hash: &[u8]) -> Digest {
        let algorithm = match hash.len() {
            32 => Algorithm::Sha256,
            64 => Algorithm::Sha512,
            other => panic!("a hash of {other} bytes belongs to no digest algorithm"),
        };
        let mut text = String::with_capacity(7 + 2 * hash.len());
        text.push_str(algorithm.name());
        text.push(':');
        push_hex(&mut text, hash);
        Digest { text: text.into(), algorithm }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hash alone, safe as a file name.
    pub fn hex(&self) -> &str {
        &self.text[7..] // both names have six letters
    }

    /// The first twelve digits of the hash, as lists print it.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

/// Why a text is no digest; the words are docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    Format,
    Length,
    Algorithm,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Format => "invalid checksum digest format",
            Error::Length => "invalid checksum digest length",
            Error::Algorithm => "unsupported digest algorithm",
        })
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Digest, Error> {
        Digest::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Digest::parse(&text).map_err(|e| serde::de::Error::custom(format!("{e}: {text:?}")))
    }
}

/// Whether `text` consists of digits and `a` to `f` alone (an empty text does).
pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts() {
        let digest = Digest::from_hash(&[0xab; 32]);
        assert_eq!(digest.as_str(), format!("sha256:{}", "ab".repeat(32)));
        assert_eq!(digest.hex(), "ab".repeat(32));
        assert_eq!(digest.short(), "abababababab");
        assert_eq!(digest.algorithm(), Algorithm::Sha256);
        assert_eq!(Digest::parse(digest.as_str()).unwrap(), digest);
        assert_eq!(Digest::from_hash(&[1; 64]).hex().len(), 128);
    }

    #[test]
    fn refusals() {
        for (text, error) in [
            ("", Error::Format),
            ("sha256", Error::Format),
            ("sha256:", Error::Length),
            ("sha256:abc", Error::Length),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", Error::Algorithm),
        ] {
            assert_eq!(Digest::parse(text), Err(error), "{text}");
        }
        assert_eq!(Digest::parse(&format!("sha256:{}", "AB".repeat(32))), Err(Error::Format));
        assert_eq!(Digest::parse(&format!("sha256:{}", "/.".repeat(32))), Err(Error::Format));
    }

    #[test]
    fn json() {
        let digest = Digest::from_hash(&[7; 32]);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"sha256:zz\"").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.to_string(), text);
                prop_assert!(!digest.hex().contains(['/', '.']));
            }
        }

        #[test]
        fn round_trip(hash in prop::array::uniform32(any::<u8>())) {
            let digest = Digest::from_hash(&hash);
            prop_assert_eq!(Digest::parse(digest.as_str()), Ok(digest));
        }
    }
}
