//! Extended attributes (xattr(7)) of open files and of names in an open directory, links not
//! followed. Called by `image` when it unpacks and packs layers.
//!
//! Before Linux 6.13 there is no call for "this name in that directory", and none works on an
//! `O_PATH` descriptor; so names go through /proc/self/fd, which must be mounted.

use crate::error::{Context, Result};
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Largest value that Linux takes, in bytes (XATTR_SIZE_MAX).
pub const VALUE_SIZE_MAX: usize = 64 << 10;

/// Sets an attribute of an open file or directory (not `O_PATH`).
pub fn set(fd: impl AsFd, key: &CStr, value: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(fd, key, value, XattrFlags::empty()).during_at("set attribute", key_path(key))
}

/// Sets an attribute of `name` in `directory`; a link gets it itself.
pub fn set_at(directory: impl AsFd, name: &OsStr, key: &CStr, value: &[u8]) -> Result<()> {
    let path = through_proc(&directory, name);
    rustix::fs::lsetxattr(&path, key, value, XattrFlags::empty()).during_at("set attribute", key_path(key))
}

/// The value of an attribute of `name` in `directory`, or `None` when it has none.
pub fn get_at(directory: impl AsFd, name: &OsStr, key: &CStr) -> Result<Option<Vec<u8>>> {
    let path = through_proc(&directory, name);
    get_path(&path, key).during_at("read attribute", key_path(key))
}

/// All attributes of `name` in `directory` with their values, sorted by name. Empty where the
/// file system has no attributes.
pub fn list_at(directory: impl AsFd, name: &OsStr) -> Result<Vec<(CString, Vec<u8>)>> {
    let path = through_proc(&directory, name);
    let mut found = Vec::new();
    for key in list_path(&path).during_at("list attributes of", name)? {
        if let Some(value) = get_path(&path, &key).during_at("read attribute", key_path(&key))? {
            found.push((key, value));
        }
    }
    found.sort();
    Ok(found)
}

/// Good for as long as the caller keeps `directory`.
fn through_proc(directory: &impl AsFd, name: &OsStr) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()));
    path.push(name);
    path
}

fn get_path(path: &PathBuf, key: &CStr) -> rustix::io::Result<Option<Vec<u8>>> {
    // Most values (a capability, an ACL) are small: the first try nearly always suffices.
    let mut size = 256;
    loop {
        let mut value = Vec::with_capacity(size);
        match rustix::fs::lgetxattr(path, key, rustix::buffer::spare_capacity(&mut value)) {
            Ok(_) => return Ok(Some(value)),
            Err(Errno::RANGE) if size < VALUE_SIZE_MAX => size = VALUE_SIZE_MAX,
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}

fn list_path(path: &PathBuf) -> rustix::io::Result<Vec<CString>> {
    let mut size = 512;
    loop {
        let mut list = Vec::with_capacity(size);
        match rustix::fs::llistxattr(path, rustix::buffer::spare_capacity(&mut list)) {
            Ok(_) => {
                let names = list.split(|&b: &u8| b == 0).filter(|name| !name.is_empty());
                return Ok(names.filter_map(|name| CString::new(name).ok()).collect());
            }
            Err(Errno::RANGE) if size < VALUE_SIZE_MAX => size = VALUE_SIZE_MAX,
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
    }
}

fn key_path(key: &CStr) -> &OsStr {
    OsStr::from_bytes(key.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_get_list() {
        let path = std::env::temp_dir().join(format!("brig-xattr-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", path.join("link")).unwrap();
        let directory = std::fs::File::open(&path).unwrap();
        let large = vec![7; 2000];
        let works = set_at(&directory, "file".as_ref(), c"user.large", &large);
        if works.is_ok() {
            let file = std::fs::File::options().write(true).open(path.join("file")).unwrap();
            set(&file, c"user.a", b"1").unwrap();
            let listed = list_at(&directory, "file".as_ref()).unwrap();
            let expected = vec![(c"user.a".to_owned(), b"1".to_vec()), (c"user.large".to_owned(), large.clone())];
            assert_eq!(listed, expected);
            assert_eq!(get_at(&directory, "file".as_ref(), c"user.large").unwrap(), Some(large));
            assert_eq!(get_at(&directory, "file".as_ref(), c"user.none").unwrap(), None);
        }
        assert!(list_at(&directory, "link".as_ref()).unwrap().is_empty());
        assert_eq!(list_at(&directory, "missing".as_ref()).unwrap_err().errno, Errno::NOENT);
        std::fs::remove_dir_all(&path).unwrap();
    }
}
