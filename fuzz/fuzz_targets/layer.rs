//! Any archive becomes a layer's file or is refused. The file gives the archive back byte for byte, and the kernel, which
//! trusts a file system more than others' bytes, mounts it and finds nothing broken. Runs as root, since it mounts; where
//! EROFS cannot be mounted, that part is left out.
#![no_main]

use image::erofs::{Archive, write};
use kernel::erofs::{Support, mount, probe};
use kernel::xattr::list_at;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use spec::Digest;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static IMAGE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("brig-fuzz-layer-{}", std::process::id())));
static MOUNTS: LazyLock<bool> = LazyLock::new(|| probe(&std::env::temp_dir()) != Support::None);

/// Levels and bytes that are looked at.
const DEPTH_MAX: usize = 8;
const SIZE_MAX: u64 = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&*IMAGE);
    let Ok(layer) = write(&mut &*data, file.expect("the temporary directory can be written")) else { return };
    layer.seal(&Digest::from_hash(&[7; 32])).expect("memory does not fail");
    let image = File::open(&*IMAGE).expect("it is ours");
    let mut back = Vec::new();
    let mut archive = Archive::open(image.try_clone().expect("there are descriptors")).expect("it is whole");
    archive.read_to_end(&mut back).expect("it is whole");
    assert!(back == data);
    if *MOUNTS {
        let mount = mount(&image).expect("the kernel takes it");
        let root = PathBuf::from(format!("/proc/self/fd/{}/", mount.as_fd().as_raw_fd()));
        look_through(&root, 0);
    }
    // The next one is another file: the kernel may hold this one a little longer.
    fs::remove_file(&*IMAGE).expect("it is ours");
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    brig_fuzz::mutate(data, size, max_size, seed)
});

/// Each name is found, and what it names can be read.
fn look_through(directory: &Path, depth: usize) {
    let opened = File::open(directory).expect("a directory can be opened");
    for entry in fs::read_dir(directory).expect("a directory can be read") {
        let entry = entry.expect("a directory can be read");
        let path = entry.path();
        let metadata = fs::symlink_metadata(&path).expect("a name that is listed is found");
        list_at(&opened, &entry.file_name()).expect("attributes can be read");
        if metadata.is_symlink() {
            fs::read_link(&path).expect("a link can be read");
        } else if metadata.is_file() {
            let mut start = Vec::new();
            let file = File::open(&path).expect("a file can be opened");
            file.take(SIZE_MAX).read_to_end(&mut start).expect("a file can be read");
            assert_eq!(start.len() as u64, metadata.len().min(SIZE_MAX));
        } else if metadata.is_dir() && depth < DEPTH_MAX {
            look_through(&path, depth + 1);
        }
    }
}
