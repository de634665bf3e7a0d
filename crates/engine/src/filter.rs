//! What docker's `--filter key=value` has in common for containers, images and volumes. Which keys there are, and what
//! they choose, stands where each kind is listed: `list.rs`, `images/filter.rs`, `volumes/filter.rs`.

use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_by_name_and_by_value() {
        let labels = [("a".to_owned(), "1=2".to_owned()), ("b".to_owned(), String::new())].into();
        for (text, there) in [("a", true), ("a=1=2", true), ("a=1", false), ("b=", true), ("b=x", false), ("c", false)]
        {
            assert_eq!(Label::parse(text).is_among(&labels), there, "{text}");
        }
    }
}
