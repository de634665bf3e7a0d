//! Writing a container's log: docker's json-file format, bounded and rotated. Called by the
//! monitor with each chunk it read from the container's stdout or stderr; read by `logs.rs`.
//!
//! Nothing is buffered between calls: each call hands all its bytes to the kernel, normally with
//! one write(2), so killing the monitor loses nothing. An unfinished last line becomes a record
//! without `\n`; its rest follows as the next record of that stream. Rotation renames
//! `container-json.log` to `.1`, `.1` to `.2` and so on, and never cuts a file, so that whoever
//! reads one can finish it.

use crate::error::Result;
use crate::logs::{Attributes, FILE_NAME, Stream, line, rotated_name};
use crate::options::{Log, LogDriver};
use kernel::Context;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use spec::Timestamp;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Docker splits longer lines, so readers may rely on records of bounded length.
const RECORD_TEXT_MAX: usize = 16 << 10;
/// A chunk of many short lines grows when encoded; it is written out whenever it exceeds this.
const BUFFER_FULL: usize = 128 << 10;

pub struct LogWriter {
    directory: PathBuf,
    driver: LogDriver,
    /// 0: unbounded.
    max_size_bytes: u64,
    max_files: u32,
    /// The same in every record.
    suffix: String,
    current: Option<Current>,
    /// Encoded records on their way to the file; empty between calls.
    buffer: Vec<u8>,
}

/// The open `container-json.log`.
struct Current {
    file: File,
    size_bytes: u64,
    /// The file ends within a record: the next one must start on a line of its own.
    torn: bool,
}

impl LogWriter {
    /// Opens or creates the log in the container's `directory`.
    pub fn open(directory: &Path, log: &Log, attributes: &Attributes) -> Result<LogWriter> {
        let mut writer = LogWriter {
            directory: directory.to_owned(),
            driver: log.driver,
            max_size_bytes: log.max_size_bytes,
            max_files: log.max_files.max(1),
            suffix: line::suffix(attributes),
            current: None,
            buffer: Vec::new(),
        };
        if writer.driver == LogDriver::JsonFile {
            writer.current()?;
        }
        Ok(writer)
    }

    /// Logs `bytes`, all of them read at `time`. An error (a full disk) means that some are
    /// lost; the next call tries afresh.
    pub fn write(&mut self, stream: Stream, time: Timestamp, bytes: &[u8]) -> Result<()> {
        if self.driver == LogDriver::None {
            return Ok(());
        }
        let result = self.write_records(stream, &time.to_string(), bytes);
        self.buffer.clear();
        // One large chunk must not hold its memory for the container's life.
        self.buffer.shrink_to(BUFFER_FULL);
        result
    }

    fn write_records(&mut self, stream: Stream, time: &str, bytes: &[u8]) -> Result<()> {
        for text in bytes.split_inclusive(|b| *b == b'\n').flat_map(|line| line.chunks(RECORD_TEXT_MAX)) {
            let start = self.buffer.len();
            line::encode(&mut self.buffer, stream, &self.suffix, time, text);
            if self.exceeds_file()? {
                // What fitted belongs to the old file; this record opens the new one.
                let record = self.buffer.split_off(start);
                self.flush()?;
                self.rotate()?;
                self.buffer.extend_from_slice(&record);
            } else if self.buffer.len() > BUFFER_FULL {
                self.flush()?;
            }
        }
        self.flush()
    }

    /// Whether the file would outgrow its bound; one that is empty takes any record.
    fn exceeds_file(&mut self) -> Result<bool> {
        let buffered = self.buffer.len() as u64;
        let max = self.max_size_bytes;
        let size = self.current()?.size_bytes;
        Ok(max != 0 && size + buffered > max && size > 0)
    }

    fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let result = self.current().and_then(|current| current.append(&buffer));
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    /// Moves every file one number up; the oldest is dropped. Killed between two renames, a
    /// number is missing, which readers skip and the next rotation fills.
    fn rotate(&mut self) -> Result<()> {
        self.current = None;
        let path = self.directory.join(FILE_NAME);
        if self.max_files == 1 {
            remove_if_there(&path)?;
        }
        // Up to the first free number: what is beyond it stays.
        let rotated = |number: &u32| self.directory.join(rotated_name(*number));
        let free = (1..self.max_files).find(|number| !rotated(number).exists());
        for number in (1..=free.unwrap_or(self.max_files - 1)).rev() {
            let (from, to) = (rotated(&(number - 1)), rotated(&number));
            match rustix::fs::rename(&from, &to) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(kernel::Error::at("rotate log", &from, errno).into()),
            }
        }
        self.current().map(|_| ())
    }

    fn current(&mut self) -> Result<&mut Current> {
        let current = match self.current.take() {
            Some(current) => current,
            None => Current::open(&self.directory.join(FILE_NAME))?,
        };
        Ok(self.current.insert(current))
    }
}

impl Current {
    fn open(path: &Path) -> Result<Current> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o640)).during_at("open log", path)?);
        let size_bytes = file.metadata().during_at("stat log", path)?.len();
        let mut last = [b'\n'];
        if let Some(offset) = size_bytes.checked_sub(1) {
            file.read_exact_at(&mut last, offset).during_at("read log", path)?;
        }
        Ok(Current { file, size_bytes, torn: last != [b'\n'] })
    }

    /// One write(2) unless the kernel takes only a part.
    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        if self.torn && !bytes.is_empty() {
            rustix::io::write(&self.file, b"\n").during("write log")?;
            self.size_bytes += 1;
            self.torn = false;
        }
        while !bytes.is_empty() {
            match rustix::io::write(&self.file, bytes) {
                Ok(written) => {
                    self.size_bytes += written as u64;
                    self.torn = bytes[..written].last().is_some_and(|b| *b != b'\n');
                    bytes = &bytes[written..];
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(kernel::Error::new("write log", errno).into()),
            }
        }
        Ok(())
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(kernel::Error::at("rotate log", path, errno).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::line::decode;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("brig-log-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }

        fn texts(&self, number: u32) -> Vec<String> {
            let bytes = std::fs::read(self.0.join(rotated_name(number))).unwrap_or_default();
            let lines = bytes.split_inclusive(|b| *b == b'\n');
            lines.filter_map(decode).map(|entry| String::from_utf8_lossy(&entry.text).into()).collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn options(max_size_bytes: u64, max_files: u32) -> Log {
        Log { max_size_bytes, max_files, ..Log::default() }
    }

    #[test]
    fn lines_parts_and_long_lines() {
        let scratch = Scratch::new("lines");
        let mut writer = LogWriter::open(&scratch.0, &options(0, 1), &Attributes::new()).unwrap();
        writer.write(Stream::Stdout, Timestamp::EPOCH, b"one\n\ntwo").unwrap();
        assert_eq!(scratch.texts(0), ["one\n", "\n", "two"]);
        writer.write(Stream::Stderr, Timestamp::EPOCH, b"").unwrap();
        writer.write(Stream::Stdout, Timestamp::EPOCH, &[b'x'; RECORD_TEXT_MAX + 1]).unwrap();
        let texts = scratch.texts(0);
        assert_eq!(texts[3..].iter().map(String::len).collect::<Vec<_>>(), [RECORD_TEXT_MAX, 1]);
    }

    #[test]
    fn rotates_before_the_bound_and_keeps_order() {
        let scratch = Scratch::new("rotate");
        let mut writer = LogWriter::open(&scratch.0, &options(200, 3), &Attributes::new()).unwrap();
        for number in 0..20 {
            writer.write(Stream::Stdout, Timestamp::EPOCH, format!("{number}\n{number}\n").as_bytes()).unwrap();
        }
        let kept: Vec<String> = [2, 1, 0].iter().flat_map(|n| scratch.texts(*n)).collect();
        assert!(kept.len() >= 7, "{kept:?}");
        let all: Vec<String> = (0..20).flat_map(|n| [format!("{n}\n"), format!("{n}\n")]).collect();
        assert_eq!(kept, all[all.len() - kept.len()..]);
        for number in 0..3 {
            assert!(std::fs::metadata(scratch.0.join(rotated_name(number))).unwrap().len() <= 200);
        }
        assert!(!scratch.0.join(rotated_name(3)).exists());
    }

    #[test]
    fn a_single_file_starts_afresh() {
        let scratch = Scratch::new("single");
        let mut writer = LogWriter::open(&scratch.0, &options(100, 1), &Attributes::new()).unwrap();
        for text in [&b"a\n"[..], b"b\n", b"c\n"] {
            writer.write(Stream::Stdout, Timestamp::EPOCH, text).unwrap();
        }
        assert_eq!(scratch.texts(0), ["c\n"]);
        let big = vec![b'y'; 300];
        writer.write(Stream::Stdout, Timestamp::EPOCH, &big).unwrap();
        assert_eq!(scratch.texts(0)[0].len(), 300);
    }

    #[test]
    fn a_successor_continues_after_a_torn_line() {
        let scratch = Scratch::new("torn");
        std::fs::write(scratch.0.join(FILE_NAME), b"{\"log\":\"cut").unwrap();
        let mut writer = LogWriter::open(&scratch.0, &options(0, 1), &Attributes::new()).unwrap();
        writer.write(Stream::Stdout, Timestamp::EPOCH, b"next\n").unwrap();
        assert_eq!(scratch.texts(0), ["next\n"]);
    }

    #[test]
    fn the_driver_none_writes_nothing() {
        let scratch = Scratch::new("none");
        let log = Log { driver: LogDriver::None, ..Log::default() };
        LogWriter::open(&scratch.0, &log, &Attributes::new())
            .unwrap()
            .write(Stream::Stdout, Timestamp::EPOCH, b"x\n")
            .unwrap();
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 0);
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_the_end() {
        let scratch = Scratch::new("full");
        let mut writer = LogWriter::open(&scratch.0, &options(0, 1), &Attributes::new()).unwrap();
        let full = File::options().read(true).append(true).open("/dev/full").unwrap();
        writer.current = Some(Current { file: full, size_bytes: 0, torn: false });
        assert!(writer.write(Stream::Stdout, Timestamp::EPOCH, b"lost\n").is_err());
        writer.current = None;
        writer.write(Stream::Stdout, Timestamp::EPOCH, b"kept\n").unwrap();
        assert_eq!(scratch.texts(0), ["kept\n"]);
    }
}
