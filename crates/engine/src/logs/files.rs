//! The files of one log: opening them in order while the writer may rotate, finding where the
//! last lines begin, and reading records forward. Torn and overlong lines are passed over.

use super::{Entry, Stream, line, rotated_name};
use crate::error::Result;
use kernel::Context;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const BLOCK: usize = 64 << 10;
/// No record of ours or docker's comes near it: such a "line" is damage.
const LINE_MAX: usize = 1 << 20;

/// One open file of the log.
pub struct Source {
    pub file: File,
    pub inode: u64,
    /// When it was opened: a reader that does not follow stops there.
    pub size_bytes: u64,
}

/// All files, oldest first. Opened newest first: a rotation meanwhile then shows one file twice,
/// which is seen by its inode, where the other order would miss one. One number may be missing
/// (a rotation was killed), two in a row are the end.
pub fn open_all(directory: &Path, max_files: u32) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    let mut missing = 0;
    for number in 0..max_files.max(1) {
        match open(&directory.join(rotated_name(number)))? {
            Some(source) => {
                missing = 0;
                if !sources.iter().any(|known| known.inode == source.inode) {
                    sources.push(source);
                }
            }
            None => missing += 1,
        }
        if missing == 2 {
            break;
        }
    }
    sources.reverse();
    Ok(sources)
}

fn open(path: &Path) -> Result<Option<Source>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(kernel::Error::at("open log", path, errno).into()),
    };
    let metadata = file.metadata().during_at("stat log", path)?;
    Ok(Some(Source { file, inode: metadata.ino(), size_bytes: metadata.len() }))
}

/// Where the last `lines` lines begin: index into `sources` and offset. Reads backward, and no
/// more than it needs.
pub fn tail_start(sources: &[Source], lines: usize) -> Result<(usize, u64)> {
    let mut counted = 0;
    // Whether a later part of the stream's present line has been seen.
    let mut begun = [false; 2];
    for (index, source) in sources.iter().enumerate().rev() {
        let mut backward = Backward::new(&source.file, source.size_bytes);
        while let Some((offset, line)) = backward.next()? {
            let Some(entry) = line::decode(&line) else { continue };
            let begun = &mut begun[usize::from(entry.stream == Stream::Stderr)];
            if entry.text.ends_with(b"\n") || !*begun {
                counted += 1;
                *begun = true;
            }
            if counted > lines {
                return Ok((index, offset + line.len() as u64));
            }
        }
    }
    Ok((0, 0))
}

/// The lines of a file from its end to its beginning, each with its offset and its `\n`.
struct Backward<'a> {
    file: &'a File,
    /// Not yet given bytes of the file that start at `offset`.
    bytes: Vec<u8>,
    offset: u64,
}

impl Backward<'_> {
    fn new(file: &File, end: u64) -> Backward<'_> {
        Backward { file, bytes: Vec::new(), offset: end }
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        loop {
            let before_last = self.bytes.len().saturating_sub(1);
            if let Some(at) = self.bytes[..before_last].iter().rposition(|b| *b == b'\n') {
                let line = self.bytes.split_off(at + 1);
                return Ok(Some((self.offset + at as u64 + 1, line)));
            }
            if self.offset == 0 || self.bytes.len() > LINE_MAX {
                let line = std::mem::take(&mut self.bytes);
                return Ok((!line.is_empty()).then_some((self.offset, line)));
            }
            let length = self.offset.min(BLOCK as u64);
            self.offset -= length;
            let mut bytes = vec![0; length as usize];
            self.file.read_exact_at(&mut bytes, self.offset).during("read log")?;
            bytes.append(&mut self.bytes);
            self.bytes = bytes;
        }
    }
}

/// Reads records forward from an offset, as far as the file reaches at the time.
pub struct Reader {
    file: File,
    offset: u64,
    /// The beginning of a line whose end is not written yet.
    line: Vec<u8>,
    /// Within a line that is too long to be one.
    overlong: bool,
}

impl Reader {
    pub fn new(file: File, offset: u64) -> Reader {
        Reader { file, offset, line: Vec::new(), overlong: false }
    }

    pub fn inode(&self) -> Result<u64> {
        Ok(self.file.metadata().during("stat log")?.ino())
    }

    /// Gives whole records up to `end` to `sink`; false when that wants no more.
    pub fn read_to(&mut self, end: u64, sink: &mut dyn FnMut(Entry) -> bool) -> Result<bool> {
        let mut block = vec![0; BLOCK];
        while self.offset < end {
            let wanted = (end - self.offset).min(BLOCK as u64) as usize;
            let count = match rustix::io::pread(&self.file, &mut block[..wanted], self.offset) {
                Ok(0) => break,
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(kernel::Error::new("read log", errno).into()),
            };
            self.offset += count as u64;
            for part in block[..count].split_inclusive(|b| *b == b'\n') {
                if !self.take(part, sink) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// `part` ends with `\n` or is the beginning of a line.
    fn take(&mut self, part: &[u8], sink: &mut dyn FnMut(Entry) -> bool) -> bool {
        let whole = part.ends_with(b"\n");
        if self.line.is_empty() && whole && !self.overlong {
            return line::decode(part).is_none_or(sink);
        }
        if !self.overlong {
            self.line.extend_from_slice(part);
            self.overlong = self.line.len() > LINE_MAX;
        }
        if !whole {
            return true;
        }
        let entry = if self.overlong { None } else { line::decode(&self.line) };
        self.line.clear();
        self.overlong = false;
        entry.is_none_or(sink)
    }
}
