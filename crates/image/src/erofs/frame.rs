//! The frame: what an archive has besides the data of its files (headers, padding, its end), and in which order the
//! two follow each other, as one stream of zstd behind the last block of the file system. `archive` reads it back.
//!
//! ```text
//! step = length of literal, literal bytes, length of data, [offset of data]      until the stream ends
//! ```
//!
//! Lengths are in base 128, the lower digits first. The offset counts from the end of the step's predecessor, and is
//! left away where there is no data.

use super::output::Output;
use crate::error::{Error, Result};
use std::io::{self, Read, Write};

/// Headers are so alike that more effort gains little.
const LEVEL: i32 = 1;
/// Memory that the compressed form may take, in bytes. An honest archive needs a thousandth of it.
const SIZE_MAX: usize = 1 << 30;

/// A stretch of the archive that is in the file as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Data {
    pub offset: u64,
    pub length: u64,
}

impl Data {
    fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

pub(super) struct FrameWriter {
    encoder: zstd::stream::write::Encoder<'static, Vec<u8>>,
    previous_end: u64,
    archive_length: u64,
}

impl FrameWriter {
    pub(super) fn new() -> Result<FrameWriter> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(Error::Stream)?;
        encoder.include_checksum(true).map_err(Error::Stream)?;
        Ok(FrameWriter { encoder, previous_end: 0, archive_length: 0 })
    }

    /// Adds literal bytes and then, unless it is empty, data.
    pub(super) fn step(&mut self, literal: &[u8], data: Data) -> Result<()> {
        let mut numbers = Vec::with_capacity(32);
        push_number(&mut numbers, literal.len() as u64);
        self.write(&numbers)?;
        self.write(literal)?;
        numbers.clear();
        push_number(&mut numbers, data.length);
        if data.length > 0 {
            push_number(&mut numbers, zigzag(data.offset.wrapping_sub(self.previous_end) as i64));
            self.previous_end = data.end();
        }
        self.write(&numbers)?;
        self.archive_length += literal.len() as u64 + data.length;
        if self.encoder.get_ref().len() > SIZE_MAX {
            return Err(Error::invalid("archive", "has too many headers, and they cannot be compressed"));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.encoder.write_all(bytes).map_err(Error::Stream)
    }

    /// Writes the frame; returns how long it is, and the archive.
    pub(super) fn finish(self, output: &mut Output) -> Result<(u64, u64)> {
        let compressed = self.encoder.finish().map_err(Error::Stream)?;
        output.write(&compressed)?;
        Ok((compressed.len() as u64, self.archive_length))
    }
}

/// Reads the steps of a frame, one after the other.
pub(super) struct FrameReader<R: Read> {
    decoder: zstd::stream::read::Decoder<'static, io::BufReader<R>>,
    previous_end: u64,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(compressed: R) -> io::Result<FrameReader<R>> {
        Ok(FrameReader { decoder: zstd::stream::read::Decoder::new(compressed)?, previous_end: 0 })
    }

    /// Length of the next step's literal, or `None` at the end. It must be read whole before [`FrameReader::data`].
    pub(super) fn literal_length(&mut self) -> io::Result<Option<u64>> {
        let mut first = [0];
        match crate::ingest::fill(&mut self.decoder, &mut first)? {
            0 => Ok(None),
            _ => self.number_from(first[0]).map(Some),
        }
    }

    /// Reads literal bytes, at least one.
    pub(super) fn literal(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(buffer)? {
            0 if !buffer.is_empty() => Err(broken()),
            count => Ok(count),
        }
    }

    /// The data of the step.
    pub(super) fn data(&mut self) -> io::Result<Data> {
        let length = self.number()?;
        if length == 0 {
            return Ok(Data { offset: 0, length });
        }
        let offset = self.previous_end.wrapping_add(unzigzag(self.number()?) as u64);
        let data = Data { offset, length };
        self.previous_end = data.end();
        Ok(data)
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut first = [0];
        self.decoder.read_exact(&mut first)?;
        self.number_from(first[0])
    }

    fn number_from(&mut self, first: u8) -> io::Result<u64> {
        let (mut value, mut shift, mut digit) = (0_u64, 0, first);
        loop {
            let part = u64::from(digit & 0x7f);
            if shift > 63 || (part << shift) >> shift != part {
                return Err(broken());
            }
            value |= part << shift;
            if digit & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
            let mut next = [0];
            self.decoder.read_exact(&mut next)?;
            digit = next[0];
        }
    }
}

pub(super) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "layer file is damaged: pull the image again")
}

fn push_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Small numbers of both signs become small ones without.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(compressed: &[u8]) -> io::Result<Vec<(Vec<u8>, Data)>> {
        let mut reader = FrameReader::new(compressed)?;
        let mut steps = Vec::new();
        while let Some(length) = reader.literal_length()? {
            let mut literal = Vec::new();
            while (literal.len() as u64) < length {
                let mut buffer = [0; 100];
                let want = (length as usize - literal.len()).min(buffer.len());
                let count = reader.literal(&mut buffer[..want])?;
                literal.extend_from_slice(&buffer[..count]);
            }
            steps.push((literal, reader.data()?));
        }
        Ok(steps)
    }

    fn any_step() -> impl Strategy<Value = (Vec<u8>, u64, u64)> {
        (prop::collection::vec(any::<u8>(), 0..300), any::<u64>(), any::<u64>())
    }

    proptest! {
        #[test]
        fn steps_come_back(steps in prop::collection::vec(any_step(), 0..20), cut in any::<prop::sample::Index>()) {
            let mut frame = FrameWriter::new().unwrap();
            let mut expected = Vec::new();
            for (literal, offset, length) in steps {
                let length = length >> 1;
                frame.archive_length = 0;
                let data = Data { offset: if length == 0 { 0 } else { offset }, length };
                frame.step(&literal, data).unwrap();
                expected.push((literal, data));
            }
            let compressed = frame.encoder.finish().unwrap();
            prop_assert_eq!(read(&compressed).unwrap(), expected);
            prop_assert!(read(&compressed[..cut.index(compressed.len())]).is_err());
        }
    }

    #[test]
    fn numbers_too_large() {
        let compressed = zstd::encode_all(&[0xff; 11][..], 1).unwrap();
        assert!(read(&compressed).is_err());
    }
}
