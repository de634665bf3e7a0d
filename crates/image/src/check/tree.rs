//! Whether two directories hold the same: for layers in the form of directories, compared with what their archives make.
//! Both are ours, and nobody else may enter them.

use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The first path that differs, from the top of both.
pub(super) fn difference(one: &Path, other: &Path) -> Result<Option<String>> {
    // Not by recursion: how deep a tree is, its image says.
    let mut left = vec![(one.to_owned(), other.to_owned(), String::new())];
    while let Some((one, other, path)) = left.pop() {
        if !path.is_empty() && !same(&one, &other)? {
            return Ok(Some(path));
        }
        if !one.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            continue;
        }
        let names = names(&one)?;
        if names != self::names(&other)? {
            return Ok(Some(if path.is_empty() { "/".to_owned() } else { path }));
        }
        // The first name is to be taken next.
        for name in names.iter().rev() {
            left.push((one.join(name), other.join(name), format!("{path}/{}", name.to_string_lossy())));
        }
    }
    Ok(None)
}

fn names(directory: &Path) -> Result<BTreeSet<OsString>> {
    let entries = std::fs::read_dir(directory).map_err(Error::io("list", directory))?;
    entries.map(|entry| Ok(entry.map_err(Error::io("list", directory))?.file_name())).collect()
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let stat = |path: &Path| path.symlink_metadata().map_err(Error::io("stat", path));
    let (left, right) = (stat(one)?, stat(other)?);
    let facts = |metadata: &Metadata| {
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        let links = if metadata.is_dir() { 0 } else { metadata.nlink() };
        let owner = (metadata.uid(), metadata.gid());
        (metadata.mode(), owner, size, links, metadata.rdev(), metadata.mtime(), metadata.mtime_nsec())
    };
    if facts(&left) != facts(&right) || attributes(one)? != attributes(other)? {
        return Ok(false);
    }
    if left.is_symlink() {
        let target = |path: &Path| std::fs::read_link(path).map_err(Error::io("read link", path));
        return Ok(target(one)? == target(other)?);
    }
    if left.is_file() { same_content(one, other) } else { Ok(true) }
}

fn attributes(path: &Path) -> Result<Vec<(CString, Vec<u8>)>> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let parent = File::open(parent).map_err(Error::io("open", parent))?;
    Ok(kernel::xattr::list_at(parent.as_fd(), path.file_name().unwrap_or_default())?)
}

fn same_content(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| File::open(path).map_err(Error::io("open", path));
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut left, mut right) = (vec![0; super::BUFFER_BYTES], vec![0; super::BUFFER_BYTES]);
    loop {
        let count = one.read(&mut left).map_err(Error::Stream)?;
        if count == 0 {
            // Their sizes are the same.
            return Ok(true);
        }
        other.read_exact(&mut right[..count]).map_err(Error::Stream)?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}
