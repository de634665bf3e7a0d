//! Public keys that policies name: PEM as `cosign generate-key-pair`, `openssl pkey -pubout` and key services write it.
//! ECDSA on P-256 and P-384, Ed25519, and RSA from 2048 bits (PKCS#1 and PSS with a salt as long as the hash), which is
//! what the linked ring verifies.

use std::fmt;

use ring::digest;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::ring as algorithm;

use super::der;

/// By the hash: cosign signs SHA-256 with every key, bundles SHA-384 with P-384.
static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 6] = [
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
];
/// Content of the algorithm identifier of RSA keys: `rsaEncryption` with NULL (RFC 8017, appendix C).
const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const RSA_BITS_MIN: usize = 2048;

/// A public key that can verify.
#[derive(Clone)]
pub struct Key {
    spki: Vec<u8>,
    algorithms: Vec<&'static dyn SignatureVerificationAlgorithm>,
    /// Where it was read, for messages: a path, or "a key given inline".
    pub origin: String,
}

impl Key {
    /// From a `SubjectPublicKeyInfo` in DER. The error reads as "is …" or "has …".
    pub fn from_spki(spki: &[u8], origin: &str) -> Result<Key, String> {
        let (id, bits) = der::public_key(spki).ok_or("is no public key in DER")?;
        let algorithms: Vec<_> =
            ALGORITHMS.into_iter().filter(|algorithm| algorithm.public_key_alg_id().as_ref() == id).collect();
        if algorithms.is_empty() {
            return Err("has a type that is not supported: use ECDSA P-256 or P-384, Ed25519 or RSA".to_owned());
        }
        if id == RSA {
            let length = rsa_bits(bits).ok_or("is a broken RSA key")?;
            if length < RSA_BITS_MIN {
                return Err(format!("is an RSA key of {length} bits: at least {RSA_BITS_MIN} are needed"));
            }
        }
        Ok(Key { spki: spki.to_vec(), algorithms, origin: origin.to_owned() })
    }

    /// All public keys of a PEM text; at least one.
    pub fn all_from_pem(text: &[u8], origin: &str) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
            match section.map_err(|error| format!("cannot be read as PEM: {}", explain(&error)))? {
                (SectionKind::PublicKey, spki) => keys.push(Key::from_spki(&spki, origin)?),
                (SectionKind::Certificate, _) => {
                    return Err("is a certificate: write its public key (openssl x509 -pubkey -noout)".to_owned());
                }
                _ => return Err("is not a public key: a policy needs the .pub file".to_owned()),
            }
        }
        if !keys.is_empty() {
            return Ok(keys);
        }
        match text.windows(11).any(|word| word == b"PRIVATE KEY") {
            true => Err("is not a public key: a policy needs the .pub file".to_owned()),
            false => Err("has no PEM block `PUBLIC KEY`".to_owned()),
        }
    }

    /// Whether `signature` is this key's, over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        der::public_key(&self.spki).is_some_and(|(_, bits)| {
            self.algorithms.iter().any(|algorithm| algorithm.verify_signature(bits, message, signature).is_ok())
        })
    }

    /// SHA-256 of the key in DER: what transparency logs call themselves, and what shows that two keys are one.
    pub fn id(&self) -> [u8; 32] {
        sha256(&self.spki)
    }

    /// The key that a PEM text or certificate in a log entry holds is this one.
    pub fn is_in_pem(&self, text: &[u8]) -> bool {
        SubjectPublicKeyInfoDer::from_pem_slice(text).is_ok_and(|spki| spki.as_ref() == self.spki)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.origin, super::hex(&self.id()[..8]))
    }
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// Bits of the modulus (RFC 8017, appendix A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let modulus = der::Reader(der::Reader(key).expect_only(der::SEQUENCE)?).expect(der::INTEGER)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

fn explain(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no END line".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is broken".to_owned(),
        _ => "a block is not base64".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use proptest::prelude::*;

    // Keys and signatures over "brig policy\n" were made with openssl for these tests and protect nothing.
    const MESSAGE: &[u8] = b"brig policy\n";

    #[test]
    fn what_openssl_signs_is_verified() {
        for (pem, signature) in [
            (&include_bytes!("testdata/p256.pub")[..], &include_bytes!("testdata/p256.sig")[..]),
            (include_bytes!("testdata/p384.pub"), include_bytes!("testdata/p384.sha256.sig")),
            (include_bytes!("testdata/p384.pub"), include_bytes!("testdata/p384.sha384.sig")),
            (include_bytes!("testdata/ed25519.pub"), include_bytes!("testdata/ed25519.sig")),
            (include_bytes!("testdata/rsa.pub"), include_bytes!("testdata/rsa.pkcs1.sig")),
            (include_bytes!("testdata/rsa.pub"), include_bytes!("testdata/rsa.pss.sig")),
        ] {
            let key = Key::all_from_pem(pem, "x").unwrap().remove(0);
            assert!(key.verifies(MESSAGE, signature), "{key:?}");
            assert!(!key.verifies(b"brig policy", signature));
            let longer: Vec<u8> = signature.iter().copied().chain([0]).collect();
            assert!(!key.verifies(MESSAGE, &longer), "nothing may follow a signature");
            assert!(!key.verifies(MESSAGE, &signature[1..]) && !key.verifies(MESSAGE, b""));
        }
    }

    #[test]
    fn files_that_hold_no_usable_key() {
        let check = |text: &[u8]| Key::all_from_pem(text, "x").unwrap_err();
        for (text, expected) in [
            (&b""[..], "has no PEM block `PUBLIC KEY`"),
            (b"-----BEGIN PUBLIC KEY-----\nMAA=\n", "cannot be read as PEM: a block has no END line"),
            (
                b"-----BEGIN PUBLIC KEY-----\n%%\n-----END PUBLIC KEY-----\n",
                "cannot be read as PEM: a block is not base64",
            ),
            (b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", "is no public key in DER"),
            (
                b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
                "is not a public key: a policy needs the .pub file",
            ),
            (
                b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
                "is not a public key: a policy needs the .pub file",
            ),
            (include_bytes!("testdata/rsa1024.pub"), "is an RSA key of 1024 bits: at least 2048 are needed"),
            (
                include_bytes!("testdata/p521.pub"),
                "has a type that is not supported: use ECDSA P-256 or P-384, Ed25519 or RSA",
            ),
        ] {
            assert_eq!(check(text), expected);
        }
        assert!(check(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n").contains("is a certificate"));
    }

    #[test]
    fn one_file_may_hold_several() {
        let both = [&include_bytes!("testdata/p256.pub")[..], include_bytes!("testdata/rsa.pub")].concat();
        let keys = Key::all_from_pem(&both, "x").unwrap();
        assert_eq!(keys.len(), 2);
        assert_ne!(keys[0].id(), keys[1].id());
        assert!(keys[0].is_in_pem(include_bytes!("testdata/p256.pub")) && !keys[1].is_in_pem(&both));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
            let _ = Key::all_from_pem(&bytes, "x");
            let _ = Key::from_spki(&bytes, "x");
            // A key with one byte changed is refused, or verifies nothing.
            let signer = testing::Signer::new();
            let mut spki = signer.spki.clone();
            let at = flip.index(spki.len());
            spki[at] ^= 1;
            if let Ok(key) = Key::from_spki(&spki, "x") {
                prop_assert!(!key.verifies(&bytes, &signer.sign(&bytes)));
            }
        }
    }
}
