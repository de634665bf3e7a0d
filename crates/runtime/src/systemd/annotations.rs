//! Properties of the unit that a bundle asks for by annotation: `org.systemd.property.NAME`, with a value in the text form of
//! GVariant (GLib, "GVariant Text Format"), as much of it as properties of a scope need. An invention of runc's.

use super::message::Value;
use crate::error::{Result, invalid};
use std::collections::BTreeMap;

const PREFIX: &str = "org.systemd.property.";

/// In the order of their names. What cannot be read is an error: it was asked for.
pub(super) fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<(String, Value)>> {
    let ours = annotations.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    ours.map(|(name, value)| property(name, value)).collect()
}

fn property(name: &str, text: &str) -> Result<(String, Value)> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid(format!("annotation {PREFIX}{name}: no name of a property")));
    }
    let unreadable = || {
        invalid(format!(
            "annotation {PREFIX}{name}: {text} is no value: give 'a text', ['several', 'texts'], true or a number (uint64 5)"
        ))
    };
    // Times are written in seconds and kept in microseconds.
    if let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        let seconds: f64 = number_of(text).1.parse().map_err(|_| unreadable())?;
        if !(0.0..1e12).contains(&seconds) {
            return Err(unreadable());
        }
        return Ok((format!("{stem}USec"), Value::Number((seconds * 1e6) as u64)));
    }
    Ok((name.to_owned(), value(text.trim()).ok_or_else(unreadable)?))
}

fn value(text: &str) -> Option<Value> {
    if let Some(inner) = text.strip_prefix('[') {
        let items = inner.strip_suffix(']')?.split(',').map(|item| quoted(item.trim()));
        return items.collect::<Option<Vec<String>>>().map(Value::Texts);
    }
    if let Some(text) = quoted(text) {
        return Some(Value::Text(text));
    }
    match number_of(text) {
        (_, "true") => Some(Value::Bool(true)),
        (_, "false") => Some(Value::Bool(false)),
        ("uint64", number) => number.parse().ok().map(Value::Number),
        ("uint32", number) => number.parse().ok().map(Value::Unsigned),
        // A number without a type is one of 32 bits with a sign.
        ("int32" | "", number) => number.parse().ok().map(Value::Signed),
        _ => None,
    }
}

/// The type's name before a value, or nothing, and the value.
fn number_of(text: &str) -> (&str, &str) {
    text.trim().split_once(char::is_whitespace).map_or(("", text.trim()), |(kind, rest)| (kind, rest.trim()))
}

/// In either kind of quotes, with none of them and no backslash inside.
fn quoted(text: &str) -> Option<String> {
    let inner = ['\'', '"'].iter().find_map(|&quote| text.strip_prefix(quote)?.strip_suffix(quote))?;
    (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Option<(String, Value)> {
        property(name, text).ok()
    }

    #[test]
    fn annotations_become_properties() {
        let check = |name: &str, text: &str, to: &str, value: Value| {
            assert_eq!(read(name, text), Some((to.to_owned(), value)), "{name} {text}");
        };
        check("RuntimeMaxSec", "2", "RuntimeMaxUSec", Value::Number(2_000_000));
        check("TimeoutStopSec", "uint64 1", "TimeoutStopUSec", Value::Number(1_000_000));
        check("TimeoutStopUSec", "uint64 5", "TimeoutStopUSec", Value::Number(5));
        check("TimeoutStopSec", "0.5", "TimeoutStopUSec", Value::Number(500_000));
        check("CollectMode", "'inactive-or-failed'", "CollectMode", Value::Text("inactive-or-failed".into()));
        check(
            "After",
            "['a.service', \"b.service\"]",
            "After",
            Value::Texts(vec!["a.service".into(), "b.service".into()]),
        );
        check("SendSIGHUP", "true", "SendSIGHUP", Value::Bool(true));
        check("KillSignal", "9", "KillSignal", Value::Signed(9));
        check("UMask", "uint32 18", "UMask", Value::Unsigned(18));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let bad = [("A", "a"), ("A", ""), ("A", "[1]"), ("A", "'a\\n'"), ("A", "uint64 -1"), ("TimeoutStopSec", "-1")];
        for (name, text) in bad.into_iter().chain([("", "1"), ("A-B", "1"), ("TimeoutStopSec", "soon")]) {
            assert_eq!(read(name, text), None, "{name} {text}");
        }
        let others = BTreeMap::from([("org.example".to_owned(), "x".to_owned())]);
        assert_eq!(properties(&others).unwrap(), []);
    }
}
