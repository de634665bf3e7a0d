//! The data of a layer's files on its way from the archive into the file, and a note in the frame of where each byte
//! went. Everything that is not the content of a file of the layer (a whiteout with data, what follows the archive's
//! end) is kept too, since the archive must be given back whole.

use super::frame::{Data, FrameWriter};
use super::inode::{self, INODE_SIZE, Inode, SLOT_SIZE};
use super::output::Output;
use super::tree::{Attributes, Chunks, Content};
use super::xattr::Xattrs;
use super::{BLOCK, DATA_OFFSET, INLINE_SIZE_MAX, block_at};
use crate::error::{Error, Result};
use crate::tar::{self, Entry, Extent, Reader};
use crate::unpack::archive_error;
use std::fs::File;
use std::io::{self, Read};

/// The archive as it comes in.
pub(super) type Input<'a> = Reader<&'a mut dyn Read>;

/// Largest file, in bytes: 2^32 blocks.
const FILE_SIZE_MAX: u64 = 1 << 44;
/// A sparse file's table has so many chunks at most, which are larger in larger files.
const CHUNKS_MAX: u64 = 1 << 18;
/// Literals are passed on when there are so many bytes of them, should no data come.
const LITERAL_BYTES: usize = 64 << 10;

const NOTHING: Data = Data { offset: 0, length: 0 };

pub(super) struct DataWriter {
    pub output: Output,
    pub frame: FrameWriter,
    /// The free part of the block that small files share.
    shared: std::ops::Range<u64>,
    pub has_chunks: bool,
}

impl DataWriter {
    pub(super) fn new(file: File) -> Result<DataWriter> {
        let output = Output::new(file, DATA_OFFSET);
        Ok(DataWriter { output, frame: FrameWriter::new()?, shared: 0..0, has_chunks: false })
    }

    /// Stores the content of a file, which the archive comes to now.
    pub(super) fn file(
        &mut self,
        entry: &Entry,
        attributes: Attributes,
        xattrs: &Xattrs,
        input: &mut Input<'_>,
    ) -> Result<Content> {
        if entry.size > FILE_SIZE_MAX {
            let path = String::from_utf8_lossy(&entry.path);
            return Err(Error::invalid("archive", format_args!("has the file {path:?} of more than 16 TiB")));
        }
        let small = entry.size.saturating_add((INODE_SIZE + xattrs.encoded_size()) as u64) <= INLINE_SIZE_MAX as u64;
        match &entry.extents {
            Some(extents) if input.data_left() < entry.size => self.sparse(entry.size, extents, input),
            _ if entry.size == 0 => Ok(Content::Blocks { block: 0, size: 0 }),
            _ if small => self.small(entry.size as usize, attributes, xattrs, input),
            _ => self.plain(input),
        }
    }

    /// Keeps data of an entry that is no file of the layer.
    pub(super) fn keep(&mut self, input: &mut Input<'_>) -> Result<()> {
        self.plain(input).map(|_| ())
    }

    /// From a block's start on, and zeros up to the next.
    fn plain(&mut self, input: &mut Input<'_>) -> Result<Content> {
        let (offset, size) = (self.output.position(), input.data_left());
        let block = block_at(offset)?;
        self.copy(input, size)?;
        self.output.fill_block()?;
        Ok(Content::Blocks { block, size })
    }

    /// With its inode, in a block with others. The inode says one link; more are noted in it when all are known.
    fn small(
        &mut self,
        size: usize,
        attributes: Attributes,
        xattrs: &Xattrs,
        input: &mut Input<'_>,
    ) -> Result<Content> {
        let head = INODE_SIZE + xattrs.encoded_size();
        let offset = self.share((head + size) as u64)?;
        let number = offset / SLOT_SIZE;
        let inode = Inode {
            attributes,
            links: 1,
            size: size as u64,
            data: inode::Data::Inline(0),
            xattr_count: xattrs.count(),
            number,
        };
        let mut bytes = inode.encode().to_vec();
        xattrs.encode(&mut bytes);
        bytes.resize(head + size, 0);
        let mut filled = head;
        while filled < bytes.len() {
            filled += read_some(input, &mut bytes[filled..])?;
        }
        self.output.put_at(offset, &bytes)?;
        self.note(input, Data { offset: offset + head as u64, length: size as u64 })?;
        Ok(Content::Written { number })
    }

    /// Room for `size` bytes, not more than a block, in which no inode or its data crosses into the next block.
    fn share(&mut self, size: u64) -> Result<u64> {
        let mut offset = self.shared.start.next_multiple_of(SLOT_SIZE);
        if offset + size > self.shared.end {
            offset = self.output.position();
            block_at(offset)?;
            self.output.zeros(BLOCK)?;
            self.shared.end = offset + BLOCK;
        }
        self.shared.start = offset + size;
        Ok(offset)
    }

    /// Only chunks that hold data, in their order; holes within them are holes in our file.
    fn sparse(&mut self, size: u64, extents: &[Extent], input: &mut Input<'_>) -> Result<Content> {
        self.has_chunks = true;
        let bits = chunk_bits(size);
        let chunk_size = BLOCK << bits;
        let mut blocks = vec![Chunks::HOLE; size.div_ceil(chunk_size) as usize]; // CHUNKS_MAX at most
        // Number and offset of the chunk being written.
        let mut open: Option<(u64, u64)> = None;
        for extent in extents {
            let (mut at, end) = (extent.offset, extent.offset + extent.length);
            while at < end {
                let index = at / chunk_size;
                let start = match open {
                    Some((open, start)) if open == index => start,
                    _ => {
                        self.end_chunk(open, chunk_size, size)?;
                        let start = self.output.position();
                        blocks[index as usize] = block_at(start)?;
                        open = Some((index, start));
                        start
                    }
                };
                self.zeros_up_to(start + at % chunk_size)?;
                let count = (end - at).min(chunk_size - at % chunk_size);
                self.copy(input, count)?;
                at += count;
            }
        }
        self.end_chunk(open, chunk_size, size)?;
        Ok(Content::Sparse(Box::new(Chunks { size, bits, blocks })))
    }

    /// The last chunk of a file ends with its last block.
    fn end_chunk(&mut self, open: Option<(u64, u64)>, chunk_size: u64, size: u64) -> Result<()> {
        let Some((index, start)) = open else { return Ok(()) };
        let length = chunk_size.min((size - index * chunk_size).next_multiple_of(BLOCK));
        self.zeros_up_to(start + length)
    }

    fn zeros_up_to(&mut self, offset: u64) -> Result<()> {
        self.output.zeros(offset - self.output.position())
    }

    fn copy(&mut self, input: &mut Input<'_>, count: u64) -> Result<()> {
        let offset = self.output.position();
        let mut left = count;
        while left > 0 {
            let space = self.output.space()?;
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(space.len());
            let got = read_some(input, &mut space[..want])?;
            self.output.advance(got);
            left -= got as u64;
        }
        self.note(input, Data { offset, length: count })
    }

    fn note(&mut self, input: &mut Input<'_>, data: Data) -> Result<()> {
        self.frame.step(input.recorded(), data)?;
        input.forget_recorded();
        Ok(())
    }

    /// Bounds how much is recorded where no data comes.
    pub(super) fn note_literal(&mut self, input: &mut Input<'_>) -> Result<()> {
        if input.recorded().len() < LITERAL_BYTES { Ok(()) } else { self.note(input, NOTHING) }
    }

    /// What follows the end of the archive. Zeros cost nothing in the frame; anything else is data, for there may be
    /// more of it than memory.
    pub(super) fn rest(&mut self, input: &mut Input<'_>) -> Result<()> {
        self.note(input, NOTHING)?;
        let mut buffer = vec![0; LITERAL_BYTES];
        loop {
            let count = input.read_past_end(&mut buffer).map_err(Error::Stream)?;
            let bytes = &buffer[..count];
            if bytes.is_empty() {
                return self.output.fill_block();
            }
            if bytes.iter().all(|&byte| byte == 0) {
                self.frame.step(bytes, NOTHING)?;
            } else {
                let offset = self.output.position();
                block_at(offset)?;
                self.output.write(bytes)?;
                self.frame.step(&[], Data { offset, length: count as u64 })?;
            }
        }
    }
}

/// The smallest chunks of which the table has not too many.
fn chunk_bits(size: u64) -> u16 {
    let mut bits = 0;
    while size.div_ceil(BLOCK << bits) > CHUNKS_MAX {
        bits += 1;
    }
    bits
}

fn read_some(input: &mut Input<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(archive_error(tar::Error::Io(error))),
            // The headers promised more: sizes are checked when they are read.
            Ok(0) => return Err(Error::invalid("archive", "ends in the middle of a file")),
            Ok(count) => return Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_with_the_file() {
        for (size, bits) in [(0, 0), (1 << 30, 0), ((1 << 30) + 1, 1), (1 << 40, 10), (1 << 44, 14)] {
            assert_eq!(chunk_bits(size), bits, "{size}");
        }
    }
}
