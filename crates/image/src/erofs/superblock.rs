//! The superblock (`struct erofs_super_block` of Linux's fs/erofs/erofs_fs.h) at offset 1024. It says little: where the
//! root directory is, how many blocks there are, and which features a kernel must know.

use super::BLOCK;

pub(super) const SUPERBLOCK_OFFSET: usize = 1024;
const SUPERBLOCK_SIZE: usize = 128;

const MAGIC: u32 = 0xE0F5_E1E2;
/// There is a checksum; inodes carry the time of the last change.
const COMPATIBLE: u32 = 0x1 | 0x2;
/// EROFS_FEATURE_INCOMPAT_CHUNKED_FILE, Linux 5.15.
const INCOMPATIBLE_CHUNKS: u32 = 0x4;
/// Before the checksum and after it.
const CHECKSUM_OFFSET: usize = 4;

#[derive(Debug, Clone, Copy)]
pub(super) struct Superblock {
    /// Number of the root directory's inode.
    pub root: u16,
    pub inodes: u64,
    pub blocks: u32,
    pub uuid: [u8; 16],
    pub chunks: bool,
}

impl Superblock {
    fn encode(&self) -> [u8; SUPERBLOCK_SIZE] {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&COMPATIBLE.to_le_bytes());
        bytes[12] = BLOCK.trailing_zeros() as u8;
        bytes[14..16].copy_from_slice(&self.root.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.inodes.to_le_bytes());
        // Offset 24: the time for short inodes, of which there are none. 40 and 44: inodes and attributes count from
        // the first block.
        bytes[36..40].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.uuid);
        let incompatible = if self.chunks { INCOMPATIBLE_CHUNKS } else { 0 };
        bytes[80..84].copy_from_slice(&incompatible.to_le_bytes());
        bytes
    }

    /// Puts the superblock into the first block of the file, and the checksum of all that follows in this block.
    pub(super) fn put(&self, block: &mut [u8; BLOCK as usize]) {
        block[SUPERBLOCK_OFFSET..][..SUPERBLOCK_SIZE].copy_from_slice(&self.encode());
        let checksum = crc32c(&block[SUPERBLOCK_OFFSET..]);
        block[SUPERBLOCK_OFFSET + CHECKSUM_OFFSET..][..4].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// CRC-32C as Linux's crc32c() with all ones to begin with: not inverted at the end. A few kilobytes once per layer, so
/// bit by bit.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum() {
        // The check value of CRC-32C, RFC 3720 B.4.
        assert_eq!(!crc32c(b"123456789"), 0xE306_9283);
    }
}
