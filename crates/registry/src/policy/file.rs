//! `policy.toml`, our form of a policy (documented in docs/policy.md). A rule that says less, more or something else than
//! can be followed is an error; so are two rules for one place. Files that it names are found from its own directory.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::Policy;
use super::fulcio::Authority;
use super::key::Key;
use super::local::{self, Scope};
use super::place::Place;
use super::rule::{Forms, Identity, Keyless, Name, Requirement, Rule, Verdict};

/// What a bundle that cosign makes by `cosign sign` states.
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Default,
    #[serde(default)]
    rule: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Default {
    Accept,
    Reject,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    images: Vec<String>,
    policy: Kind,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    identities: Vec<IdentityEntry>,
    fulcio: Option<String>,
    #[serde(default)]
    rekor: Vec<String>,
    #[serde(default)]
    ctlog: Vec<String>,
    threshold: Option<usize>,
    signed_as: Option<String>,
    #[serde(default)]
    predicates: Vec<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Accept,
    Reject,
    Signed,
    Cosign,
    Sigstore,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityEntry {
    issuer: String,
    subject: String,
}

/// Parses the text of `path` and reads the keys that it names.
pub fn parse(text: &str, path: &Path) -> Result<Policy, String> {
    let file: File = basic_toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let mut rules: Vec<(Place, Rule)> = Vec::new();
    let mut files: Vec<(Scope, Rule)> = Vec::new();
    for entry in &file.rule {
        if entry.images.is_empty() {
            return Err(
                "a rule has no `images`: list the registries, namespaces, repositories or paths it is for".to_owned()
            );
        }
        let verdict = entry.verdict(path).map_err(|why| format!("rule for {}: {why}", entry.images.join(", ")))?;
        for image in &entry.images {
            if image.starts_with('/') {
                let scope = Scope::parse(image).map_err(|why| format!("rule for `{image}`: {why}"))?;
                if matches!(verdict, Verdict::Signed(_)) {
                    return Err(format!("rule for `{image}`: {}", local::UNSIGNED));
                }
                add(&mut files, scope, Rule::new(image, path, verdict.clone()))?;
                continue;
            }
            let place = Place::parse(image).map_err(|why| format!("rule for `{image}`: {why}"))?;
            add(&mut rules, place, Rule::new(image, path, verdict.clone()))?;
        }
    }
    let default = match file.default {
        Default::Accept => Verdict::Accept,
        Default::Reject => Verdict::Reject("no other rule is for it".to_owned()),
    };
    let default = Rule::new("default", path, default);
    Ok(Policy { rules, files, others: default.clone(), default })
}

fn add<T: PartialEq>(rules: &mut Vec<(T, Rule)>, place: T, rule: Rule) -> Result<(), String> {
    if rules.iter().any(|(other, _)| *other == place) {
        return Err(format!("two rules for {}: merge them", rule.scope));
    }
    rules.push((place, rule));
    Ok(())
}

impl Entry {
    fn verdict(&self, policy: &Path) -> Result<Verdict, String> {
        let forms = match self.policy {
            Kind::Accept | Kind::Reject => {
                return match (self.asks_for_signatures(), self.policy) {
                    (true, _) => {
                        Err("`accept` and `reject` look at no signature: leave everything else away".to_owned())
                    }
                    (false, Kind::Accept) => Ok(Verdict::Accept),
                    (false, _) => Ok(Verdict::Reject("its images are rejected".to_owned())),
                };
            }
            Kind::Signed => Forms::Either,
            Kind::Cosign => Forms::Cosign,
            Kind::Sigstore => Forms::Sigstore,
        };
        let keys = unique(read_keys("keys", &self.keys, policy)?);
        let logs = read_keys("rekor", &self.rekor, policy)?;
        let keyless = self.keyless(policy)?;
        let signers = keys.len() + keyless.as_ref().map_or(0, |keyless| keyless.identities.len());
        let threshold = self.threshold.unwrap_or(1);
        if signers == 0 {
            return Err("no signer is named: give `keys`, or `identities` with `fulcio` and `rekor`".to_owned());
        }
        if !(1..=signers).contains(&threshold) {
            return Err(format!("`threshold` is {threshold}, there are {signers} different signers"));
        }
        if forms == Forms::Cosign && !self.predicates.is_empty() {
            return Err("`predicates` are for bundles: use `policy = \"sigstore\"`".to_owned());
        }
        if forms == Forms::Sigstore && self.signed_as.is_some() {
            return Err("bundles hold no name: `signed_as` is for `policy = \"cosign\"`".to_owned());
        }
        let name = self.signed_as.as_deref().map(signed_as).transpose()?.unwrap_or(Name::Own);
        let predicates = match self.predicates.is_empty() {
            true => vec![SIGN_PREDICATE.to_owned()],
            false => self.predicates.clone(),
        };
        Ok(Verdict::Signed(vec![Requirement { forms, keys, keyless, threshold, logs, name, predicates }]))
    }

    fn asks_for_signatures(&self) -> bool {
        let lists = [&self.keys, &self.rekor, &self.ctlog, &self.predicates];
        lists.iter().any(|list| !list.is_empty())
            || !self.identities.is_empty()
            || self.fulcio.is_some()
            || self.threshold.is_some()
            || self.signed_as.is_some()
    }

    fn keyless(&self, policy: &Path) -> Result<Option<Keyless>, String> {
        let Some(fulcio) = &self.fulcio else {
            return match (self.identities.is_empty(), self.ctlog.is_empty()) {
                (true, true) => Ok(None),
                (false, _) => Err("`identities` need `fulcio`, the certificates of the authority".to_owned()),
                (true, false) => Err("`ctlog` is for certificates: it needs `fulcio` and `identities`".to_owned()),
            };
        };
        if self.identities.is_empty() {
            return Err("`fulcio` certifies everybody: name the `identities` that may sign".to_owned());
        }
        if self.rekor.is_empty() {
            return Err("keyless signatures need `rekor`, the key of the log that says when they were made".to_owned());
        }
        if let Some(bad) =
            self.identities.iter().find(|one| one.issuer.is_empty() || one.subject.trim_matches('*').is_empty())
        {
            return Err(format!("identity `{}` would let everybody sign", bad.subject));
        }
        let (text, origin) = pem(fulcio, policy)?;
        let authority = Authority::from_pem(text.as_bytes()).map_err(|why| format!("fulcio: {origin} {why}"))?;
        let identities = self.identities.iter();
        let identities = identities.map(|one| Identity { issuer: one.issuer.clone(), subject: one.subject.clone() });
        let certificate_logs = read_keys("ctlog", &self.ctlog, policy)?;
        Ok(Some(Keyless { authority, certificate_logs, identities: identities.collect() }))
    }
}

fn signed_as(text: &str) -> Result<Name, String> {
    match Place::parse(text).map_err(|why| format!("`signed_as` is `{text}`: {why}"))? {
        Place::Under(prefix) => Ok(Name::Under(prefix)),
        Place::Image(_) | Place::Subdomains(_) => Err("`signed_as` is a registry, namespace or repository".to_owned()),
    }
}

fn read_keys(what: &str, values: &[String], policy: &Path) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for value in values {
        let (text, origin) = pem(value, policy).map_err(|why| format!("{what}: {why}"))?;
        keys.extend(Key::all_from_pem(text.as_bytes(), &origin).map_err(|why| format!("{what}: {origin} {why}"))?);
    }
    Ok(keys)
}

/// The text of a key or certificate and where it is from: inline, or a file, found from the policy's directory.
fn pem(value: &str, policy: &Path) -> Result<(String, String), String> {
    if value.contains("-----BEGIN") {
        return Ok((value.to_owned(), "the text".to_owned()));
    }
    let path = policy.parent().unwrap_or(Path::new("")).join(value);
    let text = super::read_text(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    Ok((text, path.display().to_string()))
}

/// Each key once: a threshold of two is not met by one key in two files.
pub fn unique(keys: Vec<Key>) -> Vec<Key> {
    let mut by_id = BTreeMap::new();
    for key in keys {
        by_id.entry(key.id()).or_insert(key);
    }
    by_id.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority as Issuing, Signer};
    use super::*;
    use proptest::prelude::*;
    use spec::Reference;

    fn check(text: &str) -> String {
        match parse(text, Path::new("/nonexistent/policy.toml")) {
            Ok(_) => String::new(),
            Err(error) => error,
        }
    }

    fn rule(lines: &str) -> String {
        format!("default = \"reject\"\n[[rule]]\nimages = [\"ghcr.io/team\"]\n{lines}\n")
    }

    #[test]
    fn the_longest_place_decides() {
        let text = r#"
            default = "reject"
            rule = [
                { images = ["docker.io/library", "quay.io"], policy = "accept" },
                { images = ["quay.io/team"], policy = "reject" },
                { images = ["quay.io/team/app"], policy = "accept" },
            ]"#;
        let policy = parse(text, Path::new("/p")).unwrap();
        for (image, scope) in [
            ("busybox", "docker.io/library"),
            ("user/app", "default"),
            ("quay.io/x", "quay.io"),
            ("quay.io/team/x", "quay.io/team"),
            ("quay.io/team/app:v1", "quay.io/team/app"),
            ("quay.io/team/apple", "quay.io/team"),
        ] {
            assert_eq!(policy.rule(&Reference::parse(image).unwrap()).scope, scope, "{image}");
        }
    }

    #[test]
    fn rules_that_can_be_followed() {
        let key = format!("keys = ['''{}''', '''{}''']", Signer::new().pem(), Signer::new().pem());
        let authority = Issuing::new();
        let keyless = format!(
            "fulcio = '''{}'''\nrekor = ['''{}''']\nidentities = [{{ issuer = \"i\", subject = \"*@example.com\" }}]",
            authority.pem(),
            Signer::new().pem()
        );
        for lines in [
            "policy = \"accept\"".to_owned(),
            "policy = \"reject\"".to_owned(),
            format!("policy = \"signed\"\n{key}\nthreshold = 2"),
            format!("policy = \"cosign\"\n{key}\nsigned_as = \"quay.io/up\""),
            format!("policy = \"sigstore\"\n{key}\npredicates = [\"https://slsa.dev/provenance/v1\"]"),
            format!("policy = \"signed\"\n{keyless}"),
            format!("policy = \"signed\"\n{keyless}\n{key}\nthreshold = 3"),
        ] {
            assert_eq!(check(&rule(&lines)), "", "{lines}");
        }
        assert_eq!(check("default = \"accept\""), "");
    }

    #[test]
    fn rules_that_cannot() {
        let pem = Signer::new().pem();
        let key = format!("keys = ['''{pem}''']");
        let authority = Issuing::new().pem();
        for (lines, part) in [
            ("policy = \"maybe\"".to_owned(), "unknown variant `maybe`"),
            ("policy = \"accept\"\nkye = 1".to_owned(), "unknown field `kye`"),
            (format!("policy = \"accept\"\n{key}"), "look at no signature"),
            ("policy = \"reject\"\nthreshold = 1".to_owned(), "look at no signature"),
            ("policy = \"signed\"".to_owned(), "no signer is named"),
            (format!("policy = \"signed\"\n{key}\nthreshold = 0"), "`threshold` is 0"),
            (format!("policy = \"signed\"\n{key}\nthreshold = 2"), "there are 1 different signers"),
            (format!("policy = \"signed\"\nkeys = ['''{pem}''', '''{pem}''']\nthreshold = 2"), "1 different signers"),
            ("policy = \"signed\"\nkeys = [\"no.pub\"]".to_owned(), "cannot read `/nonexistent/no.pub`"),
            ("policy = \"signed\"\nkeys = [\"-----BEGIN\"]".to_owned(), "keys: the text has no PEM block"),
            ("policy = \"signed\"\nkeys = \"x\"".to_owned(), "keys"),
            (format!("policy = \"cosign\"\n{key}\npredicates = [\"x\"]"), "`predicates` are for bundles"),
            (format!("policy = \"sigstore\"\n{key}\nsigned_as = \"quay.io\""), "bundles hold no name"),
            (format!("policy = \"cosign\"\n{key}\nsigned_as = \"x\""), "`signed_as` is `x`"),
            (format!("policy = \"signed\"\n{key}\nctlog = ['''{pem}''']"), "`ctlog` is for certificates"),
            (
                "policy = \"signed\"\nidentities = [{ issuer = \"i\", subject = \"s\" }]".to_owned(),
                "`identities` need `fulcio`",
            ),
            (format!("policy = \"signed\"\nfulcio = '''{authority}'''"), "certifies everybody"),
            (
                format!(
                    "policy = \"signed\"\nfulcio = '''{authority}'''\nidentities = [{{ issuer = \"i\", subject = \"s\" }}]"
                ),
                "need `rekor`",
            ),
            (
                format!(
                    "policy = \"signed\"\nfulcio = '''{authority}'''\nrekor = ['''{pem}''']\nidentities = [{{ issuer = \"i\", subject = \"*\" }}]"
                ),
                "would let everybody sign",
            ),
        ] {
            let error = check(&rule(&lines));
            assert!(error.contains(part), "{lines}: {error}");
        }
        assert!(check("").contains("missing field `default`"));
        assert!(check("default = \"accept\"\n[[rule]]\nimages = []\npolicy = \"accept\"").contains("no `images`"));
        let twice = rule("policy = \"accept\"") + "[[rule]]\nimages = [\"GHCR.io/team\"]\npolicy = \"reject\"";
        assert!(check(&twice).contains("two rules for GHCR.io/team"));
        let short = "default = \"accept\"\n[[rule]]\nimages = [\"busybox\"]\npolicy = \"reject\"";
        assert!(check(short).contains("write `docker.io/library/busybox`"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", lines in "[a-z =\"\\[\\]{}\n]{0,60}") {
            check(&text);
            check(&rule(&lines));
        }
    }
}
