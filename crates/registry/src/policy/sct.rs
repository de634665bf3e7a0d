//! Signed certificate timestamps: that a log of certificates, whose key the policy has, has recorded the signer's
//! certificate (RFC 6962, sections 3.2 and 3.3). The timestamp is embedded in the certificate.

use super::der::{Certificate, OCTET_STRING, Reader};
use super::key::{Key, sha256};

/// 1.3.6.1.4.1.11129.2.4.2.
pub const EXTENSION: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
/// `precert_entry` in `LogEntryType`.
const PRECERTIFICATE: [u8; 2] = [0, 1];

/// One timestamp, version 1.
#[derive(Debug)]
struct Timestamp<'a> {
    log_id: &'a [u8],
    /// Milliseconds since 1970, as eight bytes.
    time: &'a [u8],
    extensions: &'a [u8],
    signature: &'a [u8],
}

/// Looks for a timestamp by one of `logs`. `issuer` is the `SubjectPublicKeyInfo` of who issued the certificate.
pub fn verify(certificate: &Certificate<'_>, issuer: &[u8], logs: &[Key]) -> Result<(), String> {
    let list = certificate.extension(EXTENSION).and_then(|value| Reader(value).expect_only(OCTET_STRING));
    let list = list.ok_or("its certificate is in no log of certificates, which the rule asks for (`ctlog`)")?;
    let timestamps = parse(list).ok_or("the timestamps in its certificate cannot be read")?;
    let recorded = certificate.without_extension(EXTENSION);
    let is_valid = |timestamp: &Timestamp<'_>| {
        let signed = signed(timestamp, issuer, &recorded);
        let log = logs.iter().find(|key| key.id()[..] == *timestamp.log_id);
        log.is_some_and(|log| log.verifies(&signed, timestamp.signature))
    };
    match timestamps.iter().any(is_valid) {
        true => Ok(()),
        false => Err("its certificate is not recorded in the policy's log of certificates".to_owned()),
    }
}

/// What a log signs: version and type of signature, time, type of entry, hash of the issuer's key, certificate without
/// timestamps, extensions.
fn signed(timestamp: &Timestamp<'_>, issuer: &[u8], recorded: &[u8]) -> Vec<u8> {
    // A certificate came in a document of a few megabytes: three bytes hold its length, two that of the extensions.
    let length = &(recorded.len() as u32).to_be_bytes()[1..];
    let extensions = (timestamp.extensions.len() as u16).to_be_bytes();
    let issuer = sha256(issuer);
    let parts: [&[u8]; 8] =
        [&[0, 0], timestamp.time, &PRECERTIFICATE, &issuer, length, recorded, &extensions, timestamp.extensions];
    parts.concat()
}

fn parse(list: &[u8]) -> Option<Vec<Timestamp<'_>>> {
    let (mut rest, end) = prefixed(list)?;
    let mut timestamps = Vec::new();
    while !rest.is_empty() {
        let (one, after) = prefixed(rest)?;
        timestamps.push(timestamp(one)?);
        rest = after;
    }
    end.is_empty().then_some(timestamps)
}

fn timestamp(bytes: &[u8]) -> Option<Timestamp<'_>> {
    let (version, rest) = bytes.split_first()?;
    let (log_id, rest) = rest.split_at_checked(32)?;
    let (time, rest) = rest.split_at_checked(8)?;
    let (extensions, rest) = prefixed(rest)?;
    // Hash and algorithm: the log's key says as much.
    let (_, rest) = rest.split_at_checked(2)?;
    let (signature, end) = prefixed(rest)?;
    (*version == 0 && end.is_empty()).then_some(Timestamp { log_id, time, extensions, signature })
}

/// A vector behind its length in two bytes, and what follows.
fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Leaf, NOW, Signer};
    use super::*;
    use proptest::prelude::*;

    fn check(leaf: &Leaf<'_>, logs: &[&Signer]) -> String {
        let issuing = Authority::new();
        let logs: Vec<Key> = logs.iter().map(|log| log.key()).collect();
        issuing.authority().verify(&[issuing.issue(leaf)], NOW, &logs).err().unwrap_or_default()
    }

    #[test]
    fn a_certificate_is_recorded_or_not() {
        let (log, other) = (Signer::new(), Signer::new());
        let recorded = Leaf { log: Some(&log), ..Leaf::default() };
        assert_eq!(check(&recorded, &[&log]), "");
        assert_eq!(check(&recorded, &[&other, &log]), "");
        assert_eq!(check(&recorded, &[]), "");
        let elsewhere = "its certificate is not recorded in the policy's log of certificates";
        assert_eq!(check(&recorded, &[&other]), elsewhere);
        let bare = "its certificate is in no log of certificates, which the rule asks for (`ctlog`)";
        assert_eq!(check(&Leaf::default(), &[&log]), bare);
    }

    #[test]
    fn a_timestamp_is_for_one_certificate() {
        let log = Signer::new();
        let moved = Leaf { log: Some(&log), mail_after_log: Some("root@example.com"), ..Leaf::default() };
        assert_eq!(check(&moved, &[&log]), "its certificate is not recorded in the policy's log of certificates");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let length = (bytes.len() as u16).to_be_bytes();
            let _ = (parse(&bytes), parse(&[&length[..], &bytes].concat()), timestamp(&bytes));
        }
    }
}
