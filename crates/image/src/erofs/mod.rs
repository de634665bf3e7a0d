//! A layer as one file: an EROFS image (Linux Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h) that is written
//! while the archive streams in, and from which the archive can be given back byte for byte. Nothing of the layer's
//! files is created on the host. What an entry means is the same as in `unpack`, which makes directories of the same
//! archives; a test compares the two.
//!
//! ```text
//!      0  our record (`record`)                                                         written last, by `seal`
//!   1024  superblock (`superblock`)                                                     with the record
//!   2048  the root directory's inode, number 64 (`metadata`)
//!  16384  data in the order of the archive (`data`): a file from a block's start on, zeros up to the next block;
//!         small files with their inodes, many in a block; of sparse files the chunks that hold anything
//!         directories' blocks, then all other inodes, each with its attributes and a short rest of its data (`metadata`)
//!         frame: what the archive has besides (`frame`)                                  EROFS ends before it
//! ```
//!
//! Equal archives give equal files with the same version of zstd. Blocks have 4096 bytes, so every kernel since 5.14
//! mounts it (5.15 when there are sparse files), and a mapped file ends in zeros.

mod acl;
mod archive;
mod data;
mod directory;
mod frame;
mod inode;
mod layer_writer;
mod metadata;
mod output;
mod record;
mod superblock;
mod tree;
mod xattr;

pub use archive::Archive;
pub use record::{Record, record};

use crate::error::{Error, Result};
use crate::tar::Reader;
use crate::unpack::archive_error;
use kernel::Context;
use layer_writer::LayerWriter;
use spec::Digest;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use superblock::Superblock;

/// Size of a block in bytes.
const BLOCK: u64 = 4096;
/// Where the root's inode is: its number has only sixteen bits, so it must be near the start of the file.
const ROOT_OFFSET: u64 = 2048;
/// What is before is written last.
const DATA_OFFSET: u64 = 16384;
/// An inode with its attributes and data that takes no more than this shares a block with others.
const INLINE_SIZE_MAX: usize = 2048;

/// Reads an uncompressed archive to its end and writes it into `file`, which must be empty: everything but the
/// superblock, without which nobody takes it for a layer. Memory grows with the count of entries, not with their data.
/// `Error::Invalid` for a broken archive and for what EROFS cannot hold.
pub fn write(archive: &mut dyn Read, file: File) -> Result<Unsealed> {
    let mut reader = Reader::recording(archive);
    let mut layer = LayerWriter::new(file)?;
    while let Some(entry) = reader.next_entry().map_err(archive_error)? {
        layer.entry(&entry, &mut reader)?;
    }
    layer.finish(&mut reader)
}

/// A layer's file that lacks its first bytes.
#[derive(Debug)]
pub struct Unsealed {
    file: File,
    record: Record,
    superblock: Superblock,
    /// The first block from [`ROOT_OFFSET`] on, which the superblock's checksum covers too.
    root: Vec<u8>,
}

impl Unsealed {
    /// Sum of the sizes of the layer's files in bytes.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// Writes record and superblock. The first sixteen bytes of the digest become the file system's UUID, by which a
    /// mount can be told from others. Nothing is synced.
    pub fn seal(mut self, diff_id: &Digest) -> Result<File> {
        self.superblock.uuid = uuid(diff_id);
        let mut block = [0; BLOCK as usize];
        block[ROOT_OFFSET as usize..].copy_from_slice(&self.root);
        block[..record::RECORD_SIZE].copy_from_slice(&self.record.encode());
        self.superblock.put(&mut block);
        self.file.write_all_at(&block, 0).during("write layer")?;
        Ok(self.file)
    }
}

/// The UUID that a layer's file system has.
pub fn uuid(diff_id: &Digest) -> [u8; 16] {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8; // a digest has digits only
    let mut uuid = [0; 16];
    for (byte, digits) in uuid.iter_mut().zip(diff_id.hex().as_bytes().chunks_exact(2)) {
        *byte = digit(digits[0]) << 4 | digit(digits[1]);
    }
    uuid
}

/// The number of the block at `offset`.
fn block_at(offset: u64) -> Result<u32> {
    // The last number means "no block".
    u32::try_from(offset / BLOCK)
        .ok()
        .filter(|block| *block < u32::MAX)
        .ok_or_else(|| Error::invalid("archive", "is larger than the 16 TiB that a layer can have"))
}

#[cfg(test)]
mod tests;
