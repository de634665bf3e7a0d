//! Entries of Rekor, the transparency log of signatures: whether a log whose key the policy has promised to record the
//! entry (its signed timestamp), and whether the proof of inclusion leads to a tree head that the log has signed. Version
//! 1 of the log; what version 2 writes has no signed timestamp and is refused by name.

use serde::{Deserialize, Serialize};

use super::key::{Key, sha256};
use super::proto_json::{Bytes, Number, decode, encode};

/// An entry as it came with a signature; nothing in it is trusted before `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// JSON; `record` reads it.
    pub body: Vec<u8>,
    /// Seconds since 1970.
    pub time: u64,
    pub index: u64,
    pub log_id: Vec<u8>,
    /// The log's signature over all the above.
    pub promise: Option<Vec<u8>>,
    pub proof: Option<Proof>,
}

/// That the body is a leaf of the log's tree (RFC 9162, section 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    #[serde(default)]
    log_index: Number,
    root_hash: Bytes,
    tree_size: Number,
    #[serde(default)]
    hashes: Vec<Bytes>,
    checkpoint: Checkpoint,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Checkpoint {
    envelope: String,
}

/// Most hashes in a proof: a tree has at most 2^64 leaves.
const HASHES_MAX: usize = 64;

impl Entry {
    /// From the annotation `dev.sigstore.cosign/bundle` of cosign's form.
    pub fn from_annotation(text: &str) -> Result<Entry, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Annotation {
            signed_entry_timestamp: Bytes,
            payload: Payload,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Payload {
            body: Bytes,
            integrated_time: u64,
            log_index: u64,
            #[serde(rename = "logID")]
            log_id: String,
        }
        let Annotation { signed_entry_timestamp, payload } =
            serde_json::from_str(text).map_err(|error| format!("its log entry cannot be read: {error}"))?;
        Ok(Entry {
            body: payload.body.0,
            time: payload.integrated_time,
            index: payload.log_index,
            log_id: unhex(&payload.log_id).ok_or("its log entry cannot be read: the log's id is not hexadecimal")?,
            promise: Some(signed_entry_timestamp.0),
            proof: None,
        })
    }

    /// Checks the entry by the key of the log that it names. `Ok` has the time that the log has signed, if it has.
    pub fn verify(&self, logs: &[Key]) -> Result<Option<u64>, String> {
        let named = logs.iter().find(|key| key.id()[..] == self.log_id[..]);
        let log = named.ok_or("it is recorded in another log than the policy's")?;
        if self.promise.is_none() && self.proof.is_none() {
            return Err("its log entry has neither a signed timestamp nor a proof".to_owned());
        }
        if let Some(promise) = &self.promise
            && !log.verifies(self.promised().as_bytes(), promise)
        {
            return Err("the timestamp of its log entry is not signed by the policy's log".to_owned());
        }
        if let Some(proof) = &self.proof {
            proof.verify(&self.body, log)?;
        }
        Ok(self.promise.as_ref().map(|_| self.time))
    }

    /// What the log signs: canonical JSON (RFC 8785), so keys in this order.
    fn promised(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Promised {
            body: String,
            integrated_time: u64,
            #[serde(rename = "logID")]
            log_id: String,
            log_index: u64,
        }
        let (body, log_id) = (encode(&self.body), super::hex(&self.log_id));
        let promised = Promised { body, integrated_time: self.time, log_id, log_index: self.index };
        // Text and numbers alone: nothing in it can fail.
        serde_json::to_string(&promised).unwrap_or_default()
    }

    /// Whether the entry is the record of this signature by this key or certificate. `signed` is what was signed,
    /// `payload` the part of it that counts for envelopes.
    pub fn records(&self, signed: &[u8], payload: &[u8], signature: &[u8], by: &Verifier) -> Result<(), String> {
        let record = Record::parse(&self.body)?;
        let (hash, signatures) = match &record {
            Record::Plain { hash, signature } => (hash.is_of(signed), std::slice::from_ref(signature)),
            Record::Envelope { hash, signatures } => (hash.is_of(payload), &signatures[..]),
        };
        let recorded = signatures.iter().any(|recorded| recorded.content.0 == signature && by.is(&recorded.verifier.0));
        match hash && recorded {
            true => Ok(()),
            false => Err("its log entry is for another signature".to_owned()),
        }
    }
}

/// Who made the signature: compared with what the log has recorded.
#[derive(Debug, Clone)]
pub enum Verifier {
    Key(Key),
    /// In DER.
    Certificate(Vec<u8>),
}

impl Verifier {
    fn is(&self, pem: &[u8]) -> bool {
        match self {
            Verifier::Key(key) => key.is_in_pem(pem),
            Verifier::Certificate(der) => super::fulcio::certificates(pem).is_ok_and(|found| {
                found.len() == 1 && found.iter().all(|certificate| certificate.as_ref() == &der[..])
            }),
        }
    }
}

/// What an entry's body says.
enum Record {
    /// `hashedrekord`: a hash and its signature.
    Plain { hash: Hash, signature: Recorded },
    /// `dsse`: an envelope.
    Envelope { hash: Hash, signatures: Vec<Recorded> },
}

struct Recorded {
    content: Bytes,
    verifier: Bytes,
}

#[derive(Deserialize)]
struct Hash {
    algorithm: String,
    value: String,
}

impl Hash {
    fn is_of(&self, bytes: &[u8]) -> bool {
        let algorithm = match self.algorithm.as_str() {
            "sha256" => &ring::digest::SHA256,
            "sha384" => &ring::digest::SHA384,
            "sha512" => &ring::digest::SHA512,
            _ => return false,
        };
        unhex(&self.value).is_some_and(|value| value == ring::digest::digest(algorithm, bytes).as_ref())
    }
}

impl Record {
    fn parse(body: &[u8]) -> Result<Record, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            api_version: String,
            kind: String,
            spec: serde_json::Value,
        }
        let bad = |error: serde_json::Error| format!("the body of its log entry cannot be read: {error}");
        let body: Body = serde_json::from_slice(body).map_err(bad)?;
        match (body.kind.as_str(), body.api_version.as_str()) {
            ("hashedrekord", "0.0.1") => {
                serde_json::from_value::<HashedRekord>(body.spec).map(Record::from).map_err(bad)
            }
            ("dsse", "0.0.1") => serde_json::from_value::<Dsse>(body.spec).map(Record::from).map_err(bad),
            (kind, version) => Err(crate::answer::printable(&format!(
                "its log entry is of a kind that is not supported yet: {kind} {version}"
            ))),
        }
    }
}

#[derive(Deserialize)]
struct HashedRekord {
    data: HashedData,
    signature: HashedSignature,
}

#[derive(Deserialize)]
struct HashedData {
    hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedSignature {
    content: Bytes,
    public_key: PublicKey,
}

#[derive(Deserialize)]
struct PublicKey {
    content: Bytes,
}

impl From<HashedRekord> for Record {
    fn from(spec: HashedRekord) -> Record {
        let HashedSignature { content, public_key } = spec.signature;
        Record::Plain { hash: spec.data.hash, signature: Recorded { content, verifier: public_key.content } }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    payload_hash: Hash,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: Bytes,
    verifier: Bytes,
}

impl From<Dsse> for Record {
    fn from(spec: Dsse) -> Record {
        let signatures = spec.signatures.into_iter();
        Record::Envelope {
            hash: spec.payload_hash,
            signatures: signatures.map(|one| Recorded { content: one.signature, verifier: one.verifier }).collect(),
        }
    }
}

impl Proof {
    fn verify(&self, body: &[u8], log: &Key) -> Result<(), String> {
        if self.root_from(sha256(&[&[0], body].concat())).as_ref().map(|root| &root[..]) != Some(&self.root_hash.0[..])
        {
            return Err("the proof of its log entry does not lead to the tree's root".to_owned());
        }
        let head = signed_head(&self.checkpoint.envelope, log)
            .ok_or("the tree head of its log entry is not signed by the policy's log")?;
        match head == (self.tree_size.0, self.root_hash.0.clone()) {
            true => Ok(()),
            false => Err("the tree head of its log entry is that of another tree".to_owned()),
        }
    }

    /// RFC 9162, section 2.1.3.2; `None` for a proof that fits no tree of this size.
    fn root_from(&self, leaf: [u8; 32]) -> Option<[u8; 32]> {
        let (mut index, mut last) = (self.log_index.0, self.tree_size.0.checked_sub(1)?);
        if index > last || self.hashes.len() > HASHES_MAX {
            return None;
        }
        let node = |left: &[u8], right: &[u8]| sha256(&[&[1], left, right].concat());
        let mut hash = leaf;
        for sibling in &self.hashes {
            let sibling = Some(&sibling.0).filter(|sibling| sibling.len() == 32 && last != 0)?;
            if index & 1 == 1 || index == last {
                hash = node(sibling, &hash);
                while index & 1 == 0 && index != 0 {
                    (index, last) = (index >> 1, last >> 1);
                }
            } else {
                hash = node(&hash, sibling);
            }
            (index, last) = (index >> 1, last >> 1);
        }
        (last == 0).then_some(hash)
    }
}

/// Size and root of the tree head in a signed note: origin, size, root and more lines; an empty line; lines
/// `— name base64(4 bytes of the key's id, signature)`.
fn signed_head(note: &str, log: &Key) -> Option<(u64, Vec<u8>)> {
    let end = note.rfind("\n\n")? + 1;
    let (text, signatures) = (&note[..end], &note[end + 1..]);
    let signed = signatures.lines().any(|line| {
        let signature = line.strip_prefix("\u{2014} ").and_then(|line| line.rsplit_once(' ')).map(|(_, text)| text);
        let bytes = signature.and_then(decode).unwrap_or_default();
        bytes.get(4..).is_some_and(|signature| log.verifies(text.as_bytes(), signature))
    });
    let mut lines = text.lines().skip(1);
    let head = (lines.next()?.parse().ok()?, decode(lines.next()?)?);
    signed.then_some(head)
}

/// `None` for what is not pairs of hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2 && !pair.starts_with('+'))?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, Signer};
    use super::*;
    use proptest::prelude::*;

    fn check(entry: &Entry, log: &Log) -> String {
        match entry.verify(&[log.key()]) {
            Ok(time) => format!("time {time:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn the_promise_covers_every_field() {
        let log = Log::new();
        let entry = log.entry(b"{}", 1_700_000_000);
        assert_eq!(check(&entry, &log), "time Some(1700000000)");
        let bad = "the timestamp of its log entry is not signed by the policy's log";
        assert_eq!(check(&Entry { time: 1, ..entry.clone() }, &log), bad);
        assert_eq!(check(&Entry { index: 9, ..entry.clone() }, &log), bad);
        assert_eq!(check(&Entry { body: b"{ }".to_vec(), ..entry.clone() }, &log), bad);
        let elsewhere = "it is recorded in another log than the policy's";
        assert_eq!(check(&Entry { log_id: vec![1; 32], ..entry.clone() }, &log), elsewhere);
        assert_eq!(check(&entry, &Log::new()), elsewhere);
        let bare = Entry { promise: None, ..entry };
        assert_eq!(check(&bare, &log), "its log entry has neither a signed timestamp nor a proof");
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved() {
        let log = Log::new();
        for size in 1..=17 {
            for index in 0..size {
                let proof = log.proof(index, size, b"leaf");
                let entry = Entry { promise: None, proof: Some(proof.clone()), ..log.entry(b"leaf", 5) };
                assert_eq!(check(&entry, &log), "time None", "{index} of {size}");
                let other = Entry { body: b"twig".to_vec(), ..entry.clone() };
                assert_eq!(check(&other, &log), "the proof of its log entry does not lead to the tree's root");
                let mut longer = proof.clone();
                longer.hashes.push(Bytes(vec![0; 32]));
                assert_eq!(longer.root_from([0; 32]), None, "{index} of {size}");
                let mut moved = proof;
                moved.log_index = Number(size as u64);
                assert_eq!(moved.root_from([0; 32]), None);
            }
        }
    }

    #[test]
    fn tree_heads_are_signed_by_the_log() {
        let log = Log::new();
        let with = |proof: Proof| Entry { proof: Some(proof), ..log.entry(b"leaf", 5) };
        let proof = log.proof(2, 5, b"leaf");
        let foreign = Proof { checkpoint: Log::new().proof(2, 5, b"leaf").checkpoint, ..proof.clone() };
        assert_eq!(check(&with(foreign), &log), "the tree head of its log entry is not signed by the policy's log");
        let other = Proof { checkpoint: log.proof(2, 6, b"leaf").checkpoint, ..proof.clone() };
        assert_eq!(check(&with(other), &log), "the tree head of its log entry is that of another tree");
        let mut edited = proof;
        edited.checkpoint.envelope = edited.checkpoint.envelope.replacen("\n5\n", "\n6\n", 1);
        assert_eq!(check(&with(edited), &log), "the tree head of its log entry is not signed by the policy's log");
    }

    #[test]
    fn an_entry_is_for_one_signature() {
        let (log, signer) = (Log::new(), Signer::new());
        let by = Verifier::Key(signer.key());
        let signature = signer.sign(b"payload");
        let entry = log.entry(&Log::hashedrekord(b"payload", &signature, &signer.pem()), 5);
        assert_eq!(entry.records(b"payload", b"", &signature, &by), Ok(()));
        let other = Err("its log entry is for another signature".to_owned());
        assert_eq!(entry.records(b"other", b"", &signature, &by), other);
        assert_eq!(entry.records(b"payload", b"", &signer.sign(b"payload"), &by), other);
        assert_eq!(entry.records(b"payload", b"", &signature, &Verifier::Key(Signer::new().key())), other);
        let body = br#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{}}"#;
        let newer = log.entry(body, 5).records(b"", b"", b"", &by).unwrap_err();
        assert_eq!(newer, "its log entry is of a kind that is not supported yet: hashedrekord 0.0.2");
    }

    #[test]
    fn annotations_with_wrong_types() {
        for text in [
            "",
            "{}",
            "null",
            r#"{"SignedEntryTimestamp":1,"Payload":{}}"#,
            r#"{"SignedEntryTimestamp":"AA==","Payload":{"body":"AA==","integratedTime":-1,"logIndex":1,"logID":"aa"}}"#,
            r#"{"SignedEntryTimestamp":"AA==","Payload":{"body":"AA==","integratedTime":1,"logIndex":1,"logID":"a\""}}"#,
            r#"{"SignedEntryTimestamp":"AA==","Payload":{"body":"%","integratedTime":1,"logIndex":1,"logID":"aa"}}"#,
        ] {
            assert!(Entry::from_annotation(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..100), index: u64, size: u64,
                        hashes in prop::collection::vec(prop::collection::vec(any::<u8>(), 31..34), 0..70)) {
            let _ = Entry::from_annotation(&text);
            let _ = Record::parse(&bytes);
            let _ = (unhex(&text), signed_head(&text, &Signer::new().key()));
            let checkpoint = Checkpoint { envelope: text };
            let hashes = hashes.into_iter().map(Bytes).collect();
            let proof = Proof { log_index: Number(index), root_hash: Bytes(bytes), tree_size: Number(size), hashes, checkpoint };
            let _ = proof.root_from([0; 32]);
        }
    }
}
