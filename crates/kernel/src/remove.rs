//! Removing a directory with everything in it, which may have been filled by a hostile container or image: nothing
//! is followed, and neither depth nor width makes it run out of descriptors or stack. The standard library's own
//! holds one descriptor for each level.

use crate::{Context, Result};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Levels that are walked down; what lies deeper is moved up to the top first.
const DEPTH_MAX: u32 = 64;

/// Removes `path` and all in it; `ENOENT` when there is none. Two may remove the same tree at once: for both it is gone
/// afterwards.
pub fn tree(path: &Path) -> Result<()> {
    tree_at(CWD, path)
}

/// As `tree`, for a name in an open directory.
pub fn tree_at(parent: impl AsFd, path: &Path) -> Result<()> {
    let parent = parent.as_fd();
    let top = openat(parent, path, FLAGS, Mode::empty()).during_at("open", path)?;
    let mut moved = 0;
    loop {
        empty(&top, &top, DEPTH_MAX, &mut moved).during_at("remove", path)?;
        match unlinkat(parent, path, AtFlags::REMOVEDIR) {
            // What was moved up meanwhile, or somebody has written.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            // Somebody else was faster with the last name.
            Err(Errno::NOENT) => return Ok(()),
            result => return result.during_at("remove", path),
        }
    }
}

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn empty(top: &OwnedFd, directory: &OwnedFd, depth: u32, moved: &mut u64) -> rustix::io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {}
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        }
        if depth == 0 {
            move_up(top, directory, name, moved)?;
            continue;
        }
        let child = match openat(directory, name, FLAGS, Mode::empty()) {
            Err(Errno::NOENT) => continue,
            opened => opened?,
        };
        empty(top, &child, depth - 1, moved)?;
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            // The next round from the top sees what is in it by now.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn move_up(top: &OwnedFd, directory: &OwnedFd, name: &std::ffi::CStr, moved: &mut u64) -> rustix::io::Result<()> {
    loop {
        *moved += 1;
        match renameat(directory, name, top, format!(".deep-{moved}")) {
            // The tree has such a name itself.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(Errno::NOENT) => return Ok(()),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;

    #[test]
    fn a_tree_deeper_than_the_descriptor_limit_goes() {
        let path = std::env::temp_dir().join(format!("brig-remove-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink("/etc", path.join("link")).unwrap();
        std::fs::write(path.join(".deep-1"), "taken").unwrap();
        let mut directory = openat(CWD, &path, FLAGS, Mode::empty()).unwrap();
        for _ in 0..3000 {
            mkdirat(&directory, "d", Mode::RWXU).unwrap();
            directory = openat(&directory, "d", FLAGS, Mode::empty()).unwrap();
        }
        tree(&path).unwrap();
        assert!(!path.exists());
        assert_eq!(tree(&path).unwrap_err().errno, Errno::NOENT);
        assert!(Path::new("/etc/passwd").exists());
    }

    #[test]
    fn two_removers_do_not_stop_each_other() {
        let path = std::env::temp_dir().join(format!("brig-remove-twice-{}", std::process::id()));
        for round in 0..20 {
            for directory in 0..40 {
                std::fs::create_dir_all(path.join(format!("{directory}/a/b"))).unwrap();
            }
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| match tree(&path) {
                        Err(error) if error.errno == Errno::NOENT => assert!(!path.exists(), "round {round}: {error}"),
                        result => result.unwrap(),
                    });
                }
            });
            assert!(!path.exists(), "round {round}");
        }
    }
}
