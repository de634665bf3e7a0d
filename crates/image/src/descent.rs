//! The way down into a tree of directories, for walks over what a hostile container may have made: however deep it is,
//! few descriptors are held, and nothing is recursed into. What lies higher up is opened anew by `..` on the way back
//! and must be the directory that it was. Used by `export`, which commits and copies, and by `diff`.

use crate::error::Result;
use kernel::Context;
use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Longest path that is followed, in bytes, as Linux has it (PATH_MAX without its end): no program could name what is below,
/// and no archive could be unpacked.
pub(crate) const PATH_LENGTH_MAX: usize = 4095;

/// For opening directories of such a tree.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Directories from the top to where a walk is.
#[derive(Debug)]
pub(crate) struct Descent {
    current: OwnedFd,
    /// Those above, the highest first: device and inode, and the descriptor of the lowest ones.
    above: Vec<((u64, u64), Option<OwnedFd>)>,
    open_max: usize,
}

impl Descent {
    /// Begins at `top`; holds at most `open_max` descriptors besides the current one.
    pub(crate) fn new(top: OwnedFd, open_max: usize) -> Descent {
        Descent { current: top, above: Vec::new(), open_max }
    }

    /// Where it is.
    pub(crate) fn current(&self) -> &OwnedFd {
        &self.current
    }

    /// Levels below the top.
    pub(crate) fn depth(&self) -> usize {
        self.above.len()
    }

    /// Goes into `directory`, which must lie directly in the current one.
    pub(crate) fn down(&mut self, directory: OwnedFd) -> Result<()> {
        let identity = identity(&self.current)?;
        self.above.push((identity, Some(std::mem::replace(&mut self.current, directory))));
        if let Some(index) = self.above.len().checked_sub(self.open_max + 1) {
            self.above[index].1 = None;
        }
        Ok(())
    }

    /// Goes back up one level; nothing at the top.
    ///
    /// # Errors
    /// When somebody has moved the current directory elsewhere meanwhile.
    pub(crate) fn up(&mut self) -> Result<()> {
        let Some((expected, open)) = self.above.pop() else { return Ok(()) };
        self.current = match open {
            Some(open) => open,
            None => {
                let parent = openat(&self.current, "..", DIRECTORY, Mode::empty()).during("open parent directory")?;
                if identity(&parent)? != expected {
                    return Err(kernel::Error::new("read directory that is moved meanwhile", Errno::AGAIN).into());
                }
                parent
            }
        };
        Ok(())
    }
}

fn identity(directory: &OwnedFd) -> Result<(u64, u64)> {
    let stat = fstat(directory).during("stat directory")?;
    Ok((stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use rustix::fs::{CWD, mkdirat};

    #[test]
    fn down_and_up_again() {
        let scratch = Scratch::new("descent");
        let top = openat(CWD, scratch.path(), DIRECTORY, Mode::empty()).unwrap();
        let mut descent = Descent::new(top, 3);
        let mut identities = Vec::new();
        for _ in 0..3000 {
            identities.push(identity(descent.current()).unwrap());
            mkdirat(descent.current(), "d", Mode::RWXU).unwrap();
            let next = openat(descent.current(), "d", DIRECTORY, Mode::empty()).unwrap();
            descent.down(next).unwrap();
        }
        assert_eq!(descent.above.iter().filter(|(_, open)| open.is_some()).count(), 3);
        while let Some(expected) = identities.pop() {
            assert_eq!(descent.depth(), identities.len() + 1);
            descent.up().unwrap();
            assert_eq!(identity(descent.current()).unwrap(), expected);
        }
        descent.up().unwrap();
        kernel::remove::tree(&scratch.path().join("d")).unwrap();
    }

    #[test]
    fn a_directory_that_is_moved_away() {
        let scratch = Scratch::new("descent-moved");
        std::fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        let open = |name: &str| openat(CWD, scratch.path().join(name), DIRECTORY, Mode::empty()).unwrap();
        let mut descent = Descent::new(open(""), 0);
        descent.down(open("a")).unwrap();
        descent.down(open("a/b")).unwrap();
        std::fs::rename(scratch.path().join("a/b"), scratch.path().join("b")).unwrap();
        assert!(descent.up().unwrap_err().to_string().contains("moved meanwhile"));
    }
}
