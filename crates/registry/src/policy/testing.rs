//! Signers, logs, authorities and a repository, made anew for each test: keys come from ring's generator, certificates are
//! written here, so that each test says what is wrong with its own.

use std::collections::BTreeMap;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use spec::Digest;
use spec::image::{Descriptor, Manifest};

use super::der::{self, SEQUENCE, write};
use super::key::{Key, sha256};
use super::rekor::{Entry, Proof};
use super::{Source, fulcio, hex, proto_json, sct};
use crate::Error;

/// Certificates of signers are valid for five minutes before and after: 2023-11-14 22:13:20.
pub const NOW: u64 = 1_700_000_000;
/// What precedes the point in the `SubjectPublicKeyInfo` of a key on P-256.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3,
    0x42, 0,
];
const ECDSA_SHA256: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// An ECDSA key on P-256.
pub struct Signer {
    pair: EcdsaKeyPair,
    pub spki: Vec<u8>,
}

impl Signer {
    pub fn new() -> Signer {
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("the generator works");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("it is a key");
        let spki = [&P256_HEAD[..], pair.public_key().as_ref()].concat();
        Signer { pair, spki }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).expect("the generator works").as_ref().to_vec()
    }

    pub fn key(&self) -> Key {
        Key::from_spki(&self.spki, "test.pub").expect("it is a key")
    }

    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", proto_json::encode(der))
}

/// A transparency log.
pub struct Log(pub Signer);

impl Log {
    pub fn new() -> Log {
        Log(Signer::new())
    }

    pub fn key(&self) -> Key {
        self.0.key()
    }

    /// An entry with a promise and without a proof.
    pub fn entry(&self, body: &[u8], time: u64) -> Entry {
        let annotation = self.annotation(body, time).to_string();
        Entry::from_annotation(&annotation).expect("it is written as cosign does")
    }

    pub fn annotation(&self, body: &[u8], time: u64) -> Value {
        let (body, id) = (proto_json::encode(body), hex(&self.key().id()));
        let promised = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{id}","logIndex":7}}"#);
        json!({
            "SignedEntryTimestamp": proto_json::encode(&self.0.sign(promised.as_bytes())),
            "Payload": {"body": body, "integratedTime": time, "logIndex": 7, "logID": id},
        })
    }

    /// The entry as bundles have it, with promise and proof.
    pub fn bundled(&self, body: &[u8], time: u64) -> Value {
        let annotation = self.annotation(body, time);
        json!({
            "logIndex": "7",
            "logId": {"keyId": proto_json::encode(&self.key().id())},
            "integratedTime": time.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": annotation["SignedEntryTimestamp"]},
            "inclusionProof": self.proof_json(3, 6, body),
            "canonicalizedBody": proto_json::encode(body),
        })
    }

    pub fn hashedrekord(payload: &[u8], signature: &[u8], pem: &str) -> Vec<u8> {
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex(&sha256(payload))}},
            "signature": {
                "content": proto_json::encode(signature),
                "publicKey": {"content": proto_json::encode(pem.as_bytes())},
            },
        }});
        body.to_string().into_bytes()
    }

    pub fn dsse(payload: &[u8], signature: &[u8], pem: &str) -> Vec<u8> {
        let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "payloadHash": {"algorithm": "sha256", "value": hex(&sha256(payload))},
            "signatures": [{
                "signature": proto_json::encode(signature),
                "verifier": proto_json::encode(pem.as_bytes()),
            }],
        }});
        body.to_string().into_bytes()
    }

    /// That `leaf` is at `index` in a tree of `size` leaves.
    pub fn proof(&self, index: usize, size: usize, leaf: &[u8]) -> Proof {
        serde_json::from_value(self.proof_json(index, size, leaf)).expect("it is written as the log does")
    }

    fn proof_json(&self, index: usize, size: usize, leaf: &[u8]) -> Value {
        let mut leaves: Vec<[u8; 32]> = (0..size).map(|number| sha256(&[0, number as u8])).collect();
        leaves[index] = sha256(&[&[0], leaf].concat());
        let root = proto_json::encode(&tree_hash(&leaves));
        let text = format!("log.example.com - 1\n{size}\n{root}\nTimestamp: 1\n");
        let signature = [&self.key().id()[..4], &self.0.sign(text.as_bytes())].concat();
        let hashes: Vec<String> = path(index, &leaves).iter().map(|hash| proto_json::encode(hash)).collect();
        json!({
            "logIndex": index.to_string(), "rootHash": root, "treeSize": size.to_string(), "hashes": hashes,
            "checkpoint": {"envelope": format!("{text}\n— log.example.com {}\n", proto_json::encode(&signature))},
        })
    }
}

/// RFC 9162, section 2.1.1, written from its definition: what the code under test does in a loop.
fn tree_hash(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            sha256(&[&[1], &tree_hash(left)[..], &tree_hash(right)].concat())
        }
    }
}

fn path(index: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut below, sibling) = match index < left.len() {
        true => (path(index, left), tree_hash(right)),
        false => (path(index - left.len(), right), tree_hash(left)),
    };
    below.push(sibling);
    below
}

/// The largest power of two below `size`.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// A certificate authority.
pub struct Authority {
    key: Signer,
    name: &'static str,
    pub certificate: Vec<u8>,
}

/// A signer's certificate.
pub struct Leaf<'a> {
    pub key: Option<&'a Signer>,
    pub mail: Option<&'a str>,
    pub uri: Option<&'a str>,
    pub issuer: Option<&'a str>,
    /// Extended key usage; the extension is left away if empty.
    pub usage: &'a [u8],
    /// Records the certificate.
    pub log: Option<&'a Signer>,
    /// Put into the certificate in place of `mail` after it was recorded.
    pub mail_after_log: Option<&'a str>,
}

impl std::default::Default for Leaf<'_> {
    fn default() -> Self {
        Leaf {
            key: None,
            mail: Some("ci@example.com"),
            uri: None,
            issuer: Some("https://login.example.com"),
            usage: &[0x2b, 6, 1, 5, 5, 7, 3, 3],
            log: None,
            mail_after_log: None,
        }
    }
}

impl Authority {
    pub fn new() -> Authority {
        let mut authority = Authority { key: Signer::new(), name: "root", certificate: Vec::new() };
        authority.certificate = authority.certify("root", &authority.key.spki);
        authority
    }

    pub fn intermediate(&self) -> Authority {
        let key = Signer::new();
        let certificate = self.certify("middle", &key.spki);
        Authority { key, name: "middle", certificate }
    }

    pub fn authority(&self) -> fulcio::Authority {
        fulcio::Authority::from_pem(self.pem().as_bytes()).expect("it is a certificate")
    }

    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    fn certify(&self, subject: &str, spki: &[u8]) -> Vec<u8> {
        let constraints = extension(&[0x55, 0x1d, 0x13], &write(SEQUENCE, &[&[1, 1, 0xff]]));
        self.sign(&tbs(self.name, subject, ("200101000000Z", "491231235959Z"), spki, &[constraints]))
    }

    pub fn issue(&self, leaf: &Leaf<'_>) -> Vec<u8> {
        let fresh = Signer::new();
        let key = leaf.key.unwrap_or(&fresh);
        let validity = ("231114220820Z", "231114221820Z");
        let with = |mail: Option<&str>, timestamps: Option<Vec<u8>>| {
            let mut extensions = leaf.extensions(mail);
            extensions.extend(timestamps.map(|list| extension(sct::EXTENSION, &write(der::OCTET_STRING, &[&list]))));
            tbs(self.name, "", validity, &key.spki, &extensions)
        };
        let timestamps = leaf.log.map(|log| self.timestamps(log, &with(leaf.mail, None)));
        self.sign(&with(leaf.mail_after_log.or(leaf.mail), timestamps))
    }

    /// A list with one timestamp (RFC 6962, sections 3.2 and 3.3).
    fn timestamps(&self, log: &Signer, tbs: &[u8]) -> Vec<u8> {
        let time = (NOW * 1000).to_be_bytes();
        let length = &(tbs.len() as u32).to_be_bytes()[1..];
        let issuer = sha256(&self.key.spki);
        let signature = log.sign(&[&[0, 0], &time[..], &[0, 1], &issuer, length, tbs, &[0, 0]].concat());
        let one = [&[0], &sha256(&log.spki)[..], &time, &[0, 0, 4, 3], &vector(&signature)].concat();
        vector(&vector(&one))
    }

    fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        write(SEQUENCE, &[tbs, &ECDSA_SHA256, &write(der::BIT_STRING, &[&[0], &self.key.sign(tbs)])])
    }
}

impl Leaf<'_> {
    fn extensions(&self, mail: Option<&str>) -> Vec<Vec<u8>> {
        let mail = mail.map(|mail| write(0x81, &[mail.as_bytes()]));
        let uri = self.uri.map(|uri| write(0x86, &[uri.as_bytes()]));
        let names: Vec<u8> = mail.into_iter().chain(uri).flatten().collect();
        let usage = extension(&[0x55, 0x1d, 0x25], &write(SEQUENCE, &[&write(der::OID, &[self.usage])]));
        let issuer_id = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
        let issuer = self.issuer.map(|issuer| extension(&issuer_id, &write(der::UTF8_STRING, &[issuer.as_bytes()])));
        let mut all = vec![extension(&[0x55, 0x1d, 0x11], &write(SEQUENCE, &[&names]))];
        all.extend(Some(usage).filter(|_| !self.usage.is_empty()));
        all.extend(issuer);
        all
    }
}

/// Bytes behind their length in two bytes.
fn vector(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn extension(id: &[u8], value: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[&write(der::OID, &[id]), &write(der::OCTET_STRING, &[value])])
}

fn tbs(issuer: &str, subject: &str, validity: (&str, &str), spki: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let name = |text: &str| {
        let attribute = [&write(der::OID, &[&[0x55, 4, 3]])[..], &write(der::UTF8_STRING, &[text.as_bytes()])].concat();
        write(SEQUENCE, &[&write(0x31, &[&write(SEQUENCE, &[&attribute])])])
    };
    let time = |text: &str| write(0x17, &[text.as_bytes()]);
    let extensions = write(SEQUENCE, &[&extensions.concat()]);
    let parts = [
        write(der::context(0), &[&[2, 1, 2]]),
        write(der::INTEGER, &[&[1]]),
        ECDSA_SHA256.to_vec(),
        name(issuer),
        write(SEQUENCE, &[&time(validity.0), &time(validity.1)]),
        name(subject),
        spki.to_vec(),
        write(der::context(3), &[&extensions]),
    ];
    write(SEQUENCE, &[&parts.concat()])
}

/// A repository in memory.
#[derive(Default)]
pub struct Repository {
    pub manifests: BTreeMap<String, Vec<u8>>,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    pub referrers: BTreeMap<Digest, Vec<Descriptor>>,
    /// The registry cannot be reached.
    pub broken: bool,
}

impl Repository {
    fn reach(&self) -> Result<(), Error> {
        match self.broken {
            true => Err(Error::Unavailable { host: "example.com".to_owned(), cause: "503".to_owned() }),
            false => Ok(()),
        }
    }

    pub fn add_blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let digest = Digest::from_hash(&sha256(&bytes));
        let descriptor = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
        self.blobs.insert(digest, bytes);
        descriptor
    }

    /// Adds a signature in cosign's form under `tag`.
    pub fn add_cosign(&mut self, tag: &str, payload: &[u8], annotations: &[(&str, String)]) {
        let mut layer = self.add_blob("application/vnd.dev.cosign.simplesigning.v1+json", payload.to_vec());
        layer.annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut manifest = match self.manifests.get(tag) {
            Some(bytes) => Manifest::parse(bytes).expect("it was written here"),
            None => Manifest::new(layer.clone(), Vec::new()),
        };
        manifest.layers.push(layer);
        self.manifests.insert(tag.to_owned(), manifest.to_bytes());
    }

    /// Adds an artifact with one blob that refers to `subject`.
    pub fn add_referrer(&mut self, subject: &Digest, artifact_type: &str, layer_type: &str, bytes: Vec<u8>) {
        let layer = self.add_blob(layer_type, bytes);
        let manifest = Manifest::new(layer.clone(), vec![layer]).to_bytes();
        let digest = Digest::from_hash(&sha256(&manifest));
        let mut descriptor = Descriptor::new("application/vnd.oci.image.manifest.v1+json", digest.clone(), 1);
        descriptor.artifact_type = artifact_type.to_owned();
        self.manifests.insert(digest.to_string(), manifest);
        self.referrers.entry(subject.clone()).or_default().push(descriptor);
    }
}

impl Source for Repository {
    fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.reach().map(|()| self.manifests.get(name).cloned())
    }

    fn blob(&self, blob: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        self.reach().map(|()| self.blobs.get(&blob.digest).cloned())
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        self.reach().map(|()| self.referrers.get(subject).cloned().unwrap_or_default())
    }
}
