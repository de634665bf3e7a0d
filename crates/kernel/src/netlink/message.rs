//! Netlink messages as bytes: headers, attributes that nest, and the way back. Numbers are in the machine's order unless
//! a function says otherwise; everything is padded to four bytes (netlink(7)). What comes from the kernel is read with
//! bounds checked: a message that is cut off ends the reading.

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
pub const NLM_F_EXCL: u16 = 0x200;
pub const NLM_F_CREATE: u16 = 0x400;
pub const NLM_F_APPEND: u16 = 0x800;
pub const NLM_F_DUMP: u16 = 0x300;

/// struct nlmsghdr
const HEADER_BYTES: usize = 16;
const NLA_F_NESTED: u16 = 0x8000;
/// Without the two flags in the highest bits.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Messages for one send, each to be acknowledged.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    bytes: Vec<u8>,
    start: usize,
    messages: u32,
}

impl Batch {
    pub fn new() -> Batch {
        Batch::default()
    }

    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    pub(crate) fn messages(&self) -> u32 {
        self.messages
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins a message that is acknowledged.
    pub(crate) fn begin(&mut self, kind: u16, flags: u16, fixed: &[u8]) {
        self.begin_plain(kind, flags | NLM_F_ACK, fixed);
    }

    /// Begins a message that is answered by errors or objects alone. `fixed` is what follows the header.
    pub(crate) fn begin_plain(&mut self, kind: u16, flags: u16, fixed: &[u8]) {
        self.start = self.bytes.len();
        self.messages += 1;
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.messages.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(fixed);
        self.pad();
        self.measure();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The length of the message grows with each attribute, so that there is nothing to forget at its end.
    fn measure(&mut self) {
        let length = (self.bytes.len() - self.start) as u32;
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        let length = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self.measure();
    }

    /// A string with the NUL that the kernel wants.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes);
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// An attribute that holds what `fill` puts.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Batch)) {
        self.nest_after(kind, &[], fill);
    }

    /// As `nest`, with a structure before the attributes.
    pub(crate) fn nest_after(&mut self, kind: u16, fixed: &[u8], fill: impl FnOnce(&mut Batch)) {
        let at = self.bytes.len();
        self.put(kind | NLA_F_NESTED, fixed);
        fill(self);
        let length = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.measure();
    }

    /// The bytes that the message under construction has so far.
    pub(crate) fn message_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub kind: u16,
    pub flags: u16,
}

/// Ways to read what came.
pub(crate) struct Reader;

impl Reader {
    pub fn messages(bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let length = u32_at(rest, 0)? as usize;
            let body = rest.get(HEADER_BYTES..length)?;
            let header = Header { kind: u16_at(rest, 4)?, flags: u16_at(rest, 6)? };
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
            Some((header, body))
        })
    }

    pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let length = usize::from(u16_at(rest, 0)?);
            let value = rest.get(4..length)?;
            let kind = u16_at(rest, 2)? & NLA_TYPE_MASK;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
            Some((kind, value))
        })
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
