//! A name that is a directory at one moment and a link to a place of the attacker's choice at the next.

use crate::harness::Brig;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Swaps until it is dropped.
pub struct Swap {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Swap {
    /// `one` and `other` change places, again and again. Both must exist.
    pub fn start(one: &Path, other: &Path) -> Swap {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (one, other) = (one.to_owned(), other.to_owned());
        let (halted, counted) = (stop.clone(), count.clone());
        let thread = std::thread::spawn(move || {
            while !halted.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).expect("both are there");
                counted.fetch_add(1, Ordering::Relaxed);
                // Long enough for either to be found, short enough to come between two looks.
                if counted.load(Ordering::Relaxed) % 8 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        Swap { stop, count, thread: Some(thread) }
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the swapping failed");
        }
    }
}

/// A directory shared with containers, in which `race` is now a directory and now a link to `secret` on the host.
pub struct Shared {
    pub volume: PathBuf,
    pub secret: PathBuf,
}

impl Shared {
    pub fn new(brig: &Brig) -> Shared {
        let volume = PathBuf::from(brig.mkdir("volume"));
        let secret = PathBuf::from(brig.mkdir("secret"));
        std::fs::write(secret.join("flag"), "of the host").expect("our own directory");
        std::fs::create_dir(volume.join("race")).expect("our own directory");
        std::fs::write(volume.join("race/flag"), "of the volume").expect("our own directory");
        symlink(&secret, volume.join("link")).expect("our own directory");
        Shared { volume, secret }
    }

    pub fn swap(&self) -> Swap {
        Swap::start(&self.volume.join("race"), &self.volume.join("link"))
    }

    /// Nothing was made, changed or removed outside of the volume.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let entries = std::fs::read_dir(&self.secret).expect("our own directory");
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["flag"], "files appeared on the host");
        let flag = std::fs::read_to_string(self.secret.join("flag")).expect("it was written");
        assert_eq!(flag, "of the host");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("our own");
        let here = self.secret.parent().and_then(Path::to_str).expect("test paths are UTF-8");
        assert!(!mounts.contains(here), "a mount appeared on the host: {mounts}");
    }
}
