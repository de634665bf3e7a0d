//! DNS messages (RFC 1035): one question in, one answer out. Whatever the bytes are, reading them ends and allocates
//! little; what is not a plain question of one name is left to other resolvers.

use std::net::IpAddr;

pub const TYPE_A: u16 = 1;
pub const TYPE_PTR: u16 = 12;
pub const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
const HEADER_BYTES: usize = 12;
/// Of a name with the lengths of its labels (RFC 1035, 2.3.4), but for the last, which is none.
const NAME_BYTES_MAX: usize = 254;
/// So that an answer fits into 512 bytes whatever the name is.
const ANSWERS_MAX: usize = 8;
/// Seconds; short, because containers come and go.
const TTL: u32 = 5;
const RCODE_SERVER_FAILURE: u8 = 2;
const RCODE_NOT_IMPLEMENTED: u8 = 4;
/// Transfers of whole zones (RFC 1995, RFC 5936).
const TYPES_OF_TRANSFERS: [u16; 2] = [251, 252];

/// A query that can be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub id: u16,
    /// In small letters, without the last dot.
    pub name: String,
    pub kind: u16,
    recursion: bool,
    /// The question's own bytes.
    raw: Vec<u8>,
}

impl Question {
    /// `None` for anything but a standard query with one question of the internet's class.
    pub fn parse(bytes: &[u8]) -> Option<Question> {
        let number = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let (id, flags, questions) = (number(0)?, number(2)?, number(4)?);
        // QR and OPCODE.
        if flags & 0xf800 != 0 || questions != 1 {
            return None;
        }
        let mut at = HEADER_BYTES;
        let mut name = String::new();
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // Above 63 it is a pointer, which a question has no use for.
            if length > 63 || at + length - HEADER_BYTES > NAME_BYTES_MAX {
                return None;
            }
            let label = bytes.get(at..at + length)?;
            at += length;
            if !name.is_empty() {
                name.push('.');
            }
            name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
        }
        let (kind, class) = (number(at)?, number(at + 2)?);
        let raw = bytes.get(HEADER_BYTES..at + 4)?.to_vec();
        (class == CLASS_IN).then_some(Question { id, name, kind, recursion: flags & 0x0100 != 0, raw })
    }

    fn header(&self, code: u8, answers: usize) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        // QR, RD as asked, RA.
        bytes.extend([0x80 | u8::from(self.recursion), 0x80 | code]);
        bytes.extend([0, 1]);
        bytes.extend((answers as u16).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&self.raw);
        bytes
    }

    /// The addresses; none of them is an answer too: the name is there, but not with this kind of address.
    pub fn addresses(&self, addresses: &[IpAddr]) -> Vec<u8> {
        let addresses = &addresses[..addresses.len().min(ANSWERS_MAX)];
        let mut bytes = self.header(0, addresses.len());
        for address in addresses {
            let (kind, data) = match address {
                IpAddr::V4(address) => (TYPE_A, address.octets().to_vec()),
                IpAddr::V6(address) => (TYPE_AAAA, address.octets().to_vec()),
            };
            record(&mut bytes, kind, &data);
        }
        bytes
    }

    /// A name for an address.
    pub fn pointer(&self, name: &str) -> Vec<u8> {
        let mut data = Vec::new();
        for label in name.split('.').filter(|label| (1..=63).contains(&label.len())) {
            data.push(label.len() as u8);
            data.extend(label.bytes());
        }
        data.push(0);
        let mut bytes = self.header(0, 1);
        record(&mut bytes, TYPE_PTR, &data);
        bytes
    }

    /// It leaves by the host, as if the host had asked: only what every client of a resolver asks.
    pub fn may_be_sent_on(&self) -> bool {
        !TYPES_OF_TRANSFERS.contains(&self.kind)
    }

    pub fn failure(&self) -> Vec<u8> {
        self.header(RCODE_SERVER_FAILURE, 0)
    }

    /// The address that a reverse look-up is about (RFC 1035, RFC 3596).
    pub fn reverse(&self) -> Option<IpAddr> {
        if self.kind != TYPE_PTR {
            return None;
        }
        if let Some(digits) = self.name.strip_suffix(".in-addr.arpa") {
            let mut parts: Vec<u8> = digits.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
            parts.reverse();
            return <[u8; 4]>::try_from(parts).ok().map(IpAddr::from);
        }
        let digits = self.name.strip_suffix(".ip6.arpa")?;
        let mut nibbles: Vec<u8> = digits
            .split('.')
            .map(|part| u8::from_str_radix(part, 16).ok().filter(|n| *n < 16))
            .collect::<Option<_>>()?;
        nibbles.reverse();
        let bytes: Vec<u8> = nibbles.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect();
        if nibbles.len() != 32 {
            return None;
        }
        <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
    }
}

/// For the name of the question, which stands at byte 12.
fn record(bytes: &mut Vec<u8>, kind: u16, data: &[u8]) {
    bytes.extend([0xc0, HEADER_BYTES as u8]);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(CLASS_IN.to_be_bytes());
    bytes.extend(TTL.to_be_bytes());
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
}

/// For what is no question that we send on: another operation, several questions or none, another class. `None` for an
/// answer, or bytes that are nothing.
pub fn refusal(query: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = query.get(..HEADER_BYTES)?.to_vec();
    if bytes[2] & 0x80 != 0 {
        return None;
    }
    bytes[2] |= 0x80;
    bytes[3] = RCODE_NOT_IMPLEMENTED;
    bytes[4..].fill(0);
    Some(bytes)
}

/// Whether `answer` can be the answer to `query`: the same number, and a response.
pub fn answers(query: &[u8], answer: &[u8]) -> bool {
    answer.len() >= HEADER_BYTES && query.get(..2) == answer.get(..2) && answer[2] & 0x80 != 0
}
