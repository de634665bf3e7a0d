//! One line of a container's log as docker's json-file driver writes it:
//! `{"log":"text\n","stream":"stdout","time":"2006-01-02T15:04:05.999999999Z"}`.
//! Written by `monitor/log.rs`, read by `logs.rs`; nothing here touches a file.
//!
//! Bytes that are not UTF-8 are written as lone surrogates, `\udc80` to `\udcff` for 0x80 to
//! 0xff (as Python's `surrogateescape` names them). Docker's reader (Go's encoding/json) takes
//! such an escape and shows U+FFFD, which is what docker would have stored; ours gives the byte
//! back, so no output is ever changed. A character cut in two by the end of a read survives too.

use super::{Attributes, Entry, Stream};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use spec::Timestamp;
use std::fmt;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What attributes add to every record: `,"attrs":{…}`, nothing where there are none.
pub fn suffix(attributes: &Attributes) -> String {
    match serde_json::to_string(attributes) {
        Ok(object) if !attributes.is_empty() => format!(",\"attrs\":{object}"),
        _ => String::new(),
    }
}

/// Appends one record with its `\n`. `suffix` and `time` (RFC 3339) are formatted once for many records.
pub fn encode(out: &mut Vec<u8>, stream: Stream, suffix: &str, time: &str, text: &[u8]) {
    out.extend_from_slice(b"{\"log\":\"");
    for chunk in text.utf8_chunks() {
        escape(out, chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            out.extend_from_slice(b"\\udc");
            push_hex(out, *byte);
        }
    }
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(stream.name().as_bytes());
    out.push(b'"');
    out.extend_from_slice(suffix.as_bytes());
    out.extend_from_slice(b",\"time\":\"");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// The inside of a JSON string (RFC 8259, section 7).
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                out.extend_from_slice(b"\\u00");
                push_hex(out, byte);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn push_hex(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

/// `None`: no record, for example the torn last line of a writer that was killed.
pub fn decode(line: &[u8]) -> Option<Entry> {
    let record: Record = serde_json::from_slice(line).ok()?;
    Some(Entry { time: record.time, stream: record.stream, text: record.log.0, attributes: record.attrs })
}

/// Docker leaves out `log` when it is empty.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    log: Text,
    stream: Stream,
    #[serde(default)]
    attrs: Attributes,
    time: Timestamp,
}

/// A JSON string that need not be Unicode: serde_json gives lone surrogates to a visitor of
/// bytes in the form that UTF-8 would have for them (0xed 0xa0..0xbf 0x80..0xbf).
#[derive(Default)]
struct Text(Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Text, E> {
        Ok(Text(unescape_surrogates(bytes)))
    }
}

/// Turns U+DC80..U+DCFF back into bytes. No well-formed UTF-8 holds 0xed 0xb2/0xb3.
fn unescape_surrogates(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| *b == 0xed) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match *rest {
            [0xed, high @ (0xb2 | 0xb3), low @ 0x80..=0xbf, ref after @ ..] => {
                out.push((high & 3) << 6 | (low & 0x3f));
                rest = after;
            }
            _ => {
                out.push(0xed);
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIME: &str = "2024-05-06T07:08:09.1Z";

    fn line(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, Stream::Stderr, "", TIME, text);
        assert_eq!(out.pop(), Some(b'\n'));
        out
    }

    #[test]
    fn looks_like_dockers() {
        let expected = br#"{"log":"a\"b\\\tc\u001b\r\n","stream":"stderr","time":"2024-05-06T07:08:09.1Z"}"#;
        assert_eq!(line(b"a\"b\\\tc\x1b\r\n"), expected);
        let attributes = Attributes::from([("b".to_owned(), "\"<\n".to_owned()), ("a".to_owned(), String::new())]);
        let mut out = Vec::new();
        encode(&mut out, Stream::Stdout, &suffix(&attributes), TIME, b"x");
        let expected = br#"{"log":"x","stream":"stdout","attrs":{"a":"","b":"\"<\n"},"time":"2024-05-06T07:08:09.1Z"}"#;
        assert_eq!(out, [&expected[..], b"\n"].concat());
        assert_eq!(decode(&out).unwrap().attributes, attributes);
        assert!(line(b"\xff\xe2\x82").starts_with(br#"{"log":"\udcff\udce2\udc82","#));
        assert!(line("ü€".as_bytes()).starts_with("{\"log\":\"ü€\"".as_bytes()));
    }

    #[test]
    fn reads_dockers() {
        let entry = decode(br#"{"log":"\u003ca\u003e\ufffd\u2028\n","stream":"stdout","attrs":{"tag":"x"},"time":"2024-05-06T07:08:09Z"}"#);
        let entry = entry.unwrap();
        assert_eq!(entry.attributes["tag"], "x");
        assert_eq!(entry.text, "<a>\u{fffd}\u{2028}\n".as_bytes());
        assert_eq!((entry.stream, entry.time.seconds()), (Stream::Stdout, 1714979289));
        assert_eq!(decode(br#"{"stream":"stdout","time":"2024-05-06T07:08:09Z"}"#).unwrap().text, b"");
        for torn in [&b""[..], b"{", br#"{"log":"a"#, br#"{"log":"a","stream":"stdout"}"#, b"null"] {
            assert!(decode(torn).is_none());
        }
    }

    proptest! {
        #[test]
        fn every_byte_survives(text: Vec<u8>) {
            let line = line(&text);
            prop_assert!(!line.contains(&b'\n'));
            prop_assert!(std::str::from_utf8(&line).is_ok());
            let entry = decode(&line).unwrap();
            prop_assert_eq!(entry.text, text);
            prop_assert_eq!(entry.stream, Stream::Stderr);
        }

        #[test]
        fn text_is_what_any_reader_sees(text: String) {
            let value: serde_json::Value = serde_json::from_slice(&line(text.as_bytes())).unwrap();
            prop_assert_eq!(value["log"].as_str(), Some(&text[..]));
        }

        #[test]
        fn garbage_is_refused_quietly(line: Vec<u8>) {
            let _ = decode(&line);
        }
    }
}
