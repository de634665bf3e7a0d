//! Keyless signatures: whether a short-lived certificate comes from the authority that the policy gives (Fulcio, or one
//! like it), was valid at the time of the signature, and whom it names. webpki builds and verifies the chain; what it does
//! not hand out (mail addresses, Fulcio's own extensions) is read from the certificate after that.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::ring as algorithm;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::der::{self, Certificate, Reader, UTF8_STRING};
use super::key::Key;
use super::sct;

/// `id-kp-codeSigning`, 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
/// `extKeyUsage`, 2.5.29.37.
const USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// `subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// The OpenID issuer, 1.3.6.1.4.1.57264.1.8, as a UTF8String, and 1.3.6.1.4.1.57264.1.1, as bare text (Fulcio's
/// `oid-info.md`).
const ISSUER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
const ISSUER_OLD: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 1];
/// `rfc822Name` and `uniformResourceIdentifier` in a `GeneralName` (RFC 5280, section 4.2.1.6).
const MAIL: u8 = 0x81;
const URI: u8 = 0x86;
/// Longest chain that is looked at.
const CHAIN_MAX: usize = 8;

static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 7] = [
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P256_SHA384,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::RSA_PKCS1_2048_8192_SHA384,
];

/// Certificates of an authority: roots, and intermediate ones that signatures do not carry (bundles never do).
#[derive(Debug, Clone)]
pub struct Authority {
    roots: Vec<CertificateDer<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

/// Whom a verified certificate names.
#[derive(Debug)]
pub struct Person {
    /// Mail addresses and URIs.
    pub subjects: Vec<String>,
    /// Who has checked that: an OpenID provider.
    pub issuer: String,
    pub key: Key,
}

/// All certificates of a PEM text.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| "cannot be read as PEM".to_owned())
}

impl Authority {
    /// Self-signed certificates of the PEM text are roots; if there are none, all are.
    pub fn from_pem(pem: &[u8]) -> Result<Authority, String> {
        let all = certificates(pem)?;
        if all.is_empty() {
            return Err("has no PEM block `CERTIFICATE`".to_owned());
        }
        for certificate in &all {
            anchor_from_trusted_cert(certificate).map_err(|error| format!("has a broken certificate: {error}"))?;
        }
        let is_root = |certificate: &CertificateDer<'_>| {
            Certificate::parse(certificate).is_some_and(|certificate| certificate.issuer == certificate.subject)
        };
        let (roots, intermediates): (Vec<_>, Vec<_>) = all.into_iter().partition(is_root);
        Ok(match roots.is_empty() {
            true => Authority { roots: intermediates, intermediates: Vec::new() },
            false => Authority { roots, intermediates },
        })
    }

    /// Verifies a chain (the signer's certificate first) for `time`, in seconds since 1970.
    pub fn verify(&self, chain: &[Vec<u8>], time: u64, logs: &[Key]) -> Result<Person, String> {
        let (leaf, rest) = chain.split_first().filter(|_| chain.len() <= CHAIN_MAX).ok_or("its chain is too long")?;
        let anchors: Vec<TrustAnchor<'_>> =
            self.roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
        let intermediates: Vec<CertificateDer<'_>> =
            self.intermediates.iter().cloned().chain(rest.iter().map(|der| CertificateDer::from(&der[..]))).collect();
        let leaf = CertificateDer::from(&leaf[..]);
        let bad = |error: webpki::Error| format!("its certificate is not valid for the policy's authority: {error}");
        let entity = EndEntityCert::try_from(&leaf).map_err(bad)?;
        // An authority's certificates may leave their usage open; the signer's may not, see below.
        let usage = KeyUsage::required_if_present(CODE_SIGNING);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(time));
        let path =
            entity.verify_for_usage(&ALGORITHMS, &anchors, &intermediates, time, usage, None, None).map_err(bad)?;
        let certificate = Certificate::parse(&leaf).ok_or("its certificate cannot be read")?;
        if certificate.extension(USAGE).is_none() {
            return Err("its certificate is not for signing code".to_owned());
        }
        if !logs.is_empty() {
            sct::verify(&certificate, &path.issuer_spki(), logs)?;
        }
        let key = Key::from_spki(&entity.subject_public_key_info(), "its certificate")
            .map_err(|why| format!("the key of its certificate {why}"))?;
        Ok(Person { subjects: subjects(&certificate), issuer: issuer(&certificate)?, key })
    }
}

fn subjects(certificate: &Certificate<'_>) -> Vec<String> {
    let list = certificate.extension(SUBJECT_ALT_NAME).and_then(|value| Reader(value).expect_only(der::SEQUENCE));
    let mut names = Reader(list.unwrap_or_default());
    let mut subjects = Vec::new();
    while let Some(name) = names.element() {
        if matches!(name.tag, MAIL | URI) {
            subjects.extend(std::str::from_utf8(name.content).map(str::to_owned));
        }
    }
    subjects
}

/// Both extensions may be there; then they have to agree.
fn issuer(certificate: &Certificate<'_>) -> Result<String, String> {
    let new = certificate.extension(ISSUER).map(|value| Reader(value).expect_only(UTF8_STRING).unwrap_or_default());
    let old = certificate.extension(ISSUER_OLD);
    let issuer = match (new, old) {
        (Some(new), Some(old)) if new != old => None,
        (new, old) => new.or(old),
    };
    let text = issuer.and_then(|issuer| std::str::from_utf8(issuer).ok()).filter(|issuer| !issuer.is_empty());
    text.map(str::to_owned).ok_or_else(|| "its certificate names no issuer of the identity".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority as Issuing, Leaf, NOW};
    use super::*;
    use proptest::prelude::*;

    fn check(authority: &Authority, chain: &[Vec<u8>], time: u64) -> String {
        match authority.verify(chain, time, &[]) {
            Ok(person) => format!("{} by {}", person.subjects.join(","), person.issuer),
            Err(error) => error,
        }
    }

    const BAD: &str = "its certificate is not valid for the policy's authority: ";

    #[test]
    fn names_come_from_a_verified_certificate() {
        let issuing = Issuing::new();
        let authority = issuing.authority();
        let leaf = Leaf::default();
        assert_eq!(check(&authority, &[issuing.issue(&leaf)], NOW), "ci@example.com by https://login.example.com");
        let uri = Leaf { uri: Some("https://example.com/ci@refs/tags/v1"), mail: None, ..leaf };
        let expected = "https://example.com/ci@refs/tags/v1 by https://login.example.com";
        assert_eq!(check(&authority, &[issuing.issue(&uri)], NOW), expected);
    }

    #[test]
    fn certificates_of_others() {
        let (issuing, other) = (Issuing::new(), Issuing::new());
        let authority = issuing.authority();
        let chain = [other.issue(&Leaf::default()), other.certificate.clone()];
        assert!(check(&authority, &chain, NOW).starts_with(BAD));
        assert!(check(&authority, &[], NOW).contains("too long"));
        assert!(check(&authority, &[b"x".to_vec()], NOW).starts_with(BAD));
        assert!(check(&authority, &vec![issuing.issue(&Leaf::default()); 9], NOW).contains("too long"));
    }

    #[test]
    fn the_time_of_the_signature_counts() {
        let issuing = Issuing::new();
        let chain = [issuing.issue(&Leaf::default())];
        assert!(check(&issuing.authority(), &chain, NOW + 3600).starts_with(BAD));
        assert!(check(&issuing.authority(), &chain, NOW - 3600).starts_with(BAD));
        assert!(check(&issuing.authority(), &chain, u64::MAX).starts_with(BAD));
    }

    #[test]
    fn a_certificate_for_something_else() {
        let issuing = Issuing::new();
        let tls = Leaf { usage: &[0x2b, 6, 1, 5, 5, 7, 3, 1], ..Leaf::default() };
        assert!(check(&issuing.authority(), &[issuing.issue(&tls)], NOW).starts_with(BAD));
        let open = Leaf { usage: &[], ..Leaf::default() };
        assert_eq!(
            check(&issuing.authority(), &[issuing.issue(&open)], NOW),
            "its certificate is not for signing code"
        );
        let nobody = Leaf { issuer: None, ..Leaf::default() };
        let expected = "its certificate names no issuer of the identity";
        assert_eq!(check(&issuing.authority(), &[issuing.issue(&nobody)], NOW), expected);
    }

    #[test]
    fn intermediate_certificates_come_from_policy_or_signature() {
        let root = Issuing::new();
        let middle = root.intermediate();
        let leaf = middle.issue(&Leaf::default());
        assert!(check(&root.authority(), std::slice::from_ref(&leaf), NOW).starts_with(BAD));
        assert!(check(&root.authority(), &[leaf.clone(), middle.certificate.clone()], NOW).starts_with("ci@"));
        let both = Authority::from_pem((root.pem() + &middle.pem()).as_bytes()).unwrap();
        assert_eq!((both.roots.len(), both.intermediates.len()), (1, 1));
        assert!(check(&both, std::slice::from_ref(&leaf), NOW).starts_with("ci@"));
        assert!(check(&middle.authority(), &[leaf], NOW).starts_with("ci@"));
    }

    #[test]
    fn files_without_certificates() {
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"] {
            assert!(Authority::from_pem(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(at in any::<prop::sample::Index>(), byte: u8) {
            let issuing = Issuing::new();
            let mut leaf = issuing.issue(&Leaf::default());
            let at = at.index(leaf.len());
            let before = std::mem::replace(&mut leaf[at], byte);
            // The signature covers every byte of the certificate.
            prop_assert_eq!(check(&issuing.authority(), &[leaf], NOW).starts_with("ci@"), before == byte);
        }
    }
}
