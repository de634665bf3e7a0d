//! An archive as a list of raw entries, good or bad: a header block and the blocks that follow from its size. Knows only
//! what it takes to keep an archive plausible; what an entry means is `image::tar`'s.

use std::ops::Range;

pub const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
const LINK: Range<usize> = 157..257;

/// The fields that hold a path.
pub const TEXTS: [Range<usize>; 2] = [NAME, LINK];

/// Fields of a header, paths more than once since most depends on them. The last ones are GNU's for sparse files.
pub const FIELDS: [Range<usize>; 17] = [
    NAME,
    NAME,
    NAME,
    LINK,
    LINK,
    LINK,
    100..108,
    108..124,
    SIZE,
    136..148,
    CHECKSUM,
    257..265,
    329..345,
    345..500,
    386..410,
    410..482,
    482..495,
];

/// How the fuzzer changes `data[..size]` within `size_max`: takes both and returns the new size.
pub type Mutator = fn(&mut [u8], usize, usize) -> usize;

#[derive(Clone)]
pub struct Entry {
    header: [u8; BLOCK],
    /// Without padding.
    data: Vec<u8>,
}

impl Entry {
    pub fn new(kind: u8, name: &[u8], data: &[u8]) -> Entry {
        let mut entry = Entry { header: [0; BLOCK], data: data.to_vec() };
        entry.header[NAME][..name.len()].copy_from_slice(name);
        entry.header[257..265].copy_from_slice(b"ustar\x0000");
        entry.set_kind(kind);
        entry.set_size();
        entry.repair();
        entry
    }

    /// With these bytes at this place of the header.
    pub fn with(mut self, at: usize, bytes: &[u8]) -> Entry {
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
        self.repair();
        self
    }

    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub fn set_kind(&mut self, kind: u8) {
        self.header[KIND] = kind;
    }

    /// One of [`TEXTS`].
    pub fn text(&mut self, field: Range<usize>) -> &mut [u8; 100] {
        (&mut self.header[field]).try_into().expect("both have a hundred bytes")
    }

    pub fn change_field(&mut self, field: Range<usize>, mutator: Mutator) {
        let field = &mut self.header[field];
        // Without the zeros at the end, or most changes would be among them.
        let used = field.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1);
        let size = mutator(field, used, field.len());
        field[size..].fill(0);
    }

    pub fn change_data(&mut self, mutator: Mutator) {
        let used = self.data.len();
        self.data.resize(used + 64, 0);
        let size = mutator(&mut self.data, used, used + 64);
        self.data.truncate(size);
        self.set_size();
    }

    /// Puts the lengths of PAX records and the checksum right.
    pub fn repair(&mut self) {
        if matches!(self.header[KIND], b'x' | b'g') {
            self.data = records(&self.data);
            self.set_size();
        }
        self.header[CHECKSUM].fill(b' ');
        let sum: u32 = self.header.iter().map(|&byte| u32::from(byte)).sum();
        self.header[CHECKSUM][..7].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }

    fn set_size(&mut self) {
        self.header[SIZE].copy_from_slice(format!("{:011o}\0", self.data.len()).as_bytes());
    }
}

/// The entries up to the first block of zeros, and what follows. An entry whose size leads past the end has no data.
pub fn split(archive: &[u8]) -> (Vec<Entry>, &[u8]) {
    let (mut entries, mut rest) = (Vec::new(), archive);
    while let Some((header, after)) = rest.split_first_chunk::<BLOCK>() {
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        let size = size(header).filter(|size| *size <= after.len()).unwrap_or(0);
        entries.push(Entry { header: *header, data: after[..size].to_vec() });
        rest = &after[size.next_multiple_of(BLOCK).min(after.len())..];
    }
    (entries, rest)
}

pub fn join(entries: &[Entry], rest: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        archive.extend_from_slice(&entry.header);
        archive.extend_from_slice(&entry.data);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.extend_from_slice(rest);
    archive
}

fn size(header: &[u8; BLOCK]) -> Option<usize> {
    let digits = header[SIZE].split(|&byte| matches!(byte, b' ' | 0)).next()?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

/// Records as lines, each with the length that it has.
fn records(data: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    for line in data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let text = line.iter().position(|&byte| byte == b' ').map_or(line, |space| &line[space + 1..]);
        records.extend_from_slice(&record(text));
    }
    records
}

/// One record of `key=value`; its length counts its own digits.
pub fn record(text: &[u8]) -> Vec<u8> {
    let mut length = text.len() + 2;
    while length != text.len() + 2 + length.to_string().len() {
        length = text.len() + 2 + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", text, b"\n"].concat()
}
