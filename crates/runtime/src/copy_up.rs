//! Filling a tmpfs with what it is about to cover (`tmpcopyup`, which podman's tmpfs mounts ask for). Works on
//! directory descriptors only and follows no link. Called by `mounts.rs`; hard links become separate files,
//! sockets are left out.

use crate::error::Result;
use kernel::Context;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

/// Deeper trees are refused: each level holds two descriptors.
const DEPTH_MAX: u32 = 100;

/// Copies what is in directory `source` (`O_PATH` is enough) into `target`, and its owner too.
pub(crate) fn copy_tree(source: impl AsFd, target: impl AsFd) -> Result<()> {
    let stat = rustix::fs::fstat(&source).during("stat directory")?;
    let target = open_directory(target, c".")?;
    copy_directory(&open_directory(source, c".")?, &target, DEPTH_MAX)?;
    let (owner, group) = owner_of(&stat);
    rustix::fs::fchown(&target, Some(owner), Some(group)).during("set owner")?;
    Ok(())
}

fn copy_directory(source: &OwnedFd, target: &OwnedFd, depth: u32) -> Result<()> {
    if depth == 0 {
        return Err(kernel::Error::new("copy a tree so deep", rustix::io::Errno::NAMETOOLONG).into());
    }
    for entry in rustix::fs::Dir::read_from(source).during("list directory")? {
        let entry = entry.during("list directory")?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(source, target, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(source: &OwnedFd, target: &OwnedFd, name: &CStr, depth: u32) -> Result<()> {
    let stat = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW).during("stat file")?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(target, name, mode).during("make directory")?;
            copy_directory(&open_directory(source, name)?, &open_directory(target, name)?, depth - 1)?;
        }
        FileType::RegularFile => copy_file(source, target, name)?,
        FileType::Symlink => {
            let link = rustix::fs::readlinkat(source, name, Vec::new()).during("read link")?;
            rustix::fs::symlinkat(link.as_c_str(), target, name).during("make link")?;
        }
        FileType::Socket => return Ok(()),
        kind => rustix::fs::mknodat(target, name, kind, mode, stat.st_rdev).during("make special file")?,
    }
    let (owner, group) = owner_of(&stat);
    rustix::fs::chownat(target, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW).during("set owner")?;
    if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
        // After the owner, whose change drops the setuid bit.
        rustix::fs::chmodat(target, name, mode, AtFlags::empty()).during("set permissions")?;
    }
    Ok(())
}

fn copy_file(source: &OwnedFd, target: &OwnedFd, name: &CStr) -> Result<()> {
    let common = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let from = rustix::fs::openat(source, name, OFlags::RDONLY | OFlags::NONBLOCK | common, Mode::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | common;
    let to = rustix::fs::openat(target, name, flags, Mode::from_raw_mode(0o600));
    let (from, to) = (from.during("open file to copy")?, to.during("create file")?);
    std::io::copy(&mut File::from(from), &mut File::from(to)).during("copy file")?;
    Ok(())
}

fn open_directory(parent: impl AsFd, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty()).during("open directory")?)
}

fn owner_of(stat: &Stat) -> (rustix::fs::Uid, rustix::fs::Gid) {
    (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_tree_arrives_with_links_and_permissions() {
        let scratch = std::env::temp_dir().join(format!("brig-copy-up-{}", std::process::id()));
        let (from, to) = (scratch.join("from"), scratch.join("to"));
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(from.join("a/b/file"), "text").unwrap();
        std::fs::set_permissions(from.join("a/b/file"), PermissionsExt::from_mode(0o4751)).unwrap();
        symlink("/etc/shadow", from.join("link")).unwrap();
        copy_tree(File::open(&from).unwrap(), File::open(&to).unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("a/b/file")).unwrap(), "text");
        assert_eq!(std::fs::metadata(to.join("a/b/file")).unwrap().permissions().mode() & 0o7777, 0o4751);
        assert_eq!(std::fs::read_link(to.join("link")).unwrap().to_str(), Some("/etc/shadow"));
        std::fs::remove_dir_all(scratch).unwrap();
    }
}
