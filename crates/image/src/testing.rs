//! What the tests of this crate share: a directory that goes away, and small archives.

use crate::store::{Image, Store};
use crate::tar::{Entry, Kind, Writer};
use spec::Reference;
use spec::image::ImageConfig;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("brig-image-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A file, a directory when `name` ends in a slash, or a link when `name` is `from -> to`.
pub(crate) fn entry(name: &str, content: &[u8]) -> Entry {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let base = Entry { uid, gid, ..Entry::default() };
    if let Some((name, target)) = name.split_once(" -> ") {
        return Entry { path: name.into(), link: target.into(), kind: Kind::Symlink, mode: 0o777, ..base };
    }
    if name.ends_with('/') {
        return Entry { path: name.into(), kind: Kind::Directory, mode: 0o755, ..base };
    }
    Entry { path: name.into(), kind: Kind::File, mode: 0o644, size: content.len() as u64, ..base }
}

pub(crate) fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, content) in entries {
        writer.append(&entry(name, content), &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

/// Adds an image of one or two layers.
pub(crate) fn add_image(store: &Store, name: &str, first: &[(&str, &[u8])], second: &[(&str, &[u8])]) -> Image {
    let ingest = store.ingest().unwrap();
    let mut config = ImageConfig { architecture: "amd64".to_owned(), os: "linux".to_owned(), ..ImageConfig::default() };
    let mut layers = Vec::new();
    for entries in [first, second].into_iter().filter(|entries| !entries.is_empty()) {
        let layer = ingest.new_layer(&mut tar_of(entries).as_slice(), None).unwrap();
        config.rootfs.diff_ids.push(layer.diff_id);
        layers.push(layer.descriptor);
    }
    ingest.finish_new(&config, layers, &[Reference::parse(name).unwrap()]).unwrap()
}

/// What is in a file of one layer of an image, the top one being 0; `None` when there is no such file.
pub(crate) fn layer_file(store: &Store, image: &Image, layer: usize, name: &str) -> Option<Vec<u8>> {
    let stack = store.stack(&image.config.rootfs.diff_ids, None).unwrap();
    std::fs::read(stack.directories[layer].join(name)).ok()
}
