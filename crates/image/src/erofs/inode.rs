//! One inode on disk: `struct erofs_inode_extended` of Linux's fs/erofs/erofs_fs.h, 64 bytes. The short form is never
//! written, since it has neither a time of its own nor large user ids.

use super::tree::Attributes;

/// Bytes of an inode, without what stands behind it.
pub(super) const INODE_SIZE: usize = 64;
/// Inodes begin at multiples of this; their number is the offset divided by it.
pub(super) const SLOT_SIZE: u64 = 32;
/// Offset of the count of links within an inode.
pub(super) const LINKS_OFFSET: u64 = 44;

/// Where an inode's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// In whole blocks from this one on.
    Blocks(u32),
    /// The whole blocks from this one on, and what is left behind the inode and its attributes.
    Inline(u32),
    /// Chunks of `4096 << bits` bytes; the table of their blocks is behind the inode and its attributes.
    Chunks { bits: u16 },
    /// None: a device (its number as stat(2) has it, in 32 bits) or a fifo (0).
    Device(u32),
}

/// What inodes of all kinds have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inode {
    pub attributes: Attributes,
    pub links: u32,
    pub size: u64,
    pub data: Data,
    pub xattr_count: u16,
    pub number: u64,
}

impl Inode {
    pub(super) fn encode(&self) -> [u8; INODE_SIZE] {
        let (layout, place) = match self.data {
            Data::Blocks(block) | Data::Device(block) => (0_u16, block),
            Data::Inline(block) => (2, block),
            Data::Chunks { bits } => (4, bits.into()),
        };
        let Attributes { mode, uid, gid, mtime } = self.attributes;
        let mut bytes = [0; INODE_SIZE];
        bytes[0..2].copy_from_slice(&(layout << 1 | 1).to_le_bytes());
        bytes[2..4].copy_from_slice(&self.xattr_count.to_le_bytes());
        bytes[4..6].copy_from_slice(&mode.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..20].copy_from_slice(&place.to_le_bytes());
        // The short number is for old 32-bit programs only.
        bytes[20..24].copy_from_slice(&(self.number as u32).to_le_bytes());
        bytes[24..28].copy_from_slice(&uid.to_le_bytes());
        bytes[28..32].copy_from_slice(&gid.to_le_bytes());
        bytes[32..40].copy_from_slice(&mtime.0.to_le_bytes());
        bytes[40..44].copy_from_slice(&mtime.1.to_le_bytes());
        bytes[LINKS_OFFSET as usize..][..4].copy_from_slice(&self.links.to_le_bytes());
        bytes
    }
}

/// A device's number as it is on disk and as mknod(2) takes it: twelve bits of major and twenty of minor number, which
/// is all that `tar` lets through.
pub(super) fn device_number(major: u32, minor: u32) -> u32 {
    minor & 0xff | (major & 0xfff) << 8 | (minor & 0xf_ff00) << 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_the_kernels() {
        for (major, minor) in [(0, 0), (1, 3), (259, 70000), (4095, 0xf_ffff)] {
            assert_eq!(u64::from(device_number(major, minor)), rustix::fs::makedev(major, minor), "{major}:{minor}");
        }
    }

    #[test]
    fn fields() {
        let inode = Inode {
            attributes: Attributes { mode: 0o100_644, uid: 0x0102_0304, gid: 7, mtime: (-1, 9) },
            links: 3,
            size: 0x1_0000_0000,
            data: Data::Inline(5),
            xattr_count: 2,
            number: 64,
        };
        let bytes = inode.encode();
        assert_eq!(bytes[..8], [5, 0, 2, 0, 0xa4, 0x81, 0, 0]);
        assert_eq!(bytes[8..24], [0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 64, 0, 0, 0]);
        assert_eq!(bytes[24..32], [4, 3, 2, 1, 7, 0, 0, 0]);
        assert_eq!(bytes[32..48], [255, 255, 255, 255, 255, 255, 255, 255, 9, 0, 0, 0, 3, 0, 0, 0]);
    }
}
