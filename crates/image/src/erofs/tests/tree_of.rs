//! What a directory shows, as values that can be compared.

use super::*;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    mode: u32,
    owner: (u32, u32),
    /// `None` for a time that the archive does not say.
    pub mtime: Option<(i64, i64)>,
    links: u64,
    device: u64,
    content: Content,
    xattrs: Vec<(CString, Vec<u8>)>,
    /// The first name of the same file.
    first: PathBuf,
}

#[derive(Debug, PartialEq)]
enum Content {
    File { size: u64, digest: Digest },
    Link(PathBuf),
    Other,
}

/// Everything below `root`, by path. The root itself is at the empty path.
pub(super) fn tree_of(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let (mut tree, mut inodes) = (BTreeMap::new(), BTreeMap::new());
    let mut paths = vec![PathBuf::new()];
    while let Some(path) = paths.pop() {
        let full = root.join(&path);
        // With a slash: the root is a link of /proc.
        let metadata = if path.as_os_str().is_empty() { full.metadata() } else { full.symlink_metadata() }.unwrap();
        if metadata.is_dir() {
            let mut names: Vec<_> = full.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort_by(|a, b| b.cmp(a));
            paths.extend(names.iter().map(|name| path.join(name)));
        }
        let first = inodes.entry(metadata.ino()).or_insert_with(|| path.clone()).clone();
        tree.insert(path, seen(&full, &metadata, first));
    }
    tree
}

fn seen(full: &Path, metadata: &std::fs::Metadata, first: PathBuf) -> Seen {
    let content = if metadata.is_file() {
        let bytes = std::fs::read(full).unwrap();
        assert_eq!(bytes.len() as u64, metadata.len());
        Content::File { size: metadata.len(), digest: digest_of(Algorithm::Sha256, &bytes) }
    } else if metadata.is_symlink() {
        Content::Link(std::fs::read_link(full).unwrap())
    } else {
        Content::Other
    };
    let (directory, name) = match full.file_name() {
        Some(name) if !full.starts_with("/proc") || full.components().count() > 5 => (full.parent().unwrap(), name),
        _ => (full, ".".as_ref()),
    };
    let mut xattrs = kernel::xattr::list_at(File::open(directory).unwrap(), name).unwrap();
    xattrs.sort();
    Seen {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        mtime: Some((metadata.mtime(), metadata.mtime_nsec())),
        links: metadata.nlink(),
        device: metadata.rdev(),
        content,
        xattrs,
        first,
    }
}

/// Both forms of one layer must show the same. Times that `unpack` took from the clock are not in the archive.
pub(super) fn assert_same(unpacked: &Path, mounted: &Path) {
    const ARCHIVES_ARE_OLDER: i64 = 1_600_000_000;
    let (mut expected, mut found) = (tree_of(unpacked), tree_of(mounted));
    for (path, seen) in &mut expected {
        if seen.mtime.is_some_and(|(seconds, _)| seconds > ARCHIVES_ARE_OLDER) {
            seen.mtime = None;
            if let Some(other) = found.get_mut(path) {
                other.mtime = None;
            }
        }
    }
    let paths = |tree: &BTreeMap<PathBuf, Seen>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&expected), paths(&found));
    for (path, seen) in &expected {
        assert_eq!(Some(seen), found.get(path), "{path:?}");
    }
    for path in expected.keys() {
        // By name too, not only from the list of the directory.
        assert!(mounted.join(path).symlink_metadata().is_ok(), "{:?}", path.as_os_str().as_bytes());
    }
}
