//! The file that a layer is written into: from front to back through one large buffer, with room left for what is
//! known later (an inode's count of links, small files that share a block). Called by everything in `erofs` that writes.

use super::BLOCK;
use crate::error::Result;
use kernel::Context;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// After so many bytes the kernel is told to begin writing them to the disk, so that the sync at the end finds little
/// left to do.
const WRITEBACK_BYTES: u64 = 8 << 20;

pub(super) struct Output {
    file: File,
    buffer: Box<[u8]>,
    filled: usize,
    /// Offset in the file of the buffer's first byte.
    start: u64,
    /// Up to where writing to the disk has begun.
    begun: u64,
}

impl Output {
    /// Writes from `offset` on; what is before stays zeros until [`Output::put_at`].
    pub(super) fn new(file: File, offset: u64) -> Output {
        Output { file, buffer: vec![0; BUFFER_BYTES].into(), filled: 0, start: offset, begun: 0 }
    }

    /// Offset in the file of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.start + self.filled as u64
    }

    /// The free part of the buffer, never empty. [`Output::advance`] says how much of it was filled.
    pub(super) fn space(&mut self) -> Result<&mut [u8]> {
        if self.filled == self.buffer.len() {
            self.flush()?;
        }
        Ok(&mut self.buffer[self.filled..])
    }

    pub(super) fn advance(&mut self, count: usize) {
        assert!(count <= self.buffer.len() - self.filled, "more was filled than there was space");
        self.filled += count;
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let space = self.space()?;
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.advance(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Many zeros become a hole in the file.
    pub(super) fn zeros(&mut self, count: u64) -> Result<()> {
        if count > (self.buffer.len() - self.filled) as u64 {
            self.flush()?;
            self.start += count;
            return Ok(());
        }
        let count = count as usize; // not more than the buffer has
        self.buffer[self.filled..][..count].fill(0);
        self.filled += count;
        Ok(())
    }

    /// Zeros up to the next block.
    pub(super) fn fill_block(&mut self) -> Result<()> {
        let position = self.position();
        self.zeros(position.next_multiple_of(BLOCK) - position)
    }

    /// Replaces bytes before the current position.
    pub(super) fn put_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        assert!(offset + bytes.len() as u64 <= self.position().max(self.start), "only what was written is replaced");
        let before = usize::try_from(self.start.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        let (written, buffered) = bytes.split_at(before);
        self.file.write_all_at(written, offset).during("write layer")?;
        if !buffered.is_empty() {
            let at = (offset + before as u64 - self.start) as usize; // within the buffer, by the assertion
            self.buffer[at..][..buffered.len()].copy_from_slice(buffered);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_all_at(&self.buffer[..self.filled], self.start).during("write layer")?;
        self.start += self.filled as u64;
        self.filled = 0;
        if self.start >= self.begun + WRITEBACK_BYTES {
            kernel::writeback::begin(&self.file, self.begun, self.start - self.begun)?;
            self.begun = self.start;
        }
        Ok(())
    }

    /// Writes what is left and returns the file.
    pub(super) fn finish(mut self) -> Result<File> {
        self.flush()?;
        Ok(self.file)
    }
}
