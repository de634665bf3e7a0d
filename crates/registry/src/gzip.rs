//! Gzip in blocks (RFC 1951, RFC 1952): each is deflated on its own with the 32 KiB before it as its dictionary and
//! ends on a byte, so that joined they are one member. The way was shown by pigz.

use std::io;

use flate2::{Compress, Crc, FlushCompress, Status};

use crate::compression::{Block, Compressed, Wrapping};

/// Bytes of a block. Its end costs five bytes, its dictionary some time, its deflater memory that is new and has to be
/// cleared: with blocks of a quarter of this size the kernel worked twice as long for a push.
pub const BLOCK_BYTES: usize = 1 << 20;
/// How far back deflate can refer.
pub const WINDOW_BYTES: usize = 32 << 10;

/// Deflates one block.
pub fn compress(block: &Block, level: u32) -> io::Result<Compressed> {
    // New for every block. One that is reset keeps traces of what it saw before, and with them the bytes would depend on
    // which thread took which block.
    let mut deflate = Compress::new(flate2::Compression::new(level), false);
    if !block.before.is_empty() {
        deflate.set_dictionary(&block.before).map_err(io::Error::other)?;
    }
    let flush = if block.is_last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut bytes = Vec::with_capacity(block.bytes.len() / 2 + 1024);
    loop {
        // What has gone in fits into memory.
        let consumed = deflate.total_in() as usize;
        let status = deflate.compress_vec(&block.bytes[consumed..], &mut bytes, flush).map_err(io::Error::other)?;
        let is_done = match status {
            Status::StreamEnd => true,
            // A flush is complete when there was room left.
            Status::Ok | Status::BufError => {
                !block.is_last && deflate.total_in() as usize == block.bytes.len() && bytes.len() < bytes.capacity()
            }
        };
        if is_done {
            break;
        }
        bytes.reserve(bytes.capacity().max(1024));
    }
    let mut checksum = Crc::new();
    checksum.update(&block.bytes);
    Ok(Compressed { bytes, checksum: Some(checksum) })
}

/// Head and tail of the member.
#[derive(Default)]
pub struct Frame {
    checksum: Crc,
}

impl Wrapping for Frame {
    /// No name and no time, so that equal layers are equal; "unknown" system.
    fn head(&self) -> Vec<u8> {
        vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]
    }

    fn note(&mut self, block: &Compressed) {
        if let Some(checksum) = &block.checksum {
            self.checksum.combine(checksum);
        }
    }

    /// Checksum and length modulo 2^32.
    fn tail(&self) -> Vec<u8> {
        [self.checksum.sum().to_le_bytes(), self.checksum.amount().to_le_bytes()].concat()
    }
}
