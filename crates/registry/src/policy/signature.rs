//! One signature as it was found, in either form: what was signed, by whom it claims to be, and the log entries that came
//! with it. `check` believes nothing of it before the signature over it has been verified.

use std::borrow::Cow;

use serde::Deserialize;
use spec::{Digest, Reference};

use super::key::Key;
use super::rekor::{Entry, Verifier};
use super::rule::{Forms, Keyless, Requirement};
use crate::answer::printable;

/// A signature and what belongs to it.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Where it was found, for messages.
    pub place: String,
    pub content: Content,
    pub bytes: Vec<u8>,
    /// Certificate and intermediate ones, in DER, if it is keyless.
    pub chain: Vec<Vec<u8>>,
    pub entries: Vec<Entry>,
}

/// What was signed.
#[derive(Debug, Clone)]
pub enum Content {
    /// A document that names image and digest (containers-signature(5), "critical").
    SimpleSigning(Vec<u8>),
    /// A statement in an envelope (DSSE 1.0).
    Envelope { payload_type: String, payload: Vec<u8> },
    /// The image's own manifest.
    Manifest(Vec<u8>),
}

/// Which of a requirement's signers made a signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signer {
    /// Position among the keys.
    Key(usize),
    /// Position among the identities.
    Identity(usize),
}

/// The type of the document that cosign signs.
const SIMPLE_SIGNING_TYPE: &str = "cosign container image signature";
/// The type of the payload of statements (in-toto attestation framework, envelope layer).
const STATEMENT_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

impl Signature {
    /// Whether this is a signature that `requirement` counts, of the image asked for as `reference` with the digest
    /// `digest`. The error reads as a sentence about the signature: "it is …".
    pub fn check(&self, requirement: &Requirement, reference: &Reference, digest: &Digest) -> Result<Signer, String> {
        let signed = self.signed();
        let signer = match (&requirement.keyless, self.chain.is_empty()) {
            (Some(keyless), false) => self.check_keyless(keyless, &requirement.logs, &signed)?,
            (_, keyed) => self.check_keyed(requirement, &signed, keyed)?,
        };
        self.check_content(requirement, reference, digest)?;
        Ok(signer)
    }

    pub fn form(&self) -> Forms {
        match self.content {
            Content::SimpleSigning(_) => Forms::Cosign,
            Content::Envelope { .. } | Content::Manifest(_) => Forms::Sigstore,
        }
    }

    /// The bytes that the signature is of.
    fn signed(&self) -> Cow<'_, [u8]> {
        match &self.content {
            Content::SimpleSigning(bytes) | Content::Manifest(bytes) => Cow::Borrowed(bytes),
            // The pre-authentication encoding, DSSE 1.0.
            Content::Envelope { payload_type, payload } => {
                let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
                Cow::Owned([head.as_bytes(), payload].concat())
            }
        }
    }

    fn check_keyed(&self, requirement: &Requirement, signed: &[u8], keyed: bool) -> Result<Signer, String> {
        let mut keys = requirement.keys.iter().enumerate();
        let Some((at, key)) = keys.find(|(_, key)| key.verifies(signed, &self.bytes)) else {
            return Err(match (keyed, requirement.keys.is_empty()) {
                (false, _) => "it is keyless, and the rule names no `identities`".to_owned(),
                (true, true) => "it is made by a key, and the rule names identities alone".to_owned(),
                (true, false) => "it is not made by a key of the rule".to_owned(),
            });
        };
        if !requirement.logs.is_empty() {
            self.logged(&requirement.logs, signed, &Verifier::Key(key.clone()))?;
        }
        Ok(Signer::Key(at))
    }

    /// The certificate lives for minutes: it must have been valid when the log recorded the signature.
    fn check_keyless(&self, keyless: &Keyless, logs: &[Key], signed: &[u8]) -> Result<Signer, String> {
        let verifier = Verifier::Certificate(self.chain.first().cloned().unwrap_or_default());
        let time = self.logged(logs, signed, &verifier)?;
        let time = time.ok_or("its log entry has no signed timestamp, which keyless signatures need")?;
        let person = keyless.authority.verify(&self.chain, time, &keyless.certificate_logs)?;
        if !person.key.verifies(signed, &self.bytes) {
            return Err("it is not made by the key of its certificate".to_owned());
        }
        let fits = |subject: &&String| keyless.identities.iter().any(|one| one.matches(&person.issuer, subject));
        let position = person.subjects.iter().find(fits).and_then(|subject| {
            keyless.identities.iter().position(|identity| identity.matches(&person.issuer, subject))
        });
        position.map(Signer::Identity).ok_or_else(|| {
            printable(&format!("it is made by {} (issuer {})", person.subjects.join(", "), person.issuer))
        })
    }

    /// Looks for an entry of one of the logs that records this signature.
    fn logged(&self, logs: &[Key], signed: &[u8], verifier: &Verifier) -> Result<Option<u64>, String> {
        let payload = match &self.content {
            Content::Envelope { payload, .. } => payload,
            _ => signed,
        };
        let mut failure = "it is not recorded in a transparency log, which the rule asks for (`rekor`)".to_owned();
        for entry in &self.entries {
            let outcome = entry.records(signed, payload, &self.bytes, verifier).and_then(|()| entry.verify(logs));
            match outcome {
                Ok(time) => return Ok(time),
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    /// What the signed content says: it is about this digest, and about this name where it has one.
    fn check_content(&self, requirement: &Requirement, reference: &Reference, digest: &Digest) -> Result<(), String> {
        match &self.content {
            Content::SimpleSigning(payload) => {
                let claim = Claim::parse(payload)?;
                if claim.digest != digest.as_str() {
                    return Err(format!("it is for another digest, {}", printable(&claim.digest)));
                }
                requirement.name.check(&claim.name, reference, digest)
            }
            Content::Envelope { payload_type, payload } => {
                Statement::parse(payload_type, payload)?.check(&requirement.predicates, digest)
            }
            Content::Manifest(bytes) => match image::blob::digest_of(digest.algorithm(), bytes) == *digest {
                true => Ok(()),
                false => Err("it is for another manifest".to_owned()),
            },
        }
    }
}

/// What cosign's payload says.
struct Claim {
    digest: String,
    name: String,
}

impl Claim {
    fn parse(payload: &[u8]) -> Result<Claim, String> {
        #[derive(Deserialize)]
        struct Document {
            critical: Critical,
        }
        #[derive(Deserialize)]
        struct Critical {
            identity: Identity,
            image: Image,
            #[serde(rename = "type")]
            kind: String,
        }
        #[derive(Deserialize)]
        struct Identity {
            #[serde(rename = "docker-reference")]
            name: String,
        }
        #[derive(Deserialize)]
        struct Image {
            #[serde(rename = "docker-manifest-digest")]
            digest: String,
        }
        let document: Document =
            serde_json::from_slice(payload).map_err(|error| format!("its payload cannot be read: {error}"))?;
        let Critical { identity, image, kind } = document.critical;
        match kind == SIMPLE_SIGNING_TYPE {
            true => Ok(Claim { digest: image.digest, name: identity.name }),
            false => Err(format!("its payload is no image signature but `{}`", printable(&kind))),
        }
    }
}

/// What the statement in an envelope says (in-toto attestation framework, statement layer).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

impl Statement {
    fn parse(payload_type: &str, payload: &[u8]) -> Result<Statement, String> {
        if payload_type != STATEMENT_PAYLOAD_TYPE {
            return Err(format!("its payload is no statement but `{}`", printable(payload_type)));
        }
        let statement: Statement =
            serde_json::from_slice(payload).map_err(|error| format!("its statement cannot be read: {error}"))?;
        match statement.kind.as_str() {
            "https://in-toto.io/Statement/v1" | "https://in-toto.io/Statement/v0.1" => Ok(statement),
            other => Err(format!("its statement has the unknown type `{}`", printable(other))),
        }
    }

    fn check(&self, predicates: &[String], digest: &Digest) -> Result<(), String> {
        if !predicates.contains(&self.predicate_type) {
            return Err(format!("it is no signature but a statement `{}`", printable(&self.predicate_type)));
        }
        let algorithm = digest.algorithm().name();
        let is_subject = |subject: &Subject| subject.digest.get(algorithm).is_some_and(|hex| hex == digest.hex());
        match self.subject.iter().any(is_subject) {
            true => Ok(()),
            false => Err("it is for another digest".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn payloads_that_are_none() {
        let digest = Digest::from_hash(&[1; 32]);
        let good = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"x"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
        );
        assert_eq!(Claim::parse(good.as_bytes()).ok().map(|claim| claim.digest), Some(digest.to_string()));
        for text in [
            "".to_owned(),
            "[]".to_owned(),
            good.replace("cosign container", "atomic container"),
            good.replace("\"x\"", "1"),
            good.replace(r#""identity":{"docker-reference":"x"},"#, ""),
            good.replace(r#""type""#, r#""image":{"docker-manifest-digest":"y"},"type""#),
            format!("{good}{good}"),
            "[".repeat(100_000),
        ] {
            assert!(Claim::parse(text.as_bytes()).is_err(), "{text:.100}");
        }
    }

    #[test]
    fn statements_are_about_the_digest() {
        let digest = Digest::from_hash(&[1; 32]);
        let sign = vec!["https://sigstore.dev/cosign/sign/v1".to_owned()];
        let check = |kind: &str, text: String| -> Result<(), String> {
            Statement::parse(kind, text.as_bytes()).and_then(|statement| statement.check(&sign, &digest))
        };
        let good = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"{}","predicate":{{}}}}"#,
            digest.hex(),
            sign[0]
        );
        assert_eq!(check(STATEMENT_PAYLOAD_TYPE, good.clone()), Ok(()));
        assert!(check("text/plain", good.clone()).is_err());
        for (from, to) in [
            ("sha256", "sha512"),
            (digest.hex(), "00"),
            ("cosign/sign/v1", "cosign/other"),
            ("Statement/v1", "Statement/v9"),
            ("[{", "[{\"digest\":{}},{"),
            (r#""subject":["#, r#""subject":[],"x":["#),
        ] {
            assert!(check(STATEMENT_PAYLOAD_TYPE, good.replace(from, to)).is_err() || to.starts_with("[{"), "{to}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), text in r#"[\{\}\[\]",:a-z0-9 ]{0,60}"#) {
            let _ = (Claim::parse(&bytes), Claim::parse(text.as_bytes()));
            let _ = Statement::parse(STATEMENT_PAYLOAD_TYPE, text.as_bytes());
        }
    }
}
