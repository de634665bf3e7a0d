//! Being told that a group has run out of memory. Version 1 signals an eventfd before it kills (cgroup-v1/memory.rst, oom
//! control): of the group whose limit was hit and of those beneath it, not of those above. Version 2 counts in
//! `memory.events`, which inotify follows, after it has killed, for the groups above too (cgroup-v2.rst).

use super::file;
use crate::{Context, Result};
use rustix::event::EventfdFlags;
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Readable when [`OomWatch::take`] may have something to say.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    dir: PathBuf,
    counted: Counted,
}

#[derive(Debug)]
enum Counted {
    /// By the eventfd.
    ByDescriptor,
    /// By `memory.events`: so many kills were told.
    ByFile(u64),
}

/// `None` when the group has no such file.
pub(super) fn version_1(dir: &Path) -> Result<Option<OomWatch>> {
    let control = match file::open(&dir.join("memory.oom_control"), OFlags::RDONLY) {
        Err(error) if error.errno == Errno::NOENT => return Ok(None),
        control => control?,
    };
    let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).during("make eventfd")?;
    file::write(dir, "cgroup.event_control", &format!("{} {}", fd.as_raw_fd(), control.as_raw_fd()))?;
    Ok(Some(OomWatch { fd, dir: dir.to_owned(), counted: Counted::ByDescriptor }))
}

/// `None` when the group has no such file.
pub(super) fn version_2(dir: &Path) -> Result<Option<OomWatch>> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).during("make an inotify queue")?;
    let path = dir.join("memory.events");
    match inotify::add_watch(&fd, &path, WatchFlags::MODIFY) {
        Err(Errno::NOENT) => return Ok(None),
        watched => watched.during_at("watch", path)?,
    };
    // After the watch, so that no kill is between the two.
    let kills = kills(dir)?.unwrap_or(0);
    Ok(Some(OomWatch { fd, dir: dir.to_owned(), counted: Counted::ByFile(kills) }))
}

/// As the group's file counts them; `None` when the group is gone.
pub(super) fn kills(dir: &Path) -> Result<Option<u64>> {
    match file::read_if_there(dir, "memory.events") {
        Ok(events) => Ok(events.map(|events| file::field(&events, "oom_kill").unwrap_or(0))),
        Err(error) if error.errno == Errno::NODEV => Ok(None),
        Err(error) => Err(error),
    }
}

impl OomWatch {
    /// Whether it has happened since the last call. Waits for nothing.
    pub fn take(&mut self) -> Result<bool> {
        let signalled = self.drain()?;
        match &mut self.counted {
            // The end of the group is signalled, too.
            Counted::ByDescriptor => Ok(signalled && self.dir.join("cgroup.event_control").exists()),
            Counted::ByFile(told) => {
                let now = kills(&self.dir)?.unwrap_or(*told);
                Ok(now > std::mem::replace(told, now))
            }
        }
    }

    fn drain(&self) -> Result<bool> {
        let mut bytes = [0u8; 1024];
        let mut found = false;
        loop {
            match rustix::io::read(&self.fd, &mut bytes) {
                Ok(count) => found |= count > 0,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(found),
                Err(errno) => return Err(errno).during("read what is told of memory"),
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
