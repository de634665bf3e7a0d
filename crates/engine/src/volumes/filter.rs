//! Docker's filters over volumes: `dangling driver label label! name`, and `all` for prune.

use super::Volume;
use crate::error::Result;
use crate::filter::{self, Common, boolean};
use crate::name_pattern::NamePattern;

/// `key=value`: values of one key are alternatives, labels and keys must all hold.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    names: Vec<NamePattern>,
    drivers: Vec<String>,
    common: Common,
    dangling: Option<bool>,
    all: bool,
}

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Filters> {
        let mut parsed = Filters::default();
        for filter in filters {
            let (key, value) = filter::split(filter)?;
            let invalid = || filter::invalid(&key, value);
            match key.as_str() {
                "name" => parsed.names.push(NamePattern::parse(value)?),
                "driver" => parsed.drivers.push(value.to_owned()),
                "label" | "label!" => parsed.common.add(&key, value)?,
                "dangling" => parsed.dangling = Some(boolean(value).ok_or_else(invalid)?),
                "all" => parsed.all = boolean(value).ok_or_else(invalid)?,
                key => return Err(filter::unknown(key)),
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
        (self.names.is_empty() || self.names.iter().any(|name| name.matches(&volume.name)))
            && (self.drivers.is_empty() || self.drivers.contains(&volume.driver))
            && self.common.matches(Some(volume.created), &volume.labels)
    }

    pub(super) fn matches_use(&self, is_used: impl FnOnce() -> Result<bool>) -> Result<bool> {
        self.dangling.map_or(Ok(true), |dangling| Ok(dangling != is_used()?))
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
            (&["name=a-[12]$"], true),
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
        for bad in ["x", "size=1", "name=[", "dangling=maybe"] {
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
