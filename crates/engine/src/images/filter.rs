//! Docker's filters over images: `dangling label before since reference until`.

use crate::error::Result;
use crate::filter::{self, Common, boolean};
use image::{Image, Store};
use spec::{Reference, Timestamp};

/// `key=value`: values of one key are alternatives (labels excepted), keys must all hold.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    dangling: Option<bool>,
    common: Common,
    references: Vec<String>,
    before: Option<String>,
    since: Option<String>,
}

/// `before` and `since` with their images looked up.
#[derive(Debug, Default)]
pub struct Bounds {
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Filters> {
        let mut parsed = Filters::default();
        for filter in filters {
            let (key, value) = filter::split(filter)?;
            match key.as_str() {
                "dangling" => parsed.dangling = Some(boolean(value).ok_or_else(|| filter::invalid(&key, value))?),
                "label" | "until" => parsed.common.add(&key, value)?,
                "reference" => parsed.references.push(value.to_owned()),
                "before" => parsed.before = Some(value.to_owned()),
                "since" => parsed.since = Some(value.to_owned()),
                key => return Err(filter::unknown(key)),
            }
        }
        Ok(parsed)
    }

    /// `NotFound` when `before` or `since` name no image.
    pub(super) fn bounds(&self, store: &Store) -> Result<Bounds> {
        let created = |name: &Option<String>| -> Result<Option<Timestamp>> {
            name.as_ref().map_or(Ok(None), |name| Ok(Some(created(&store.resolve(name)?))))
        };
        Ok(Bounds { before: created(&self.before)?, since: created(&self.since)? })
    }

    pub(super) fn add_reference(&mut self, pattern: Option<&str>) {
        self.references.extend(pattern.map(str::to_owned));
    }

    /// Drops the names that no `reference` fits; a digest stays with a tag of its repository.
    pub(super) fn keep_names(&self, image: &mut Image) {
        if self.references.is_empty() {
            return;
        }
        let kept: Vec<Reference> = image.names.iter().filter(|name| self.refers_to(name)).cloned().collect();
        image.names.retain(|name| {
            kept.contains(name) || (name.digest().is_some() && kept.iter().any(|kept| kept.name() == name.name()))
        });
    }

    fn refers_to(&self, name: &Reference) -> bool {
        self.references.iter().any(|pattern| has_name(pattern, name))
    }

    pub(super) fn matches(&self, image: &Image, bounds: &Bounds) -> bool {
        let own = created(image);
        let labels = &image.config.config.labels;
        self.dangling.is_none_or(|dangling| dangling == (image.tags().next().is_none()))
            && self.common.matches(image.config.created, labels)
            && (self.references.is_empty() || image.names.iter().any(|name| self.refers_to(name)))
            && bounds.before.is_none_or(|time| own < time)
            && bounds.since.is_none_or(|time| own > time)
    }
}

fn created(image: &Image) -> Timestamp {
    image.config.created.unwrap_or(Timestamp::EPOCH)
}

/// Docker matches the familiar name, with its tag and without.
fn has_name(pattern: &str, name: &Reference) -> bool {
    glob(pattern.as_bytes(), name.familiar().as_bytes()) || glob(pattern.as_bytes(), name.familiar_name().as_bytes())
}

/// Go's path.Match: `*` and `?` stop at a `/`, `[a-z]` and `[^a-z]` are one character, `\` takes
/// the next one as it is. A broken pattern matches nothing.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => {
            let end = text.iter().position(|b| *b == b'/').unwrap_or(text.len());
            (0..=end).any(|skip| glob(rest, &text[skip..]))
        }
        [b'?', rest @ ..] => matches!(text, [first, after @ ..] if *first != b'/' && glob(rest, after)),
        [b'[', rest @ ..] => {
            let Some((class, rest)) = class(rest) else { return false };
            matches!(text, [first, after @ ..] if class.contains(*first) && glob(rest, after))
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            matches!(text, [first, after @ ..] if first == literal && glob(rest, after))
        }
    }
}

struct Class {
    negated: bool,
    ranges: Vec<(u8, u8)>,
}

impl Class {
    fn contains(&self, byte: u8) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte)) != self.negated
    }
}

/// What follows a `[`, and the rest after its `]`.
fn class(mut rest: &[u8]) -> Option<(Class, &[u8])> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        match rest {
            [b']', after @ ..] if !ranges.is_empty() => return Some((Class { negated, ranges }, after)),
            [low, b'-', high, after @ ..] if *high != b']' => {
                ranges.push((*low, *high));
                rest = after;
            }
            [single, after @ ..] => {
                ranges.push((*single, *single));
                rest = after;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("debian", "debian", true),
            ("deb*", "debian", true),
            ("deb*", "debian:stable", true),
            ("*", "a/b", false),
            ("*/b", "a/b", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[", "[", false),
            ("\\*", "*", true),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn references_fit_with_and_without_tag() {
        let name = Reference::parse("docker.io/library/debian:stable").unwrap();
        for (pattern, fits) in [("debian", true), ("debian:st*", true), ("*:latest", false), ("library/debian", false)]
        {
            assert_eq!(has_name(pattern, &name), fits, "{pattern}");
        }
    }

    #[test]
    fn refusals() {
        for bad in ["x", "dangling=maybe", "size=1", "until=soon"] {
            assert!(Filters::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn globs_never_panic(pattern: Vec<u8>, text: Vec<u8>) {
            // Many stars are slow by nature; the command line is the only one who gives patterns.
            prop_assume!(pattern.iter().filter(|b| **b == b'*').count() < 4);
            let _ = glob(&pattern, &text);
        }
    }
}
