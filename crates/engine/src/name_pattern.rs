//! `--filter name=`: a regular expression that may fit anywhere in the name, as docker has it. Used by the lists of
//! containers and of volumes. The syntax is that of Go but for `\Q…\E`, `\p{…}` and octal escapes, which no name needs.

use crate::error::{Error, Result};
use regex_lite::Regex;

/// One such filter. Names are ASCII, so nothing here depends on what Unicode calls a letter.
#[derive(Debug, Clone)]
pub struct NamePattern(Regex);

impl NamePattern {
    /// `Invalid` for what is no regular expression. Docker then finds nothing and does not say why.
    pub fn parse(text: &str) -> Result<NamePattern> {
        Regex::new(text).map(NamePattern).map_err(|error| {
            Error::Invalid(format!(
                "invalid filter 'name={text}': not a regular expression: {error}; put a backslash before a sign that stands for itself"
            ))
        })
    }

    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fits_anywhere_unless_anchored() {
        for (pattern, name, fits) in [
            ("", "web", true),
            ("eb", "web1", true),
            ("^eb", "web", false),
            ("^web$", "web1", false),
            ("web[12]", "web2", true),
            ("web(1|2)$", "web2", true),
            ("web(1|2)$", "web3", false),
            ("db|web", "web", true),
            ("(?i)WEB", "web", true),
            ("w.b", "w-b", true),
            (r"w\.b", "w-b", false),
            (r"\d", "web", false),
            ("^[[:alpha:]]+1", "web1", true),
        ] {
            assert_eq!(NamePattern::parse(pattern).unwrap().matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["[", "(", "*", "a{2,1}", "(?=b)", r"\"] {
            assert!(matches!(NamePattern::parse(bad), Err(Error::Invalid(text)) if text.contains(bad)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[\\[\\]()*+?{},^$|\\\\.a-c0-9-]{0,16}", name in "[a-c0-9._-]{0,12}") {
            let _ = NamePattern::parse(&pattern).map(|pattern| pattern.matches(&name));
        }
    }
}
