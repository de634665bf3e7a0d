//! Podman's `policy.json` (containers-policy.json(5)), read where there is no policy of ours: scopes of the transport
//! `docker` and of those for files, with `insecureAcceptAnything`, `reject` and `sigstoreSigned` by keys. What is not
//! understood (GPG's `signedBy`, Fulcio, remapped names) refuses the images that it is for, and says so. Transports by
//! which nothing comes to us are passed over.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::key::Key;
use super::local::{Scope, Transport};
use super::place::Place;
use super::rule::{Forms, Name, Requirement, Rule, Verdict};
use super::{Policy, file, proto_json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Vec<Value>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Value>>>,
}

/// Parses the text of `path`. Requirements that cannot be followed become refusals of their scope.
pub fn parse(text: &str, path: &Path) -> Result<Policy, String> {
    let mut file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let (mut rules, mut files) = (Vec::new(), Vec::new());
    // Also of what does not come from a registry, whatever the transport `docker` has for its default.
    let others = Rule::new("default", path, verdict(&file.default)?);
    let mut default = others.clone();
    for (scope, requirements) in file.transports.remove("docker").unwrap_or_default() {
        let verdict = verdict(&requirements).map_err(|why| format!("scope `{scope}`: {why}"))?;
        let rule = Rule::new(&scope, path, verdict);
        match scope.as_str() {
            // The default of the transport.
            "" => default = Rule { scope: "default".to_owned(), ..rule },
            scope => rules.push((place(scope)?, rule)),
        }
    }
    for (name, scopes) in file.transports {
        let Some(transport) = Transport::parse(&name) else { continue };
        for (text, requirements) in scopes {
            let wrong = |why: String| format!("scope `{text}` of {name}: {why}");
            let verdict = verdict(&requirements).map_err(wrong)?;
            let scope = Scope::of(transport, &text).map_err(wrong)?;
            files.push((scope, Rule::new(&format!("{name}:{text}"), path, verdict)));
        }
    }
    Ok(Policy { rules, default, files, others })
}

fn place(scope: &str) -> Result<Place, String> {
    if let Some(domain) = scope.strip_prefix("*.") {
        return Ok(Place::Subdomains(domain.to_owned()));
    }
    let last = scope.rsplit('/').next().filter(|last| last.len() < scope.len()).unwrap_or_default();
    match last.contains([':', '@']) {
        true => Ok(Place::Image(scope.to_owned())),
        false => Place::parse(scope).map_err(|why| format!("scope `{scope}`: {why}")),
    }
}

/// All requirements have to be met, so one rejection rejects.
fn verdict(requirements: &[Value]) -> Result<Verdict, String> {
    if requirements.is_empty() {
        return Err("a list of requirements is empty".to_owned());
    }
    let mut signed = Vec::new();
    let mut rejection = None;
    for requirement in requirements {
        let kind = requirement.get("type").and_then(Value::as_str).ok_or("a requirement has no `type`")?;
        let unsupported = |what: &str| format!("it asks for {what}, which brig does not verify");
        match kind {
            "insecureAcceptAnything" => {}
            "reject" => rejection = Some("its images are rejected".to_owned()),
            "signedBy" => rejection = Some(unsupported("a GPG signature (`signedBy`)")),
            "sigstoreSigned" => match sigstore_signed(requirement) {
                Ok(requirement) => signed.push(requirement),
                Err(why) => rejection = Some(format!("its `sigstoreSigned` cannot be followed: {why}")),
            },
            other => return Err(format!("requirement of unknown type `{}`", crate::answer::printable(other))),
        }
    }
    Ok(match (rejection, signed.is_empty()) {
        (Some(why), _) => Verdict::Reject(why),
        (None, true) => Verdict::Accept,
        (None, false) => Verdict::Signed(signed),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SigstoreSigned {
    key_path: Option<String>,
    #[serde(default)]
    key_paths: Vec<String>,
    key_data: Option<String>,
    #[serde(default)]
    key_datas: Vec<String>,
    rekor_public_key_path: Option<String>,
    #[serde(default)]
    rekor_public_key_paths: Vec<String>,
    rekor_public_key_data: Option<String>,
    #[serde(default)]
    rekor_public_key_datas: Vec<String>,
    fulcio: Option<Value>,
    pki: Option<Value>,
    signed_identity: Option<SignedIdentity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedIdentity {
    #[serde(rename = "type")]
    kind: String,
    docker_repository: Option<String>,
}

fn sigstore_signed(requirement: &Value) -> Result<Requirement, String> {
    // `type` is what brought us here.
    let fields = requirement.as_object().into_iter().flatten().filter(|(key, _)| *key != "type");
    let fields: Value = fields.map(|(key, value)| (key.clone(), value.clone())).collect();
    let entry = SigstoreSigned::deserialize(fields).map_err(|error| error.to_string())?;
    if entry.fulcio.is_some() || entry.pki.is_some() {
        return Err("`fulcio` and `pki` are not read from this file: write a policy.toml with `identities`".to_owned());
    }
    let keys = file::unique(keys(
        entry.key_path.iter().chain(&entry.key_paths),
        entry.key_data.iter().chain(&entry.key_datas),
    )?);
    let logs = keys_of_logs(&entry)?;
    if keys.is_empty() {
        return Err("it names no key".to_owned());
    }
    Ok(Requirement {
        forms: Forms::Cosign,
        keys,
        keyless: None,
        threshold: 1,
        logs,
        name: name(entry.signed_identity.as_ref())?,
        predicates: Vec::new(),
    })
}

fn keys_of_logs(entry: &SigstoreSigned) -> Result<Vec<Key>, String> {
    keys(
        entry.rekor_public_key_path.iter().chain(&entry.rekor_public_key_paths),
        entry.rekor_public_key_data.iter().chain(&entry.rekor_public_key_datas),
    )
}

fn keys<'a>(
    paths: impl Iterator<Item = &'a String>,
    datas: impl Iterator<Item = &'a String>,
) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for path in paths {
        let text = super::read_text(Path::new(path)).map_err(|error| format!("cannot read `{path}`: {error}"))?;
        keys.extend(Key::all_from_pem(text.as_bytes(), path).map_err(|why| format!("`{path}` {why}"))?);
    }
    for data in datas {
        let text = proto_json::decode(data).ok_or("its key data is not base64")?;
        keys.extend(Key::all_from_pem(&text, "the key data").map_err(|why| format!("the key data {why}"))?);
    }
    Ok(keys)
}

fn name(identity: Option<&SignedIdentity>) -> Result<Name, String> {
    let Some(identity) = identity else { return Ok(Name::Exact) };
    match (identity.kind.as_str(), &identity.docker_repository) {
        ("matchRepoDigestOrExact", None) => Ok(Name::Exact),
        ("matchRepository", None) => Ok(Name::Repository),
        ("exactRepository", Some(repository)) => match Place::parse(repository) {
            Ok(Place::Under(name)) => Ok(Name::Other(name)),
            _ => Err(format!("`{repository}` is no repository")),
        },
        (other, _) => {
            Err(format!("its `signedIdentity` of type `{}` is not supported", crate::answer::printable(other)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Signer;
    use super::*;
    use proptest::prelude::*;
    use spec::Reference;

    fn check(text: &str, image: &str) -> String {
        let policy = match parse(text, Path::new("/p")) {
            Ok(policy) => policy,
            Err(error) => return format!("error: {error}"),
        };
        let rule = policy.rule(&Reference::parse(image).unwrap());
        match &rule.verdict {
            Verdict::Accept => format!("{}: accept", rule.scope),
            Verdict::Reject(why) => format!("{}: {why}", rule.scope),
            Verdict::Signed(all) => format!("{}: {} keys, {:?}", rule.scope, all[0].keys.len(), all[0].name),
        }
    }

    #[test]
    fn scopes() {
        let text = r#"{"default":[{"type":"reject"}],"transports":{
            "docker-daemon":{"":[{"type":"insecureAcceptAnything"}]},
            "docker":{"quay.io":[{"type":"insecureAcceptAnything"}],
                "quay.io/team/app:v1":[{"type":"reject"}],
                "*.example.com":[{"type":"insecureAcceptAnything"}],
                "registry.access.redhat.com":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/etc/pki/x"}]}}}"#;
        assert_eq!(check(text, "busybox"), "default: its images are rejected");
        assert_eq!(check(text, "quay.io/team/app:v2"), "quay.io: accept");
        assert_eq!(check(text, "quay.io/team/app:v1"), "quay.io/team/app:v1: its images are rejected");
        assert_eq!(check(text, "a.example.com/x"), "*.example.com: accept");
        let gpg = "registry.access.redhat.com: it asks for a GPG signature (`signedBy`), which brig does not verify";
        assert_eq!(check(text, "registry.access.redhat.com/ubi9"), gpg);
        let transport =
            r#"{"default":[{"type":"reject"}],"transports":{"docker":{"":[{"type":"insecureAcceptAnything"}]}}}"#;
        assert_eq!(check(transport, "busybox"), "default: accept");
    }

    #[test]
    fn keys_and_names() {
        let data = proto_json::encode(Signer::new().pem().as_bytes());
        let with = |rest: &str| {
            let text = format!(r#"{{"default":[{{"type":"sigstoreSigned",{rest}}}]}}"#);
            check(&text, "busybox")
        };
        let key = format!(r#""keyData":"{data}""#);
        assert_eq!(with(&key), "default: 1 keys, Exact");
        let identity = |identity: &str| with(&format!(r#"{key},"signedIdentity":{identity}"#));
        assert_eq!(identity(r#"{"type":"matchRepository"}"#), "default: 1 keys, Repository");
        let exact = identity(r#"{"type":"exactRepository","dockerRepository":"quay.io/a"}"#);
        assert_eq!(exact, r#"default: 1 keys, Other("quay.io/a")"#);
        assert!(identity(r#"{"type":"remapIdentity","prefix":"a","signedPrefix":"b"}"#).contains("is not supported"));
        for (rest, part) in [
            (r#""keyPath":"/nonexistent""#, "cannot read `/nonexistent`"),
            (r#""keyData":"%""#, "not base64"),
            (r#""keyData":"AAAA""#, "the key data has no PEM block"),
            (r#""keyDatas":[]"#, "it names no key"),
            (r#""fulcio":{}"#, "write a policy.toml"),
            (r#""keyring":"x""#, "unknown field"),
        ] {
            assert!(with(rest).contains(part), "{rest}: {}", with(rest));
        }
    }

    #[test]
    fn files_that_are_none() {
        for text in [
            "",
            "{}",
            r#"{"default":[]}"#,
            r#"{"default":[{}]}"#,
            r#"{"default":[{"type":"x"}]}"#,
            r#"{"default":[],"x":1}"#,
        ] {
            assert!(check(text, "busybox").starts_with("error: "), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", scope in "[a-z*.:/@]{0,20}") {
            check(&text, "busybox");
            check(&format!(r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"{scope}":[{{"type":"reject"}}]}}}}}}"#), "busybox");
        }
    }
}
