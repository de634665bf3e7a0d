//! What a container has changed: `diff`. Compares an overlay's upper directory with the layers
//! below it, without mounting anything.
//!
//! As docker prints it: a directory counts as changed when something in it has changed or its
//! owner or mode has; a file that overlay copied up but that is the same again does not count.

use crate::descent::{DIRECTORY, Descent, PATH_LENGTH_MAX};
use crate::error::Result;
use crate::export::{is_opaque, sorted_names};
use crate::unpack::is_whiteout;
use kernel::Context;
use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

/// One line of `diff`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// Absolute, within the container.
    pub path: PathBuf,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            ChangeKind::Modified => 'C',
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
        };
        write!(f, "{letter} {}", self.path.display())
    }
}

/// Descriptors that all walks together hold for the levels above.
const OPEN_MAX: usize = 256;

/// The changes of `upper` against `lowers` (top first), sorted by path. What lies so deep that no program can name it is
/// not looked at.
pub fn changes(upper: &Path, lowers: &[PathBuf]) -> Result<Vec<Change>> {
    let open_max = (OPEN_MAX / (lowers.len() + 1)).max(1);
    let upper = open_directory(rustix::fs::CWD, upper.as_os_str())?;
    // Of a mount the name is a link in /proc: "." is what it leads to.
    let open = |lower: &PathBuf| open_directory(rustix::fs::CWD, lower.join(".").as_os_str());
    let lowers = lowers.iter().map(|lower| Ok(Descent::new(open(lower)?, open_max)));
    let mut walk =
        Walk { upper: Descent::new(upper, open_max), lowers: lowers.collect::<Result<Vec<_>>>()?, changes: Vec::new() };
    walk.compare()?;
    walk.changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.changes)
}

/// A directory of the upper of which some names are still to be compared.
struct Level {
    names: std::vec::IntoIter<OsString>,
    path: PathBuf,
    /// What the layers show in its place.
    old: Option<Stat>,
    new: Stat,
    /// Changes when it was begun: later ones are in it.
    before: usize,
}

struct Walk {
    upper: Descent,
    /// Those that have the upper's current directory are as deep as it.
    lowers: Vec<Descent>,
    changes: Vec<Change>,
}

impl Walk {
    fn compare(&mut self) -> Result<()> {
        let top = rustix::fs::fstat(self.upper.current()).during("stat directory")?;
        // The top itself is no change, whatever is in it.
        let mut levels = vec![self.begin(PathBuf::from("/"), Some(top), top)?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                let depth = self.upper.depth();
                if let Some(level) = levels.pop().filter(|_| depth > 0) {
                    let has_changes = self.changes.len() > level.before;
                    self.note(level.path, level.old, &level.new, has_changes);
                }
                self.up()?;
                continue;
            };
            let path = level.path.join(&name);
            if let Some((old, new)) = self.look(&name, &path)? {
                levels.push(self.begin(path, old, new)?);
            }
        }
        Ok(())
    }

    /// Begins with the upper's current directory.
    fn begin(&mut self, path: PathBuf, old: Option<Stat>, new: Stat) -> Result<Level> {
        let before = self.changes.len();
        let names = sorted_names(self.upper.current())?;
        if is_opaque(self.upper.current())? {
            for name in self.visible_names()?.into_iter().filter(|name| !names.contains(name)) {
                self.changes.push(Change { kind: ChangeKind::Deleted, path: path.join(name) });
            }
        }
        Ok(Level { names: names.into_iter(), path, old, new, before })
    }

    /// Compares one name; a directory is gone into, and what it is and was is given.
    fn look(&mut self, name: &OsStr, path: &Path) -> Result<Option<(Option<Stat>, Stat)>> {
        let new = stat(self.upper.current(), name)?;
        let below = below(&self.here(), name)?;
        let old = below.as_ref().map(|below| below.stat);
        if is_whiteout(&new) {
            // A whiteout over nothing: made and removed again.
            if old.is_some() {
                self.changes.push(Change { kind: ChangeKind::Deleted, path: path.to_owned() });
            }
            return Ok(None);
        }
        if !FileType::from_raw_mode(new.st_mode).is_dir() || path.as_os_str().len() > PATH_LENGTH_MAX {
            self.note(path.to_owned(), old, &new, false);
            return Ok(None);
        }
        let directory = open_directory(self.upper.current(), name)?;
        let depth = self.upper.depth();
        self.upper.down(directory)?;
        let mut merged = below.map(|below| below.directories).unwrap_or_default().into_iter().peekable();
        for (number, lower) in self.lowers.iter_mut().filter(|lower| lower.depth() == depth).enumerate() {
            if let Some((_, directory)) = merged.next_if(|(index, _)| *index == number) {
                lower.down(directory)?;
            }
        }
        Ok(Some((old, new)))
    }

    fn note(&mut self, path: PathBuf, old: Option<Stat>, new: &Stat, has_changes: bool) {
        let kind = match old {
            None => ChangeKind::Added,
            Some(old) if has_changes || is_different(new, &old) => ChangeKind::Modified,
            Some(_) => return,
        };
        self.changes.push(Change { kind, path });
    }

    fn up(&mut self) -> Result<()> {
        let depth = self.upper.depth();
        self.lowers.iter_mut().filter(|lower| lower.depth() == depth).try_for_each(Descent::up)?;
        self.upper.up()
    }

    /// The layers' directories that lie directly below the upper's current one, top first.
    fn here(&self) -> Vec<&OwnedFd> {
        let depth = self.upper.depth();
        self.lowers.iter().filter(|lower| lower.depth() == depth).map(Descent::current).collect()
    }

    /// All names that the layers show there.
    fn visible_names(&self) -> Result<BTreeSet<OsString>> {
        let here = self.here();
        let mut visible = BTreeSet::new();
        for name in here.iter().map(sorted_names).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            if !visible.contains(&name) && below(&here, &name)?.is_some() {
                visible.insert(name);
            }
        }
        Ok(visible)
    }
}

/// What the layers show at a name.
struct Below {
    stat: Stat,
    /// If it is a directory, those that it is merged from, top first, with the number of the lower that each is of.
    directories: Vec<(usize, OwnedFd)>,
}

fn below(lowers: &[&OwnedFd], name: &OsStr) -> Result<Option<Below>> {
    let mut found: Option<Below> = None;
    for (number, lower) in lowers.iter().enumerate() {
        let stat = match rustix::fs::statat(lower, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            result => result.during_at("stat", name)?,
        };
        // A whiteout or a file ends a directory that begins above it.
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            let shown = found.is_none() && !is_whiteout(&stat);
            return Ok(if shown { Some(Below { stat, directories: Vec::new() }) } else { found });
        }
        let directory = open_directory(lower, name)?;
        let opaque = is_opaque(&directory)?;
        found.get_or_insert(Below { stat, directories: Vec::new() }).directories.push((number, directory));
        if opaque {
            break;
        }
    }
    Ok(found)
}

/// The size and time of a directory say nothing; a file with all of these equal is the same.
fn is_different(new: &Stat, old: &Stat) -> bool {
    let owner = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    let content = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    let is_directory = FileType::from_raw_mode(new.st_mode).is_dir();
    owner(new) != owner(old) || (!is_directory && content(new) != content(old))
}

fn stat(directory: &OwnedFd, name: &OsStr) -> Result<Stat> {
    Ok(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).during_at("stat", name)?)
}

fn open_directory(parent: impl std::os::fd::AsFd, name: &OsStr) -> Result<OwnedFd> {
    Ok(rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).during_at("open", name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, is_root};
    use kernel::{overlay, xattr};

    /// Each line is `path`, `path/`, `!path` (whiteout) or `^path` (opaque directory).
    fn tree(base: &Path, lines: &[&str]) -> PathBuf {
        std::fs::create_dir(base).unwrap();
        for line in lines {
            let path = base.join(line.trim_start_matches(['!', '^']));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match line.as_bytes()[0] {
                b'!' => {
                    let kind = FileType::CharacterDevice;
                    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::empty(), 0).unwrap();
                }
                b'^' => {
                    std::fs::create_dir_all(&path).unwrap();
                    let parent = std::fs::File::open(path.parent().unwrap()).unwrap();
                    xattr::set_at(&parent, path.file_name().unwrap(), overlay::OPAQUE, b"y").unwrap();
                }
                _ if line.ends_with('/') => std::fs::create_dir_all(&path).unwrap(),
                _ => std::fs::write(&path, line).unwrap(),
            }
        }
        base.to_owned()
    }

    fn check(upper: &[&str], lowers: &[&[&str]], expected: &[&str]) {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new("diff");
        let make = |(index, lines): (usize, &&[&str])| tree(&scratch.path().join(index.to_string()), lines);
        let lowers: Vec<PathBuf> = lowers.iter().enumerate().map(make).collect();
        let upper = tree(&scratch.path().join("upper"), upper);
        let found: Vec<String> = changes(&upper, &lowers).unwrap().iter().map(Change::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn added_changed_deleted() {
        check(
            &["etc/new", "etc/old", "!etc/gone", "opt/x/y", "!etc/never"],
            &[&["etc/old", "etc/gone", "usr/bin/"]],
            &["C /etc", "D /etc/gone", "A /etc/new", "C /etc/old", "A /opt", "A /opt/x", "A /opt/x/y"],
        );
    }

    #[test]
    fn whiteouts_and_opaque_directories_of_the_layers_count() {
        check(&["a", "d/x"], &[&["!a", "^d"], &["a", "d/x"]], &["A /a", "C /d", "A /d/x"]);
        check(&["!a"], &[&["!a"], &["a"]], &[]);
        check(&["d/"], &[&["d/"]], &[]);
    }

    #[test]
    fn an_opaque_directory_deletes_what_was_below() {
        check(&["^d", "d/kept"], &[&["d/kept", "d/one"], &["d/two"]], &["C /d", "C /d/kept", "D /d/one", "D /d/two"]);
    }

    #[test]
    fn a_file_that_is_the_same_again() {
        let scratch = Scratch::new("same");
        let lower = tree(&scratch.path().join("lower"), &["d/file"]);
        let upper = tree(&scratch.path().join("upper"), &["d/"]);
        let status = std::process::Command::new("cp").arg("-p").arg(lower.join("d/file")).arg(upper.join("d")).status();
        assert!(status.unwrap().success());
        assert_eq!(changes(&upper, std::slice::from_ref(&lower)).unwrap(), []);
        std::fs::set_permissions(upper.join("d/file"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let found = changes(&upper, &[lower]).unwrap();
        assert_eq!(found.iter().map(Change::to_string).collect::<Vec<_>>(), ["C /d", "C /d/file"]);
    }
}
