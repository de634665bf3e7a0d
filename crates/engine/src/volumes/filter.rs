//! Docker's filters over volumes: `dangling driver label label! name`, and `all` for prune.

use super::Volume;
use crate::error::{Error, Result};

/// `key=value`: values of one key are alternatives, labels and keys must all hold.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    names: Vec<String>,
    drivers: Vec<String>,
    /// Name, value if one was given, and whether it must be there or must not.
    labels: Vec<(String, Option<String>, bool)>,
    dangling: Option<bool>,
    all: bool,
}

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Filters> {
        let mut parsed = Filters::default();
        for filter in filters {
            let (key, value) = filter
                .split_once('=')
                .ok_or_else(|| Error::Invalid(format!("bad format of filter \"{filter}\" (expected name=value)")))?;
            // `label!=x` arrives as the key `label!`.
            match key.trim().to_ascii_lowercase().as_str() {
                "name" => parsed.names.push(value.to_owned()),
                "driver" => parsed.drivers.push(value.to_owned()),
                "label" => parsed.labels.push(label(value, true)),
                "label!" => parsed.labels.push(label(value, false)),
                "dangling" => parsed.dangling = Some(boolean(key, value)?),
                "all" => parsed.all = boolean(key, value)?,
                key => return Err(Error::Invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(parsed)
    }

    /// `prune --filter all=true`.
    pub(super) fn all(&self) -> bool {
        self.all
    }

    /// All but `dangling`, which has to ask the containers.
    pub(super) fn matches(&self, volume: &Volume) -> bool {
        let one_of =
            |wanted: &[String], test: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|w| test(w));
        one_of(&self.names, &|name| matches_name(name, &volume.name))
            && one_of(&self.drivers, &|driver| driver == volume.driver)
            && self.labels.iter().all(|(name, value, wanted)| {
                let there = volume.labels.get(name).is_some_and(|own| value.as_ref().is_none_or(|value| value == own));
                there == *wanted
            })
    }

    pub(super) fn matches_use(&self, is_used: impl FnOnce() -> Result<bool>) -> Result<bool> {
        self.dangling.map_or(Ok(true), |dangling| Ok(dangling != is_used()?))
    }
}

/// A part of the name; of docker's regular expressions the anchors are what people use.
fn matches_name(pattern: &str, name: &str) -> bool {
    let (start, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (end, text) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    match (start, end) {
        (true, true) => name == text,
        (true, false) => name.starts_with(text),
        (false, true) => name.ends_with(text),
        (false, false) => name.contains(text),
    }
}

fn label(text: &str, wanted: bool) -> (String, Option<String>, bool) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned()), wanted),
        None => (text.to_owned(), None, wanted),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(Error::Invalid(format!("invalid filter '{key}={value}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn volume() -> Volume {
        Volume {
            name: "data-1".into(),
            driver: "local".into(),
            created: spec::Timestamp::EPOCH,
            labels: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())].into(),
            options: Default::default(),
            mountpoint: PathBuf::new(),
        }
    }

    #[test]
    fn filters() {
        for (filters, expected) in [
            (&[][..], true),
            (&["name=ta-"], true),
            (&["name=^ta"], false),
            (&["name=^data-1$"], true),
            (&["name=x", "name=data"], true),
            (&["driver=other"], false),
            (&["label=a"], true),
            (&["label=a=1", "label=b"], true),
            (&["label=a=2"], false),
            (&["label!=a"], false),
            (&["label!=c"], true),
            (&["label!=a=2"], true),
        ] {
            let filters: Vec<String> = filters.iter().map(|filter| filter.to_string()).collect();
            assert_eq!(Filters::parse(&filters).unwrap().matches(&volume()), expected, "{filters:?}");
        }
        for bad in ["x", "size=1", "dangling=maybe"] {
            assert!(Filters::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn dangling_asks_only_when_wanted() {
        let parse = |text: &str| Filters::parse(&[text.to_owned()]).unwrap();
        assert!(Filters::default().matches_use(|| unreachable!()).unwrap());
        assert!(parse("dangling=true").matches_use(|| Ok(false)).unwrap());
        assert!(!parse("dangling=true").matches_use(|| Ok(true)).unwrap());
        assert!(parse("dangling=0").matches_use(|| Ok(true)).unwrap());
    }
}
