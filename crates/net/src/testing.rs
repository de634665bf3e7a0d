//! For the tests of this crate: directories that go with their value, and network namespaces of their own.

use kernel::namespace::{Kind, Set, new_network, unshare};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("brig-net-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `test` on a thread of its own in a new network namespace, a host of its own; nothing without root.
pub fn on_new_host(test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let run = move || {
        unshare(Set::NONE.with(Kind::Network)).unwrap();
        kernel::loopback::bring_up().unwrap();
        test();
    };
    std::thread::spawn(run).join().unwrap();
}

/// A namespace for a container beside the one that the thread is in, its loopback up.
pub fn container() -> OwnedFd {
    let new = new_network().unwrap();
    kernel::netlink::within(&new, kernel::loopback::bring_up).unwrap();
    new
}
