//! Being told when files of a directory change (inotify(7)). Used to follow a container's log.
//! Events are hints: the queue may overflow, so callers look at the files themselves, and wait
//! with a timeout where a missed hint would hurt.

use crate::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// A watch on one directory.
#[derive(Debug)]
pub struct Watch(OwnedFd);

/// What was touched since the last call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names that were written to, created, or moved in or out; each once.
    pub names: Vec<OsString>,
    /// The directory itself is gone, or events were lost: anything may have changed.
    pub unknown: bool,
}

impl Watch {
    /// From now on changes of names in `directory`, and writes to the files in it, are noted.
    pub fn directory(directory: &Path) -> Result<Watch> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).during("make an inotify queue")?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE_SELF;
        inotify::add_watch(&fd, directory, flags | WatchFlags::ONLYDIR).during_at("watch", directory)?;
        Ok(Watch(fd))
    }

    /// Waits for the first change, at most `timeout`; no changes then. A signal ends the wait, too.
    pub fn wait(&self, timeout: Duration) -> Result<Changes> {
        let limit = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Changes::default()),
            result => result.during("wait for changes")?,
        };
        self.read()
    }

    fn read(&self) -> Result<Changes> {
        let mut changes = Changes::default();
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut space);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(changes),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno).during("read changes"),
            };
            let gone = ReadFlags::DELETE_SELF | ReadFlags::IGNORED | ReadFlags::QUEUE_OVERFLOW;
            changes.unknown |= event.events().intersects(gone);
            if let Some(name) = event.file_name() {
                let name = OsStr::from_bytes(name.to_bytes());
                if !changes.names.iter().any(|known| known == name) {
                    changes.names.push(name.to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_changed() {
        let directory = std::env::temp_dir().join(format!("brig-inotify-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let watch = Watch::directory(&directory).unwrap();
        assert_eq!(watch.wait(Duration::ZERO).unwrap(), Changes::default());
        std::fs::write(directory.join("a"), "1").unwrap();
        std::fs::rename(directory.join("a"), directory.join("b")).unwrap();
        let changes = watch.wait(Duration::ZERO).unwrap();
        assert_eq!(changes, Changes { names: vec!["a".into(), "b".into()], unknown: false });
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(watch.wait(Duration::ZERO).unwrap().unknown);
        assert!(Watch::directory(&directory).is_err());
    }
}
