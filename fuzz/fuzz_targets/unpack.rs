//! Whatever an archive says, unpacking it changes nothing outside of its directory. Runs as root, since an escape is
//! worst there; what it writes is in the temporary directory (`TMPDIR`), best in memory.
#![no_main]

use image::unpack::{Options, unpack};
use kernel::beneath::Root;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// `root` is unpacked into; `outside` with its file must stay as it is.
static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| {
    let scratch = std::env::temp_dir().join(format!("brig-fuzz-unpack-{}", std::process::id()));
    fs::create_dir_all(scratch.join("outside")).expect("the temporary directory can be written");
    fs::write(scratch.join("outside/secret"), "secret").expect("the temporary directory can be written");
    scratch
});

fuzz_target!(|data: &[u8]| {
    let layer = Options { whiteouts: true, ..Options::default() };
    let copy = Options { base: "d".into(), keep_kinds: true, ..Options::default() };
    for options in [layer, copy] {
        let root = new_root();
        let before = outside();
        let _ = unpack(&mut &*data, &Root::open(&root).expect("it is ours"), &options);
        assert_eq!(outside(), before);
        assert_eq!(names(&SCRATCH), ["outside", "root"]);
        assert_eq!(names(&SCRATCH.join("outside")), ["secret"]);
        kernel::remove::tree(&root).expect("what was unpacked can be removed");
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    brig_fuzz::mutate(data, size, max_size, seed)
});

/// With a directory, a file and links that lead out, as an earlier layer may have left them.
fn new_root() -> PathBuf {
    let root = SCRATCH.join("root");
    fs::create_dir_all(root.join("d")).expect("it is ours");
    fs::write(root.join("d/f"), "old").expect("it is ours");
    symlink("../outside", root.join("a")).expect("it is ours");
    symlink(SCRATCH.join("outside"), root.join("d/a")).expect("it is ours");
    root
}

/// Everything that a change would show in, the time of the last change included.
fn outside() -> Vec<(u64, u64, u32, u32, u64, i64, i64)> {
    let shown = |path: &Path| {
        let it = fs::symlink_metadata(path).expect("it is ours");
        (it.ino(), it.nlink(), it.mode(), it.uid(), it.size(), it.ctime(), it.ctime_nsec())
    };
    ["outside", "outside/secret"].map(|name| shown(&SCRATCH.join(name))).to_vec()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is ours");
    let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}
