//! Sigstore bundles (v0.3): one JSON document with signature, certificate and log entries, stored as an OCI 1.1 artifact
//! that refers to the image (cosign's `BUNDLE_SPEC.md`). Cosign 3 signs so, with a statement in an envelope; a signature
//! over the image's manifest itself is understood as well.

use serde::Deserialize;
use spec::Digest;
use spec::image::{Descriptor, Manifest};

use super::Source;
use super::proto_json::{Bytes, Number};
use super::rekor::{Entry, Proof};
use super::signature::{Content, Signature};
use super::verify::Found;
use crate::Error;
use crate::answer::printable;

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The same, as the first drafts of v0.3 wrote it.
const MEDIA_TYPE_OLD: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";
/// How every version starts.
pub const MEDIA_TYPE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
/// The type that some registries and versions of cosign list instead.
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// Says what an envelope in a bundle states, so that it need not be fetched.
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
/// Largest bundle, in bytes; a signature has some ten thousand.
const SIZE_MAX: u64 = 1 << 20;
/// Most log entries and certificates that are looked at in one bundle.
const PARTS_MAX: usize = 8;

/// Adds the signature in the bundle that the manifest `referrer` carries. `subject` is the image's manifest, fetched only
/// if a signature is over it.
pub fn collect(
    source: &dyn Source,
    referrer: &[u8],
    place: &str,
    predicates: &[String],
    subject: &Digest,
    found: &mut Found,
) -> Result<(), Error> {
    let Ok(manifest) = Manifest::parse(referrer) else { return Ok(()) };
    if manifest.annotations.get(PREDICATE).is_some_and(|predicate| !predicates.contains(predicate)) {
        return Ok(());
    }
    for layer in manifest.layers.iter().filter(|layer| layer.media_type.starts_with(MEDIA_TYPE_PREFIX)) {
        if layer.size > SIZE_MAX {
            found.note(format!("{place}: it is larger than {} MiB", SIZE_MAX >> 20));
        } else if !found.admits_more() {
            return Ok(());
        } else {
            let bytes = source.blob(layer)?.ok_or_else(|| "the registry has lost it".to_owned());
            let mut parsed = bytes.and_then(|bytes| parse(&bytes, place));
            if let Ok(Signature { content: Content::Manifest(bytes), .. }) = &mut parsed {
                *bytes = source.manifest(subject.as_str())?.unwrap_or_default();
            }
            match parsed {
                Ok(signature) => found.signatures.push(signature),
                Err(why) => found.note(format!("{place}: {why}")),
            }
        }
    }
    Ok(())
}

/// Whether a descriptor in the list of referrers may be a bundle's.
pub fn may_be_bundle(descriptor: &Descriptor) -> bool {
    let kind = descriptor.artifact_type.as_str();
    let other = kind.is_empty() && !descriptor.annotations.contains_key(PREDICATE);
    kind.starts_with(MEDIA_TYPE_PREFIX) || kind == EMPTY_TYPE || other
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    message_signature: Option<MessageSignature>,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<RawBytes>,
    x509_certificate_chain: Option<Chain>,
    #[serde(default)]
    tlog_entries: Vec<LogEntry>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: Bytes,
}

#[derive(Deserialize)]
struct MessageSignature {
    signature: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: Bytes,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    #[serde(default)]
    log_index: Number,
    log_id: LogId,
    #[serde(default)]
    integrated_time: Number,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Option<Proof>,
    canonicalized_body: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: Bytes,
}

/// The signature in a bundle. Where it is over the manifest, `Content::Manifest` is empty: the caller has it.
fn parse(bytes: &[u8], place: &str) -> Result<Signature, String> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|error| format!("it cannot be read: {error}"))?;
    if bundle.media_type != MEDIA_TYPE && bundle.media_type != MEDIA_TYPE_OLD {
        return Err(format!("bundles of this version are not supported: `{}`", printable(&bundle.media_type)));
    }
    let (content, signature) = match (bundle.dsse_envelope, bundle.message_signature) {
        (Some(envelope), None) => {
            let Ok([EnvelopeSignature { sig }]) = <[_; 1]>::try_from(envelope.signatures) else {
                return Err("its envelope has not exactly one signature".to_owned());
            };
            (Content::Envelope { payload_type: envelope.payload_type, payload: envelope.payload.0 }, sig)
        }
        (None, Some(message)) => (Content::Manifest(Vec::new()), message.signature),
        _ => return Err("it has not exactly one signature".to_owned()),
    };
    let Material { certificate, x509_certificate_chain, tlog_entries } = bundle.verification_material;
    let chain =
        certificate.into_iter().chain(x509_certificate_chain.map(|chain| chain.certificates).unwrap_or_default());
    let chain: Vec<_> = chain.map(|certificate| certificate.raw_bytes.0).collect();
    if chain.len() > PARTS_MAX || tlog_entries.len() > PARTS_MAX {
        return Err(format!("it has more than {PARTS_MAX} certificates or log entries"));
    }
    let entries = tlog_entries.into_iter().map(|entry| Entry {
        body: entry.canonicalized_body.0,
        time: entry.integrated_time.0,
        index: entry.log_index.0,
        log_id: entry.log_id.key_id.0,
        promise: entry.inclusion_promise.map(|promise| promise.signed_entry_timestamp.0),
        proof: entry.inclusion_proof,
    });
    Ok(Signature { place: place.to_owned(), content, bytes: signature.0, chain, entries: entries.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) -> String {
        match parse(text.as_bytes(), "x") {
            Ok(signature) => format!("{} certificates, {} entries", signature.chain.len(), signature.entries.len()),
            Err(error) => error,
        }
    }

    const ENVELOPE: &str =
        r#""dsseEnvelope":{"payload":"e30=","payloadType":"t","signatures":[{"sig":"AA==","keyid":""}]}"#;

    fn with(material: &str, rest: &str) -> String {
        format!(r#"{{"mediaType":"{MEDIA_TYPE}","verificationMaterial":{material},{rest}}}"#)
    }

    #[test]
    fn parts_of_a_bundle() {
        assert_eq!(check(&with(r#"{"publicKey":{"hint":"x"}}"#, ENVELOPE)), "0 certificates, 0 entries");
        let keyless = r#"{"certificate":{"rawBytes":"AA=="},"tlogEntries":[{"logIndex":"1","logId":{"keyId":"AA=="},
            "kindVersion":{"kind":"dsse","version":"0.0.1"},"integratedTime":"5","inclusionPromise":{"signedEntryTimestamp":"AA=="},
            "inclusionProof":{"logIndex":"0","rootHash":"AA==","treeSize":"1","hashes":[],"checkpoint":{"envelope":"x"}},
            "canonicalizedBody":"e30="}]}"#;
        assert_eq!(check(&with(keyless, ENVELOPE)), "1 certificates, 1 entries");
        let message =
            r#""messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AA=="},"signature":"AA=="}"#;
        assert_eq!(check(&with("{}", message)), "0 certificates, 0 entries");
    }

    #[test]
    fn bundles_that_are_none() {
        let good = with("{}", ENVELOPE);
        for (text, part) in [
            (String::new(), "cannot be read"),
            ("[1]".to_owned(), "cannot be read"),
            (good.replace("v0.3", "v0.9"), "not supported: `application/vnd.dev.sigstore.bundle.v0.9+json`"),
            (good.replace("e30=", "%"), "cannot be read"),
            (good.replace(r#""AA==""#, "7"), "cannot be read"),
            (good.replace(r#""keyid":"""#, r#""sig":"AA==""#), "cannot be read"),
            (good.replace(r#"{"sig":"AA==","keyid":""}"#, ""), "not exactly one signature"),
            (good.replace("[{", r#"[{"sig":"AA=="},{"#), "not exactly one signature"),
            (
                good.replace("\"dsseEnvelope\"", r#""messageSignature":{"signature":"AA=="},"dsseEnvelope""#),
                "not exactly one",
            ),
            (good.replace("dsseEnvelope", "other"), "not exactly one"),
            (
                with(
                    &format!(
                        r#"{{"x509CertificateChain":{{"certificates":[{}]}}}}"#,
                        [r#"{"rawBytes":"AA=="}"#; 9].join(",")
                    ),
                    ENVELOPE,
                ),
                "more than 8",
            ),
            (with(&"[".repeat(10_000), ENVELOPE), "cannot be read"),
        ] {
            let error = check(&text);
            assert!(error.contains(part), "{text:.200}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), byte: u8) {
            let _ = parse(&bytes, "x");
            let mut text = with("{}", ENVELOPE).into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            let _ = parse(&text, "x");
        }
    }
}
