//! Signatures as cosign has stored them from the start: a manifest under the tag `sha256-<hex>.sig` (or, since OCI 1.1,
//! one that refers to the image), each layer of which is a signed document, with signature, certificates and log entry in
//! annotations (cosign's `SIGNATURE_SPEC.md`).

use rustls::pki_types::CertificateDer;
use spec::Digest;
use spec::image::{Descriptor, Manifest};

use super::rekor::Entry;
use super::signature::{Content, Signature};
use super::verify::Found;
use super::{Source, fulcio, proto_json};
use crate::Error;

/// Type of the manifests that refer to an image.
pub const ARTIFACT_TYPE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
/// Largest signed document, in bytes; they have a few hundred.
const PAYLOAD_SIZE_MAX: u64 = 128 << 10;

/// The tag that holds the signatures of an image.
pub fn tag(digest: &Digest) -> String {
    format!("{}-{}.sig", digest.algorithm().name(), digest.hex())
}

/// Adds the signatures in `manifest`, which was found at `place`. Payloads are fetched; what cannot be used is noted.
pub fn collect(source: &dyn Source, manifest: &[u8], place: &str, found: &mut Found) -> Result<(), Error> {
    let manifest = match Manifest::parse(manifest) {
        Ok(manifest) => manifest,
        Err(why) => {
            found.note(format!("{place} {why}"));
            return Ok(());
        }
    };
    for (number, layer) in manifest.layers.iter().enumerate() {
        let place = format!("signature {} in {place}", number + 1);
        if layer.media_type != PAYLOAD_TYPE {
            found.note(format!("{place}: it has an unknown type"));
        } else if layer.size > PAYLOAD_SIZE_MAX {
            found.note(format!("{place}: it is larger than {} KiB", PAYLOAD_SIZE_MAX >> 10));
        } else if !found.admits_more() {
            return Ok(());
        } else {
            let payload = source.blob(layer)?.ok_or_else(|| "the registry has lost it".to_owned());
            match payload.and_then(|payload| signature(layer, payload, &place)) {
                Ok(signature) => found.signatures.push(signature),
                Err(why) => found.note(format!("{place}: {why}")),
            }
        }
    }
    Ok(())
}

fn signature(layer: &Descriptor, payload: Vec<u8>, place: &str) -> Result<Signature, String> {
    let annotation = |name: &str| layer.annotations.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let text = annotation(SIGNATURE).ok_or("it has no annotation with the signature")?;
    let bytes = proto_json::decode(text).ok_or("it is not base64")?;
    let mut chain: Vec<CertificateDer<'_>> = Vec::new();
    if let Some(pem) = annotation(CERTIFICATE) {
        chain = fulcio::certificates(pem.as_bytes()).map_err(|why| format!("its certificate {why}"))?;
        let rest = annotation(CHAIN).map_or(Ok(Vec::new()), |pem| fulcio::certificates(pem.as_bytes()));
        chain.extend(rest.map_err(|why| format!("its chain of certificates {why}"))?);
    }
    Ok(Signature {
        place: place.to_owned(),
        content: Content::SimpleSigning(payload),
        bytes,
        chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
        entries: annotation(LOG_ENTRY).map(Entry::from_annotation).transpose()?.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(annotations: &[(&str, &str)]) -> Descriptor {
        let mut layer = Descriptor::new(PAYLOAD_TYPE, Digest::from_hash(&[1; 32]), 1);
        layer.annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        layer
    }

    #[test]
    fn tags_are_cosigns() {
        assert_eq!(tag(&Digest::from_hash(&[1; 32])), format!("sha256-{}.sig", "01".repeat(32)));
    }

    #[test]
    fn annotations_that_are_none() {
        for (annotations, part) in [
            (&[][..], "has no annotation"),
            (&[(SIGNATURE, "")], "has no annotation"),
            (&[(SIGNATURE, "%%%")], "is not base64"),
            (&[(SIGNATURE, "AA")], "is not base64"),
            (&[(SIGNATURE, "AA=="), (LOG_ENTRY, "{}")], "its log entry cannot be read"),
            (&[(SIGNATURE, "AA=="), (CERTIFICATE, "-----BEGIN CERTIFICATE-----\n%")], "its certificate cannot be read"),
        ] {
            let error = signature(&layer(annotations), Vec::new(), "x").unwrap_err();
            assert!(error.contains(part), "{annotations:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}", other in "[A-Za-z0-9+/={}\":,-]{0,40}") {
            let _ = signature(&layer(&[(SIGNATURE, &text), (CERTIFICATE, &other)]), Vec::new(), "x");
            let _ = signature(&layer(&[(SIGNATURE, "AA=="), (CHAIN, &text), (CERTIFICATE, &other), (LOG_ENTRY, &other)]), Vec::new(), "x");
        }
    }
}
