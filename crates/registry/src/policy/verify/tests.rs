//! Rules followed on a repository in memory: each test says what the repository has and what the policy answers.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::policy::file::{self, SIGN_PREDICATE};
use crate::policy::testing::{Authority, Leaf, Log, NOW, Repository, Signer};
use crate::policy::{Policy, proto_json};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const IMAGE: &str = "ghcr.io/team/app:v1";

fn digest() -> Digest {
    image::blob::digest_of(spec::digest::Algorithm::Sha256, b"manifest")
}

fn payload(name: &str, digest: &Digest) -> Vec<u8> {
    let payload = json!({"critical": {
        "identity": {"docker-reference": name},
        "image": {"docker-manifest-digest": digest.as_str()},
        "type": "cosign container image signature",
    }, "optional": null});
    payload.to_string().into_bytes()
}

fn sign_cosign(repository: &mut Repository, signer: &Signer, payload: &[u8]) {
    let signature = proto_json::encode(&signer.sign(payload));
    repository.add_cosign(&cosign::tag(&digest()), payload, &[(SIGNATURE, signature)]);
}

fn statement(digest: &Digest, predicate: &str) -> Vec<u8> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.hex()}}],
        "predicateType": predicate,
        "predicate": {},
    });
    statement.to_string().into_bytes()
}

fn envelope(signer: &Signer, payload: &[u8]) -> (Value, Vec<u8>) {
    let kind = "application/vnd.in-toto+json";
    let signed = [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), payload].concat();
    let signature = signer.sign(&signed);
    let encoded = proto_json::encode(&signature);
    (json!({"payload": proto_json::encode(payload), "payloadType": kind, "signatures": [{"sig": encoded}]}), signature)
}

fn add_bundle(repository: &mut Repository, material: &Value, content: &str, value: &Value) {
    let bundle = json!({"mediaType": BUNDLE_TYPE, "verificationMaterial": material, content: value});
    repository.add_referrer(&digest(), BUNDLE_TYPE, BUNDLE_TYPE, bundle.to_string().into_bytes());
}

fn sign_sigstore(repository: &mut Repository, signer: &Signer, payload: &[u8]) {
    add_bundle(repository, &json!({"publicKey": {"hint": ""}}), "dsseEnvelope", &envelope(signer, payload).0);
}

fn policy(lines: &str) -> Policy {
    let text = format!("default = \"reject\"\n[[rule]]\nimages = [\"ghcr.io/team\"]\n{lines}");
    file::parse(&text, Path::new("/etc/brig/policy.toml")).unwrap()
}

fn by_keys(kind: &str, signers: &[&Signer], more: &str) -> Policy {
    let keys: Vec<String> = signers.iter().map(|signer| format!("'''{}'''", signer.pem())).collect();
    policy(&format!("policy = \"{kind}\"\nkeys = [{}]\n{more}", keys.join(",")))
}

fn check_image(policy: &Policy, repository: &Repository, image: &str) -> String {
    match policy.check(repository, &Reference::parse(image).unwrap(), &[&digest()]) {
        Ok(verified) => format!("{} signers", verified.signers.len()),
        Err(Error::Refused(refusal)) => refusal.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

fn check(policy: &Policy, repository: &Repository) -> String {
    check_image(policy, repository, IMAGE)
}

#[test]
fn accepted_and_rejected_without_a_look() {
    let repository = Repository { broken: true, ..Repository::default() };
    assert_eq!(check(&policy("policy = \"accept\""), &repository), "0 signers");
    let rejected = "ghcr.io/team/app:v1 is refused by the rule for ghcr.io/team in /etc/brig/policy.toml: its images are \
                    rejected; change the rule to allow it";
    assert_eq!(check(&policy("policy = \"reject\""), &repository), rejected);
    let default = "busybox:latest is refused by the default rule in /etc/brig/policy.toml: no other rule is for it; change \
                   the rule to allow it";
    assert_eq!(check_image(&policy("policy = \"accept\""), &repository, "busybox"), default);
}

#[test]
fn cosigns_form() {
    let (signer, other) = (Signer::new(), Signer::new());
    let mut repository = Repository::default();
    let rule = by_keys("signed", &[&signer], "");
    let none = format!(
        "{IMAGE} is refused by the rule for ghcr.io/team in /etc/brig/policy.toml: {} has no signature; sign it by a \
         signer of the rule (`cosign sign`), or change the rule",
        digest()
    );
    assert_eq!(check(&rule, &repository), none);
    sign_cosign(&mut repository, &other, &payload("ghcr.io/team/app", &digest()));
    assert!(check(&rule, &repository).contains("has no signature that counts (signature 1 in tag sha256-"));
    assert!(check(&rule, &repository).contains(".sig: it is not made by a key of the rule); sign it"));
    sign_cosign(&mut repository, &signer, &payload("ghcr.io/team/app", &digest()));
    assert_eq!(check(&rule, &repository), "1 signers");
    assert_eq!(check(&by_keys("cosign", &[&signer], ""), &repository), "1 signers");
    assert!(check(&by_keys("sigstore", &[&signer], ""), &repository).contains("has no signature; sign it"));
}

/// Files of a run of cosign 3.1.1 with a key of its own (`sign --key`, with and without `--new-bundle-format`).
#[test]
fn what_cosign_signs_is_verified() {
    let image = "127.0.0.1:45871/team/b";
    let digest = "sha256:471aed942d0e7e9fc4930b4647511e2f5fbbdb7a3f9facb8825d94f247265df0";
    let signature = "MEUCIBifDgNt6mEnzon/z5fqaU/LhAto6CYUajEPROR5MFClAiEA4OihI58q9APfoM0wC7GeZgzTWQFE8KdHsuGCJwEB1qE=";
    let (digest, payload) = (Digest::parse(digest).unwrap(), include_bytes!("../testdata/cosign3.payload.json"));
    let mut classic = Repository::default();
    classic.add_cosign(&cosign::tag(&digest), payload, &[(SIGNATURE, signature.to_owned())]);
    let mut bundled = Repository::default();
    let bundle = include_bytes!("../testdata/cosign3.bundle.json").to_vec();
    bundled.add_referrer(&digest, bundle::EMPTY_TYPE, BUNDLE_TYPE, bundle);
    let key = include_str!("../testdata/cosign3.pub");
    let rule = format!(
        "default = \"reject\"\n[[rule]]\nimages = [\"127.0.0.1:45871\"]\npolicy = \"signed\"\nkeys = ['''{key}''']"
    );
    let policy = file::parse(&rule, Path::new("/p")).unwrap();
    let check = |repository: &Repository, image: &str| {
        policy.check(repository, &Reference::parse(image).unwrap(), &[&digest]).map(|verified| verified.signers)
    };
    for repository in [&classic, &bundled] {
        assert_eq!(check(repository, image).unwrap(), ["the text"]);
    }
    assert!(check(&classic, "127.0.0.1:45871/team/c").is_err(), "the name is signed");
}

#[test]
fn a_signature_is_for_one_image() {
    let signer = Signer::new();
    let rule = by_keys("signed", &[&signer], "");
    let other = Digest::from_hash(&[9; 32]);
    for (payload, part) in [
        (payload("ghcr.io/team/app", &other), format!("it is for another digest, {other}")),
        (payload("ghcr.io/team/other", &digest()), "it is for ghcr.io/team/other".to_owned()),
        (payload("evil.example.com/team/app", &digest()), "it is for evil.example.com/team/app".to_owned()),
        (payload("ghcr.io/team/app:v0", &digest()), "it is for ghcr.io/team/app:v0, not for this tag".to_owned()),
        (payload("\u{1b}[2J", &digest()), "it is for ` [2J`, which is no name of an image".to_owned()),
        (payload("", &digest()), "it is for ``, which is no name".to_owned()),
        (b"{}".to_vec(), "its payload cannot be read: missing field `critical`".to_owned()),
        (b"[[[[".to_vec(), "its payload cannot be read".to_owned()),
        (b"\xff\xfe".to_vec(), "its payload cannot be read".to_owned()),
    ] {
        let mut repository = Repository::default();
        sign_cosign(&mut repository, &signer, &payload);
        let answer = check(&rule, &repository);
        assert!(answer.contains(&part), "{answer}");
    }
}

#[test]
fn copies_may_be_signed_as_the_original() {
    let signer = Signer::new();
    let mut repository = Repository::default();
    sign_cosign(&mut repository, &signer, &payload("quay.io/upstream/app:v7", &digest()));
    assert!(check(&by_keys("cosign", &[&signer], ""), &repository).contains("it is for quay.io/upstream/app:v7"));
    let copies = by_keys("cosign", &[&signer], "signed_as = \"quay.io/upstream\"");
    assert_eq!(check(&copies, &repository), "1 signers");
}

#[test]
fn what_was_signed_may_not_be_changed() {
    let signer = Signer::new();
    let good = payload("ghcr.io/team/app", &digest());
    let signature = signer.sign(&good);
    for (bytes, encoded) in [
        ([&good[..], b" "].concat(), proto_json::encode(&signature)),
        (good.clone(), proto_json::encode(&[&signature[..], &[0]].concat())),
        (good.clone(), proto_json::encode(b"")),
        (good.clone(), format!(" {}", proto_json::encode(&signature))),
        (good.clone(), "%".to_owned()),
    ] {
        let mut repository = Repository::default();
        repository.add_cosign(&cosign::tag(&digest()), &bytes, &[(SIGNATURE, encoded)]);
        let answer = check(&by_keys("signed", &[&signer], ""), &repository);
        assert!(answer.contains("has no signature that counts"), "{answer}");
    }
}

#[test]
fn a_threshold_counts_signers() {
    let (one, two, three) = (Signer::new(), Signer::new(), Signer::new());
    let rule = by_keys("signed", &[&one, &two, &three], "threshold = 2");
    let mut repository = Repository::default();
    let good = payload("ghcr.io/team/app", &digest());
    sign_cosign(&mut repository, &one, &good);
    sign_cosign(&mut repository, &one, &good);
    sign_sigstore(&mut repository, &one, &statement(&digest(), SIGN_PREDICATE));
    assert!(check(&rule, &repository).contains("is signed by 1 of the 2 signers that are needed; sign it"));
    sign_sigstore(&mut repository, &three, &statement(&digest(), SIGN_PREDICATE));
    assert_eq!(check(&rule, &repository), "2 signers");
}

#[test]
fn bundles_by_key() {
    let (signer, other) = (Signer::new(), Signer::new());
    let rule = by_keys("sigstore", &[&signer], "");
    for (by, payload, part) in [
        (&signer, statement(&digest(), SIGN_PREDICATE), "1 signers"),
        (&other, statement(&digest(), SIGN_PREDICATE), "it is not made by a key of the rule"),
        (&signer, statement(&Digest::from_hash(&[9; 32]), SIGN_PREDICATE), "it is for another digest"),
        (
            &signer,
            statement(&digest(), "https://spdx.dev/Document"),
            "no signature but a statement `https://spdx.dev/Doc",
        ),
        (&signer, b"{}".to_vec(), "its statement cannot be read"),
    ] {
        let mut repository = Repository::default();
        sign_sigstore(&mut repository, by, &payload);
        let answer = check(&rule, &repository);
        assert!(answer.contains(part), "{answer}");
    }
    let mut repository = Repository::default();
    sign_sigstore(&mut repository, &signer, &statement(&digest(), "https://slsa.dev/provenance/v1"));
    let provenance = by_keys("sigstore", &[&signer], "predicates = [\"https://slsa.dev/provenance/v1\"]");
    assert_eq!(check(&provenance, &repository), "1 signers");
}

#[test]
fn bundles_over_the_manifest() {
    let signer = Signer::new();
    let rule = by_keys("sigstore", &[&signer], "");
    let mut repository = Repository::default();
    let signature = json!({"signature": proto_json::encode(&signer.sign(b"manifest"))});
    add_bundle(&mut repository, &json!({}), "messageSignature", &signature);
    assert!(check(&rule, &repository).contains("it is not made by a key of the rule"), "the manifest is not there");
    repository.manifests.insert(digest().to_string(), b"manifest".to_vec());
    assert_eq!(check(&rule, &repository), "1 signers");
    // A registry that hands out another manifest, signed as well, for the digest asked for.
    let mut repository = Repository::default();
    let signature = json!({"signature": proto_json::encode(&signer.sign(b"older manifest"))});
    add_bundle(&mut repository, &json!({}), "messageSignature", &signature);
    repository.manifests.insert(digest().to_string(), b"older manifest".to_vec());
    assert!(check(&rule, &repository).contains("it is for another manifest"));
}

#[test]
fn keys_may_need_a_log() {
    let (signer, log) = (Signer::new(), Log::new());
    let rule = by_keys("signed", &[&signer], &format!("rekor = ['''{}''']", log.0.pem()));
    let good = payload("ghcr.io/team/app", &digest());
    let mut repository = Repository::default();
    sign_cosign(&mut repository, &signer, &good);
    assert!(check(&rule, &repository).contains("it is not recorded in a transparency log"));
    let signature = signer.sign(&good);
    let with = |log: &Log| {
        let entry = log.annotation(&Log::hashedrekord(&good, &signature, &signer.pem()), NOW).to_string();
        let mut repository = Repository::default();
        let annotations = [(SIGNATURE, proto_json::encode(&signature)), ("dev.sigstore.cosign/bundle", entry)];
        repository.add_cosign(&cosign::tag(&digest()), &good, &annotations);
        check(&rule, &repository)
    };
    assert_eq!(with(&log), "1 signers");
    assert!(with(&Log::new()).contains("it is recorded in another log than the policy's"));
}

struct Keyless {
    log: Log,
    certificates: Signer,
    authority: Authority,
}

impl Keyless {
    fn rule(&self, subject: &str, kind: &str) -> Policy {
        policy(&format!(
            "policy = \"{kind}\"\nfulcio = '''{}'''\nrekor = ['''{}''']\nctlog = ['''{}''']\n\
             identities = [{{ issuer = \"https://login.example.com\", subject = \"{subject}\" }}]",
            self.authority.pem(),
            self.log.0.pem(),
            self.certificates.pem()
        ))
    }

    fn certificate(&self, signer: &Signer) -> (Vec<u8>, String) {
        let leaf = Leaf { key: Some(signer), log: Some(&self.certificates), ..Leaf::default() };
        let der = self.authority.issue(&leaf);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", proto_json::encode(&der));
        (der, pem)
    }
}

#[test]
fn keyless_in_cosigns_form() {
    let keyless = Keyless { log: Log::new(), certificates: Signer::new(), authority: Authority::new() };
    let signer = Signer::new();
    let (_, pem) = keyless.certificate(&signer);
    let good = payload("ghcr.io/team/app", &digest());
    let signed_at = |signature: &[u8], time: u64| {
        let entry = keyless.log.annotation(&Log::hashedrekord(&good, signature, &pem), time).to_string();
        let mut repository = Repository::default();
        let annotations = [
            (SIGNATURE, proto_json::encode(signature)),
            ("dev.sigstore.cosign/certificate", pem.clone()),
            ("dev.sigstore.cosign/bundle", entry),
        ];
        repository.add_cosign(&cosign::tag(&digest()), &good, &annotations);
        repository
    };
    let repository = signed_at(&signer.sign(&good), NOW);
    assert_eq!(check(&keyless.rule("ci@example.com", "signed"), &repository), "1 signers");
    assert_eq!(check(&keyless.rule("*@example.com", "cosign"), &repository), "1 signers");
    let stranger = check(&keyless.rule("root@example.com", "signed"), &repository);
    assert!(stranger.contains("it is made by ci@example.com (issuer https://login.example.com)"), "{stranger}");
    let late = check(&keyless.rule("ci@example.com", "signed"), &signed_at(&signer.sign(&good), NOW + 3600));
    assert!(late.contains("its certificate is not valid for the policy's authority"), "{late}");
    let thief = check(&keyless.rule("ci@example.com", "signed"), &signed_at(&Signer::new().sign(&good), NOW));
    assert!(thief.contains("it is not made by the key of its certificate"), "{thief}");
    let keyed = check(&by_keys("signed", &[&Signer::new()], ""), &repository);
    assert!(keyed.contains("it is keyless, and the rule names no `identities`"), "{keyed}");
}

#[test]
fn keyless_bundles() {
    let keyless = Keyless { log: Log::new(), certificates: Signer::new(), authority: Authority::new() };
    let signer = Signer::new();
    let (der, pem) = keyless.certificate(&signer);
    let payload = statement(&digest(), SIGN_PREDICATE);
    let (envelope, signature) = envelope(&signer, &payload);
    let entry = keyless.log.bundled(&Log::dsse(&payload, &signature, &pem), NOW);
    let certificate = json!({"rawBytes": proto_json::encode(&der)});
    let with = |entries: Value| {
        let mut repository = Repository::default();
        let material = json!({"certificate": certificate, "tlogEntries": entries});
        add_bundle(&mut repository, &material, "dsseEnvelope", &envelope);
        check(&keyless.rule("ci@example.com", "sigstore"), &repository)
    };
    assert_eq!(with(json!([entry])), "1 signers");
    let foreign = Log::new().bundled(&Log::dsse(&payload, &signature, &pem), NOW);
    assert_eq!(with(json!([foreign, entry])), "1 signers");
    assert!(with(json!([foreign])).contains("another log than the policy's"));
    assert!(with(json!([])).contains("it is not recorded in a transparency log"));
    let mut untimed = entry.clone();
    untimed["inclusionPromise"] = Value::Null;
    assert!(with(json!([untimed])).contains("no signed timestamp, which keyless signatures need"));
    let mut unproved = entry;
    unproved["inclusionProof"]["rootHash"] = json!(proto_json::encode(&[0; 32]));
    assert!(with(json!([unproved])).contains("does not lead to the tree's root"));
    let other = keyless.log.bundled(&Log::dsse(b"{}", &signature, &pem), NOW);
    assert!(with(json!([other])).contains("its log entry is for another signature"));
}

#[test]
fn either_digest_may_be_signed() {
    let signer = Signer::new();
    let rule = by_keys("signed", &[&signer], "");
    let mut repository = Repository::default();
    sign_cosign(&mut repository, &signer, &payload("ghcr.io/team/app", &digest()));
    let (reference, index) = (Reference::parse(IMAGE).unwrap(), Digest::from_hash(&[3; 32]));
    let verified = rule.check(&repository, &reference, &[&index, &digest()]).unwrap();
    assert_eq!(verified.digest, Some(digest()));
    let Err(Error::Refused(refusal)) = rule.check(&repository, &reference, &[&index]) else { panic!("it is unsigned") };
    assert_eq!(refusal.found, format!("{index} has no signature"));
}

#[test]
fn a_registry_that_cannot_be_asked_is_no_acceptance() {
    let repository = Repository { broken: true, ..Repository::default() };
    assert!(check(&by_keys("signed", &[&Signer::new()], ""), &repository).starts_with("Unavailable"));
}

#[test]
fn a_flood_is_bounded() {
    let signer = Signer::new();
    let rule = by_keys("signed", &[&signer], "");
    let mut repository = Repository::default();
    let bad = payload("ghcr.io/team/app", &Digest::from_hash(&[9; 32]));
    for _ in 0..SIGNATURES_MAX {
        sign_cosign(&mut repository, &signer, &bad);
    }
    let answer = check(&rule, &repository);
    assert!(answer.contains("; and 60 more)"), "{answer}");
    sign_cosign(&mut repository, &signer, &payload("ghcr.io/team/app", &digest()));
    let answer = check(&rule, &repository);
    assert!(answer.contains("signatures after the first 64 are not looked at"), "{answer}");
    let mut repository = Repository::default();
    let huge = serde_json::to_vec(&json!({"mediaType": "x".repeat(2 << 20)})).unwrap();
    repository.add_referrer(&digest(), BUNDLE_TYPE, BUNDLE_TYPE, huge);
    assert!(check(&rule, &repository).contains("it is larger than 1 MiB"));
    let mut repository = Repository::default();
    sign_cosign(&mut repository, &signer, &bad);
    repository.blobs.clear();
    sign_sigstore(&mut repository, &signer, &statement(&digest(), SIGN_PREDICATE));
    assert_eq!(check(&rule, &repository), "1 signers", "a signature that is lost does not hide another");
}

#[test]
fn artifacts_that_are_no_signatures() {
    let signer = Signer::new();
    let rule = by_keys("signed", &[&signer], "");
    let mut repository = Repository::default();
    repository.add_referrer(&digest(), "application/spdx+json", "application/spdx+json", b"{}".to_vec());
    repository.add_referrer(&digest(), "", "text/plain", b"{}".to_vec());
    assert!(check(&rule, &repository).contains("has no signature; sign it"));
    repository.manifests.insert(cosign::tag(&digest()), b"{\"schemaVersion\":2,\"layers\":7}".to_vec());
    assert!(check(&rule, &repository).contains(".sig cannot be read"), "{}", check(&rule, &repository));
    // Some registries list bundles under the type of their empty configuration.
    let bundle = json!({"mediaType": BUNDLE_TYPE, "verificationMaterial": {},
        "dsseEnvelope": envelope(&signer, &statement(&digest(), SIGN_PREDICATE)).0});
    let bytes = bundle.to_string().into_bytes();
    repository.add_referrer(&digest(), bundle::EMPTY_TYPE, BUNDLE_TYPE, bytes);
    assert_eq!(check(&rule, &repository), "1 signers");
}
