//! Bytes and 64-bit numbers as protobuf's JSON form writes them (proto3, "JSON Mapping"): bytes in base64, numbers as
//! text. Bundles are written so; cosign's older annotations use base64 too.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};

/// Bytes in base64 with padding, in the one form that stands for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text).map(Bytes).ok_or_else(|| serde::de::Error::custom("no base64"))
    }
}

pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

pub fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A number that is not negative, as text or plain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Plain(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Plain(number) => Ok(Number(number)),
            Form::Text(text) => text.parse().map(Number).map_err(|_| serde::de::Error::custom("no number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_each() {
        let bytes = |text: &str| serde_json::from_str::<Bytes>(text).ok().map(|bytes| bytes.0);
        assert_eq!(bytes("\"YQ==\"").as_deref(), Some(&b"a"[..]));
        for text in ["\"YQ\"", "\"YR==\"", "\"YQ==\\n\"", "\" YQ==\"", "1", "null", "[97]"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        let number = |text: &str| serde_json::from_str::<Number>(text).ok().map(|number| number.0);
        assert_eq!((number("7"), number("\"7\"")), (Some(7), Some(7)));
        for text in ["-1", "\"-1\"", "\"\"", "1.5", "null", "\"18446744073709551616\""] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
