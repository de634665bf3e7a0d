//! A layer's archive, given back byte for byte from the file that was made of it: literals from the frame, data from
//! where the file system has it. Called by whatever sends a layer away: push, save, check.

use super::frame::{Data, FrameReader, broken};
use super::record::{Record, record};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Data is read from the file in stretches of this many bytes, since most files are small.
const WINDOW_BYTES: usize = 256 << 10;

/// The uncompressed archive as a stream.
pub struct Archive {
    file: File,
    record: Record,
    frame: FrameReader<Stretch>,
    /// What is left of the current step.
    literal_left: u64,
    data: Data,
    produced: u64,
    /// Bytes of the file from `window_start` on.
    window: Vec<u8>,
    window_start: u64,
}

impl Archive {
    pub fn open(file: File) -> Result<Archive> {
        let record = record(&file)?;
        let frame = Stretch {
            file: file.try_clone().map_err(Error::Stream)?,
            offset: record.frame_offset,
            end: record.frame_offset + record.frame_length, // not more than the file has: checked by `record`
        };
        Ok(Archive {
            file,
            frame: FrameReader::new(frame).map_err(Error::Stream)?,
            record,
            literal_left: 0,
            data: Data { offset: 0, length: 0 },
            produced: 0,
            window: Vec::new(),
            window_start: 0,
        })
    }

    /// Bytes of the archive.
    pub fn length(&self) -> u64 {
        self.record.archive_length
    }

    /// Takes the next step; `false` at the end.
    fn next_step(&mut self) -> io::Result<bool> {
        match self.frame.literal_length()? {
            Some(length) => self.literal_left = length,
            None if self.produced == self.record.archive_length => return Ok(false),
            None => return Err(broken()),
        }
        if self.literal_left == 0 {
            self.begin_data()?;
        }
        Ok(true)
    }

    fn begin_data(&mut self) -> io::Result<()> {
        self.data = self.frame.data()?;
        match self.data.offset.checked_add(self.data.length) {
            Some(end) if end <= self.record.frame_offset => Ok(()),
            _ => Err(broken()),
        }
    }

    fn read_literal(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.frame.literal(limit(buffer, self.literal_left))?;
        self.literal_left -= count as u64;
        if self.literal_left == 0 {
            self.begin_data()?;
        }
        Ok(count)
    }

    fn read_data(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = limit(buffer, self.data.length);
        let count = if buffer.len() >= WINDOW_BYTES {
            self.file.read_at(buffer, self.data.offset)?
        } else {
            self.read_window(buffer)?
        };
        if count == 0 {
            return Err(broken());
        }
        self.data.offset += count as u64;
        self.data.length -= count as u64;
        Ok(count)
    }

    fn read_window(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let has = |window: &Vec<u8>, start: u64, offset: u64| (start..start + window.len() as u64).contains(&offset);
        if !has(&self.window, self.window_start, self.data.offset) {
            self.window.resize(WINDOW_BYTES, 0);
            let count = self.file.read_at(&mut self.window, self.data.offset)?;
            self.window.truncate(count);
            self.window_start = self.data.offset;
        }
        let at = (self.data.offset - self.window_start) as usize; // within the window
        let count = buffer.len().min(self.window.len() - at);
        buffer[..count].copy_from_slice(&self.window[at..at + count]);
        Ok(count)
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = if self.literal_left > 0 {
                self.read_literal(buffer)?
            } else if self.data.length > 0 {
                self.read_data(buffer)?
            } else if self.next_step()? {
                continue;
            } else {
                return Ok(0);
            };
            self.produced += count as u64;
            return Ok(count);
        }
    }
}

fn limit(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    &mut buffer[..count]
}

/// A part of a file, read without moving its position.
struct Stretch {
    file: File,
    offset: u64,
    end: u64,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = limit(buffer, self.end - self.offset);
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
