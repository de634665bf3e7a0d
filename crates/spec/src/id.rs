//! The id of a container: 64 hexadecimal digits, chosen at random when it is created.
//!
//! The random bytes come from the caller, since this crate does no I/O.

use crate::digest::{is_lower_hex, push_hex};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// 64 lower-case hexadecimal digits; safe as a file name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(Box<str>);

impl ContainerId {
    /// An id made of 32 bytes from getrandom(2).
    ///
    /// As docker does, an id whose short form is all digits is avoided (a host name of digits
    /// alone is taken for an address by some programs): then the first digit becomes a letter.
    pub fn random(bytes: [u8; 32]) -> ContainerId {
        let mut text = String::with_capacity(64);
        push_hex(&mut text, &bytes);
        if text.as_bytes()[..12].iter().all(u8::is_ascii_digit) {
            let letter = char::from(b'a' + bytes[0] % 6);
            text.replace_range(..1, letter.encode_utf8(&mut [0; 4]));
        }
        ContainerId(text.into())
    }

    /// Takes exactly 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<ContainerId, Error> {
        if text.len() == 64 && is_lower_hex(text) { Ok(ContainerId(text.into())) } else { Err(Error) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, as lists print it and as the container's host name.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a container id has 64 hexadecimal digits")
    }
}

impl std::error::Error for Error {}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContainerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<ContainerId, Error> {
        ContainerId::parse(text)
    }
}

impl Serialize for ContainerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContainerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ContainerId, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        ContainerId::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_and_back() {
        let id = ContainerId::random([0xc5; 32]);
        assert_eq!(id.as_str(), "c5".repeat(32));
        assert_eq!(id.short(), "c5c5c5c5c5c5");
        assert_eq!(ContainerId::parse(id.as_str()), Ok(id.clone()));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }

    #[test]
    fn short_form_is_never_a_number() {
        let id = ContainerId::random([0x12; 32]);
        assert!(id.as_str().starts_with(|c: char| c.is_ascii_lowercase()), "{id}");
        assert_eq!(id.as_str().len(), 64);
    }

    #[test]
    fn refusals() {
        for text in ["", "abc", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65)] {
            assert_eq!(ContainerId::parse(text), Err(Error), "{text}");
        }
    }
}
