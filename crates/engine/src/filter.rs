//! What docker's `--filter key=value` has in common for containers, images and volumes. Which keys there are, and what
//! they choose, stands where each kind is listed: `list.rs`, `images/filter.rs`, `volumes/filter.rs`, `prune.rs`.

use crate::error::{Error, Result};
use spec::Timestamp;
use std::collections::BTreeMap;

/// Key and value of `key=value`; `label!=x` has the key `label!`.
pub fn split(filter: &str) -> Result<(String, &str)> {
    let bad = || Error::Invalid(format!("bad format of filter \"{filter}\" (expected name=value)"));
    let (key, value) = filter.split_once('=').ok_or_else(bad)?;
    Ok((key.trim().to_ascii_lowercase(), value))
}

/// A key that is not known.
pub fn unknown(key: &str) -> Error {
    Error::Invalid(format!("invalid filter '{key}'"))
}

/// A value that makes no sense for its key.
pub fn invalid(key: &str, value: &str) -> Error {
    Error::Invalid(format!("invalid filter '{key}={value}'"))
}

/// `label`, `label!` and `until`, which mean the same for whatever has them. All must hold.
#[derive(Debug, Clone, Default)]
pub struct Common {
    labels: Vec<Label>,
    /// `label!=…`
    absent_labels: Vec<Label>,
    until: Option<Timestamp>,
}

impl Common {
    /// One more filter of these.
    pub fn add(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "label" => self.labels.push(Label::parse(value)),
            "label!" => self.absent_labels.push(Label::parse(value)),
            "until" => self.until = Some(moment(value, Timestamp::now()).ok_or_else(|| invalid(key, value))?),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.until.is_none() && self.labels.is_empty() && self.absent_labels.is_empty()
    }

    pub fn has_until(&self) -> bool {
        self.until.is_some()
    }

    /// What was never said to be created is older than everything.
    pub fn matches(&self, created: Option<Timestamp>, labels: &BTreeMap<String, String>) -> bool {
        self.until.is_none_or(|until| created.unwrap_or(Timestamp::EPOCH) < until)
            && self.labels.iter().all(|label| label.is_among(labels))
            && !self.absent_labels.iter().any(|label| label.is_among(labels))
    }
}

/// `label=name` or `label=name=value`.
#[derive(Debug, Clone)]
pub struct Label {
    name: String,
    /// `None`: any.
    value: Option<String>,
}

impl Label {
    pub fn parse(text: &str) -> Label {
        match text.split_once('=') {
            Some((name, value)) => Label { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Label { name: text.to_owned(), value: None },
        }
    }

    pub fn is_among(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.name).is_some_and(|own| self.value.as_ref().is_none_or(|value| value == own))
    }
}

/// The words that docker takes for yes and no.
pub fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}

/// RFC 3339, a day, seconds since 1970, or a Go duration before `now` (`24h`, `1h30m`).
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z"))) {
        return Some(time);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(Timestamp::from_seconds(seconds));
    }
    let mut nanoseconds = 0f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let scale = match unit {
            "h" => 3600e9,
            "m" => 60e9,
            "s" => 1e9,
            "ms" => 1e6,
            _ => return None,
        };
        nanoseconds += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    (!text.is_empty()).then(|| Timestamp::from_nanoseconds(now.nanoseconds().saturating_sub(nanoseconds as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_by_name_and_by_value() {
        let labels = [("a".to_owned(), "1=2".to_owned()), ("b".to_owned(), String::new())].into();
        for (text, there) in [("a", true), ("a=1=2", true), ("a=1", false), ("b=", true), ("b=x", false), ("c", false)]
        {
            assert_eq!(Label::parse(text).is_among(&labels), there, "{text}");
        }
    }

    #[test]
    fn moments() {
        let now = Timestamp::from_seconds(1_000_000);
        for (text, seconds) in [
            ("1970-01-02T00:00:00Z", Some(86400)),
            ("1970-01-02", Some(86400)),
            ("500", Some(500)),
            ("1h30m", Some(1_000_000 - 5400)),
            ("1.5s", Some(999_998)),
            ("", None),
            ("h", None),
            ("5x", None),
        ] {
            assert_eq!(moment(text, now).map(Timestamp::seconds), seconds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn moments_never_panic(text: String) {
            let _ = moment(&text, Timestamp::EPOCH);
        }
    }
}
