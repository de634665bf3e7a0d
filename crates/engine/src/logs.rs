//! Reading a container's log: docker's `logs` with tail, since, until and follow. Needs no help
//! from the monitor that writes the files: whoever may read them can follow them.
//!
//! Entries come as they were written: a line longer than 16 KiB, or one that the program wrote in
//! parts, is several entries of which only the last ends with `\n`. `--tail` counts lines, not
//! entries; where two streams interleave within a line, its first part may stay outside.

pub(crate) mod attributes;
mod files;
mod follow;
pub(crate) mod line;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::LogDriver;
use crate::state::Status;
pub use attributes::Attributes;
use files::Reader;
use serde::Deserialize;
use spec::Timestamp;
use std::path::Path;

/// The file being written, in the container's directory.
pub const FILE_NAME: &str = "container-json.log";

/// `container-json.log` for 0, `container-json.log.1` for the one before it, and so on.
pub(crate) fn rotated_name(number: u32) -> String {
    if number == 0 { FILE_NAME.to_owned() } else { format!("{FILE_NAME}.{number}") }
}

/// What of a log is wanted.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Go on until the container has ended. Only a running (or restarting) container is followed.
    pub follow: bool,
    /// Entries at this time and later.
    pub since: Option<Timestamp>,
    /// Entries up to and including this time.
    pub until: Option<Timestamp>,
    /// The last so many lines; of these `since` and `until` choose.
    pub tail: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub time: Timestamp,
    pub stream: Stream,
    /// The bytes as the program wrote them.
    pub text: Vec<u8>,
    /// What `--log-opt` has put beside them.
    pub attributes: Attributes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Gives each entry to `sink` in the order written, until that returns false.
pub fn read(engine: &Engine, container: &Container, query: &Query, sink: &mut dyn FnMut(Entry) -> bool) -> Result<()> {
    let log = &container.record.options.log;
    if log.driver == LogDriver::None {
        return Err(Error::Unsupported("configured logging driver does not support reading".into()));
    }
    let mut lives = || match Container::load(engine, container.id()) {
        Ok(Some(now)) => matches!(now.state.status, Status::Running | Status::Restarting),
        // Removed, or unreadable: nobody will write any more.
        Ok(None) | Err(_) => false,
    };
    read_directory(&engine.paths().container(container.id()), log.max_files, query, &mut lives, sink)
}

/// `lives` tells whether more may be written.
fn read_directory(
    directory: &Path,
    max_files: u32,
    query: &Query,
    lives: &mut dyn FnMut() -> bool,
    sink: &mut dyn FnMut(Entry) -> bool,
) -> Result<()> {
    let mut choose = |entry: Entry| {
        if query.until.is_some_and(|until| entry.time > until) {
            return false;
        }
        query.since.is_some_and(|since| entry.time < since) || sink(entry)
    };
    // Before the first read: what is written after it must not go unnoticed.
    let following = if query.follow && lives() { Some(follow::Following::new(directory, max_files)?) } else { None };
    let sources = files::open_all(directory, max_files)?;
    let (first, mut offset) = match query.tail {
        Some(lines) => files::tail_start(&sources, lines)?,
        None => (0, 0),
    };
    let mut last = None;
    for source in sources.into_iter().skip(first) {
        let mut reader = Reader::new(source.file, offset);
        if !reader.read_to(source.size_bytes, &mut choose)? {
            return Ok(());
        }
        offset = 0;
        last = Some(reader);
    }
    match following {
        Some(following) => following.run(last, query.until, lives, &mut choose),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
