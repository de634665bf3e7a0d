//! Our record, in the first 1024 bytes of a layer's file, which EROFS leaves to others: what we want to know of a
//! layer without mounting it, and where its frame is.

use super::superblock::crc32c;
use crate::error::{Error, Result};
use kernel::Context;
use std::fs::File;
use std::os::unix::fs::FileExt;

pub(super) const RECORD_SIZE: usize = 1024;

const MAGIC: &[u8; 16] = b"brig layer 1\n\0\0\0";
/// Offsets of the numbers, each of eight bytes, and of the checksum over all before it.
const SIZE: usize = 16;
const ARCHIVE_LENGTH: usize = 24;
const FRAME_OFFSET: usize = 32;
const FRAME_LENGTH: usize = 40;
const CHECKSUM: usize = 48;

/// What the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Sum of the sizes of the layer's files, in bytes.
    pub size: u64,
    /// Bytes of the archive that the layer was made of, uncompressed.
    pub archive_length: u64,
    /// Where the frame begins, in bytes; the file system ends here.
    pub frame_offset: u64,
    /// Bytes of the frame, with which the file ends.
    pub frame_length: u64,
}

/// Reads the record. `Error::Invalid` when the file is no layer of ours, or not all of it is there.
pub fn record(file: &File) -> Result<Record> {
    let invalid = |why: &str| Error::invalid("layer file", why);
    let length = file.metadata().during("stat layer file")?.len();
    if length < RECORD_SIZE as u64 {
        return Err(invalid("is too short"));
    }
    let mut bytes = [0; RECORD_SIZE];
    file.read_exact_at(&mut bytes, 0).during("read layer file")?;
    let record = Record::decode(&bytes).ok_or_else(|| invalid("has no record of brig, or a damaged one"))?;
    if record.frame_offset.checked_add(record.frame_length) != Some(length) {
        return Err(invalid("does not have the length that its record says"));
    }
    Ok(record)
}

impl Record {
    pub(super) fn encode(&self) -> [u8; RECORD_SIZE] {
        let mut bytes = [0; RECORD_SIZE];
        bytes[..SIZE].copy_from_slice(MAGIC);
        for (at, value) in [
            (SIZE, self.size),
            (ARCHIVE_LENGTH, self.archive_length),
            (FRAME_OFFSET, self.frame_offset),
            (FRAME_LENGTH, self.frame_length),
        ] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let checksum = crc32c(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; RECORD_SIZE]) -> Option<Record> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        if bytes[..SIZE] != *MAGIC || bytes[CHECKSUM..CHECKSUM + 4] != crc32c(&bytes[..CHECKSUM]).to_le_bytes() {
            return None;
        }
        Some(Record {
            size: number(SIZE)?,
            archive_length: number(ARCHIVE_LENGTH)?,
            frame_offset: number(FRAME_OFFSET)?,
            frame_length: number(FRAME_LENGTH)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let record = Record { size: 1, archive_length: 2, frame_offset: 3, frame_length: u64::MAX };
        let mut bytes = record.encode();
        assert!(bytes.starts_with(b"brig layer 1\n"));
        assert_eq!(Record::decode(&bytes), Some(record));
        bytes[SIZE] ^= 1;
        assert_eq!(Record::decode(&bytes), None);
    }
}
