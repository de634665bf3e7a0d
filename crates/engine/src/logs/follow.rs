//! Following a log that is being written: wakes by inotify, goes from file to file as the
//! writer rotates, and ends when the container has ended and everything is read. Only a reader
//! that is slower than all the files that are kept can miss something; it goes on with the
//! oldest file that is left.

use super::files::{self, Reader};
use super::{Entry, FILE_NAME};
use crate::error::Result;
use kernel::inotify::Watch;
use spec::Timestamp;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a lost hint (a killed monitor writes no state) can go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub struct Following {
    directory: PathBuf,
    max_files: u32,
    watch: Watch,
}

impl Following {
    /// Made before the first read, so that no later change goes unnoticed.
    pub fn new(directory: &Path, max_files: u32) -> Result<Following> {
        Ok(Following { directory: directory.to_owned(), max_files, watch: Watch::directory(directory)? })
    }

    /// Goes on from `reader` until the container has ended, `until` has passed, or `sink` wants
    /// no more.
    pub fn run(
        &self,
        mut reader: Option<Reader>,
        until: Option<Timestamp>,
        lives: &mut dyn FnMut() -> bool,
        sink: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<()> {
        let mut may_have_ended = true;
        loop {
            // Asked before reading: what was written before the end is then read, too.
            let last_round = may_have_ended && !lives();
            if !self.read_on(&mut reader, sink)? || last_round {
                return Ok(());
            }
            let mut timeout = LOOK_AGAIN;
            if let Some(until) = until {
                let left = until.since(Timestamp::now());
                if left < 0 {
                    return Ok(());
                }
                timeout = timeout.min(Duration::from_nanos(left as u64));
            }
            let changes = self.watch.wait(timeout)?;
            may_have_ended = changes.unknown || !changes.names.iter().any(|name| name == FILE_NAME);
            may_have_ended |= changes.names.iter().any(|name| name == "state.json");
        }
    }

    /// Reads everything there is, through all rotations that have happened.
    fn read_on(&self, reader: &mut Option<Reader>, sink: &mut dyn FnMut(Entry) -> bool) -> Result<bool> {
        loop {
            if let Some(reader) = reader
                && !reader.read_to(u64::MAX, sink)?
            {
                return Ok(false);
            }
            let Some(next) = self.next_after(reader.as_ref())? else { return Ok(true) };
            // It was renamed after its last record was written: what is in it now is all.
            if let Some(reader) = reader
                && !reader.read_to(u64::MAX, sink)?
            {
                return Ok(false);
            }
            *reader = Some(next);
        }
    }

    /// The file written after `reader`'s; `None` when that is the one being written.
    fn next_after(&self, reader: Option<&Reader>) -> Result<Option<Reader>> {
        let sources = files::open_all(&self.directory, self.max_files)?;
        let read = match reader {
            Some(reader) => {
                let inode = reader.inode()?;
                sources.iter().position(|source| source.inode == inode)
            }
            None => None,
        };
        let next = read.map_or(0, |index| index + 1);
        Ok(sources.into_iter().nth(next).map(|source| Reader::new(source.file, 0)))
    }
}
