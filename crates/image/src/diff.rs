//! What a container has changed: `diff`. Compares an overlay's upper directory with the layers
//! below it, without mounting anything.
//!
//! As docker prints it: a directory counts as changed when something in it has changed or its
//! owner or mode has; a file that overlay copied up but that is the same again does not count.

use crate::error::Result;
use crate::export::{is_opaque, sorted_names};
use crate::unpack::is_whiteout;
use kernel::Context;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
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

/// The changes of `upper` against `lowers` (top first), sorted by path.
pub fn changes(upper: &Path, lowers: &[PathBuf]) -> Result<Vec<Change>> {
    let upper = open_directory(rustix::fs::CWD, upper.as_os_str())?;
    // Of a mount the name is a link in /proc: "." is what it leads to.
    let open = |lower: &PathBuf| open_directory(rustix::fs::CWD, lower.join(".").as_os_str());
    let lowers: Result<Vec<OwnedFd>> = lowers.iter().map(open).collect();
    let mut changes = Vec::new();
    compare(&upper, &lowers?, Path::new("/"), &mut changes)?;
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// Compares a directory of the upper with those that lie directly below it.
fn compare(upper: &OwnedFd, lowers: &[OwnedFd], path: &Path, changes: &mut Vec<Change>) -> Result<()> {
    let names = sorted_names(upper)?;
    if is_opaque(upper)? {
        for name in visible_names(lowers)?.into_iter().filter(|name| !names.contains(name)) {
            changes.push(Change { kind: ChangeKind::Deleted, path: path.join(name) });
        }
    }
    for name in names {
        let stat = stat(upper, &name)?;
        let path = path.join(&name);
        let below = below(lowers, &name)?;
        if is_whiteout(&stat) {
            // A whiteout over nothing: made and removed again.
            if below.is_some() {
                changes.push(Change { kind: ChangeKind::Deleted, path });
            }
            continue;
        }
        let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
        let (old, below) = match below {
            Some(below) => (Some(below.stat), below.directories),
            None => (None, Vec::new()),
        };
        let before = changes.len();
        if is_directory {
            compare(&open_directory(upper, &name)?, &below, &path, changes)?;
        }
        let kind = match old {
            None => Some(ChangeKind::Added),
            Some(old) => {
                let differs = is_different(&stat, &old) || changes.len() > before;
                differs.then_some(ChangeKind::Modified)
            }
        };
        if let Some(kind) = kind {
            changes.push(Change { kind, path });
        }
    }
    Ok(())
}

/// What the layers show at a name.
struct Below {
    stat: Stat,
    /// If it is a directory, those that it is merged from, top first.
    directories: Vec<OwnedFd>,
}

fn below(lowers: &[OwnedFd], name: &OsStr) -> Result<Option<Below>> {
    let mut found: Option<Below> = None;
    for lower in lowers {
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
        found.get_or_insert(Below { stat, directories: Vec::new() }).directories.push(directory);
        if opaque {
            break;
        }
    }
    Ok(found)
}

/// All names that a merged directory shows.
fn visible_names(lowers: &[OwnedFd]) -> Result<BTreeSet<OsString>> {
    let mut visible = BTreeSet::new();
    for name in lowers.iter().map(sorted_names).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        if !visible.contains(&name) && below(lowers, &name)?.is_some() {
            visible.insert(name);
        }
    }
    Ok(visible)
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
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty()).during_at("open", name)?)
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
