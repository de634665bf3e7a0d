//! What a policy means, whichever file it was written in: a rule is a verdict, or the signatures that an image needs.
//! `file` and `containers` make rules, `verify` follows them.

use std::path::{Path, PathBuf};

use spec::{Digest, Reference};

use super::fulcio::Authority;
use super::key::Key;
use super::place::{canonical_name, is_under};
use crate::answer::printable;

/// The rule for an image.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it is for, as the file says it, or `default`.
    pub(super) scope: String,
    pub(super) file: PathBuf,
    pub(super) verdict: Verdict,
}

#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Accept,
    /// With the reason.
    Reject(String),
    /// All of them have to be met, by signatures of one digest.
    Signed(Vec<Requirement>),
}

impl Rule {
    pub(super) fn new(scope: &str, file: &Path, verdict: Verdict) -> Rule {
        Rule { scope: scope.to_owned(), file: file.to_owned(), verdict }
    }

    pub(super) fn accept(scope: &str, file: &Path) -> Rule {
        Rule::new(scope, file, Verdict::Accept)
    }
}

/// Signatures by so many of these signers.
#[derive(Debug, Clone)]
pub(super) struct Requirement {
    pub forms: Forms,
    /// Each key once: a threshold counts signers, not mentions.
    pub keys: Vec<Key>,
    /// With their authority, if signatures may be keyless.
    pub keyless: Option<Keyless>,
    /// At least 1, at most the number of signers.
    pub threshold: usize,
    /// Keys of transparency logs, one of which must have recorded the signature; none needed if empty.
    pub logs: Vec<Key>,
    pub name: Name,
    /// What a bundle may state about the image.
    pub predicates: Vec<String>,
}

/// In which forms a signature counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forms {
    /// Manifest tagged `sha256-….sig`.
    Cosign,
    /// Bundle that refers to the image.
    Sigstore,
    Either,
}

impl Forms {
    pub fn include(self, form: Forms) -> bool {
        self == Forms::Either || self == form
    }
}

#[derive(Debug, Clone)]
pub(super) struct Keyless {
    pub authority: Authority,
    /// Keys of logs of certificates, one of which must have recorded the certificate; none needed if empty.
    pub certificate_logs: Vec<Key>,
    pub identities: Vec<Identity>,
}

/// Who signed, as the certificate says.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// URL of the OpenID provider, compared whole.
    pub issuer: String,
    /// E-mail address or URI; `*` stands for any text.
    pub subject: String,
}

impl Identity {
    pub fn matches(&self, issuer: &str, subject: &str) -> bool {
        self.issuer == issuer && glob(&self.subject, subject)
    }
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

/// Which name a signature has to give the image. Bundles give none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// Its repository; and its tag, if the signature names one and the image was asked for by tag.
    Own,
    /// Its repository, with any tag (podman's `matchRepository`).
    Repository,
    /// Its repository and the tag asked for (podman's `matchRepoDigestOrExact`).
    Exact,
    /// This repository or one below, with any tag: for copies of images that were signed elsewhere.
    Under(String),
    /// This repository, with any tag (podman's `exactRepository`).
    Other(String),
}

impl Name {
    /// Whether a signature for `claimed` holds for `reference`. The error reads as "it is for …".
    pub fn check(&self, claimed: &str, reference: &Reference, digest: &Digest) -> Result<(), String> {
        let parsed = Reference::parse_untagged(claimed)
            .map_err(|_| format!("it is for `{}`, which is no name of an image", printable(claimed)))?;
        let (name, own) = (canonical_name(&parsed), canonical_name(reference));
        let repository_fits = match self {
            Name::Own | Name::Repository | Name::Exact => name == own,
            Name::Under(prefix) => is_under(&name, prefix),
            Name::Other(other) => name == *other,
        };
        if !repository_fits || parsed.digest().is_some_and(|claimed| claimed != digest) {
            return Err(format!("it is for {}", printable(claimed)));
        }
        let tag_fits = match (self, reference.tag(), reference.digest()) {
            (Name::Own, Some(asked), None) => parsed.tag().is_none_or(|tag| tag == asked),
            (Name::Exact, Some(asked), None) => parsed.tag() == Some(asked),
            _ => true,
        };
        match tag_fits {
            true => Ok(()),
            false => Err(format!("it is for {}, not for this tag", printable(claimed))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs_are_anchored() {
        for (pattern, text, expected) in [
            ("a@b.c", "a@b.c", true),
            ("a@b.c", "xa@b.c", false),
            ("*@b.c", "a@b.c", true),
            ("*@b.c", "a@b.c.evil", false),
            ("https://x/*/y@refs/tags/*", "https://x/o/y@refs/tags/v1", true),
            ("https://x/*/y@refs/tags/*", "https://x/o/y@refs/heads/v1", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn names_in_signatures() {
        let digest = Digest::from_hash(&[1; 32]);
        let under = Name::Under("quay.io/up".to_owned());
        let other = Name::Other("quay.io/up/app".to_owned());
        let by_digest = format!("ghcr.io/team/app@{digest}");
        let wrong_digest = format!("ghcr.io/team/app@{}", Digest::from_hash(&[2; 32]));
        for (rule, claimed, asked, expected) in [
            (&Name::Own, "ghcr.io/team/app", "ghcr.io/team/app:v1", true),
            (&Name::Own, "ghcr.io/team/app:v1", "ghcr.io/team/app:v1", true),
            (&Name::Own, "ghcr.io/team/app:v1", "ghcr.io/team/app:v2", false),
            (&Name::Own, "ghcr.io/team/app:v1", &by_digest, true),
            (&Name::Own, &by_digest, "ghcr.io/team/app:v1", true),
            (&Name::Own, &wrong_digest, "ghcr.io/team/app:v1", false),
            (&Name::Own, "ghcr.io/team/other", "ghcr.io/team/app:v1", false),
            (&Name::Own, "index.docker.io/library/busybox", "busybox", true),
            (&Name::Own, "", "busybox", false),
            (&Name::Own, "\u{1b}[2J", "busybox", false),
            (&Name::Repository, "ghcr.io/team/app:v1", "ghcr.io/team/app:v2", true),
            (&Name::Exact, "ghcr.io/team/app", "ghcr.io/team/app:v1", false),
            (&Name::Exact, "ghcr.io/team/app:v1", "ghcr.io/team/app:v1", true),
            (&Name::Exact, "ghcr.io/team/app", &by_digest, true),
            (&under, "quay.io/up/app", "ghcr.io/team/app", true),
            (&under, "quay.io/upper/app", "ghcr.io/team/app", false),
            (&under, "ghcr.io/team/app", "ghcr.io/team/app", false),
            (&other, "quay.io/up/app:x", "ghcr.io/team/app", true),
            (&other, "quay.io/up/app/x", "ghcr.io/team/app", false),
        ] {
            let asked = Reference::parse(asked).unwrap();
            assert_eq!(rule.check(claimed, &asked, &digest).is_ok(), expected, "{rule:?} {claimed} {asked}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[ab*é]{0,8}", text in "[abé]{0,8}", claimed in ".*") {
            let _ = glob(&pattern, &text);
            let around = format!("*{text}*");
            prop_assert!(glob("*", &text) && glob(&around, &text));
            let _ = Name::Own.check(&claimed, &Reference::parse("x").unwrap(), &Digest::from_hash(&[0; 32]));
        }
    }
}
