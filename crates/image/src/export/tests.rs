//! Trees survive the way into an archive and back.

use super::*;
use crate::tar::Reader;
use crate::testing::{Scratch, is_root};
use crate::unpack::{Options, unpack};
use proptest::prelude::*;
use std::path::PathBuf;

fn archive(path: &Path, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    tar_of(&Root::open(path).unwrap(), Path::new("/"), name, &mut bytes).unwrap();
    bytes
}

fn entries(archive: &[u8]) -> Vec<Entry> {
    let mut reader = Reader::new(archive);
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}

fn names(archive: &[u8]) -> Vec<String> {
    entries(archive).iter().map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect()
}

#[test]
fn names_and_links() {
    let scratch = Scratch::new("export");
    let base = scratch.path();
    std::fs::create_dir(base.join("d")).unwrap();
    std::fs::write(base.join("d/one"), "content").unwrap();
    std::fs::hard_link(base.join("d/one"), base.join("d/two")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", base.join("d/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(base.join("d/socket")).unwrap();
    let whole = archive(base, "");
    assert_eq!(names(&whole), ["d/", "d/link", "d/one", "d/two"]);
    assert_eq!(entries(&whole)[3].link, b"d/one");
    assert_eq!(names(&archive(base, "top"))[..2], ["top/", "top/d/"]);
    assert_eq!(whole, archive(base, ""), "equal trees give equal archives");
    let mut single = Vec::new();
    tar_of(&Root::open(base).unwrap(), Path::new("../d/link"), "renamed", &mut single).unwrap();
    assert_eq!((names(&single), entries(&single)[0].kind), (vec!["renamed".to_owned()], Kind::Symlink));
    let missing = tar_of(&Root::open(base).unwrap(), Path::new("/nope"), "x", &mut Vec::new());
    assert!(matches!(missing, Err(Error::Io(e)) if e.errno == Errno::NOENT));
}

/// As a container makes it with `mkdir d && cd d` in a loop. Deeper than a thread's stack and most limits of descriptors
/// allow for recursion.
#[test]
fn a_tree_as_deep_as_paths_can_be() {
    let scratch = Scratch::new("export-deep");
    let mut directory = Root::open(scratch.path()).unwrap().open_dir("/").unwrap();
    let mut levels = 0;
    let mut deepen = |until: usize| {
        while levels < until {
            rustix::fs::mkdirat(&directory, "d", Mode::RWXU).unwrap();
            directory = rustix::fs::openat(&directory, "d", DIRECTORY, Mode::empty()).unwrap();
            levels += 1;
        }
    };
    let pack = || {
        let path = scratch.path().to_owned();
        let small = std::thread::Builder::new().stack_size(256 << 10);
        small.spawn(move || layer_of(&path, &mut io::sink())).unwrap().join().unwrap()
    };
    deepen(2048);
    pack().unwrap();
    let upper = crate::diff::changes(scratch.path(), &[]).unwrap();
    assert_eq!(upper.len(), 2048);
    deepen(2060);
    let error = pack().unwrap_err().to_string();
    assert!(error.ends_with("…: the path has more than 4095 bytes"), "{error}");
    assert!(crate::diff::changes(scratch.path(), &[]).unwrap().len() < 2060);
    kernel::remove::tree(&scratch.path().join("d")).unwrap();
}

#[test]
fn a_failing_output_is_told_from_a_failing_tree() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let scratch = Scratch::new("full");
    std::fs::write(scratch.path().join("x"), "").unwrap();
    let result = tar_of(&Root::open(scratch.path()).unwrap(), Path::new("x"), "x", &mut Full);
    assert!(matches!(result, Err(Error::Stream(_))));
}

#[test]
fn an_upper_directory_becomes_a_layer_and_back() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("layer");
    let upper = scratch.path().join("upper");
    std::fs::create_dir_all(upper.join("opaque")).unwrap();
    std::fs::write(upper.join("opaque/x"), "1").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, upper.join("gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    let open = File::open(&upper).unwrap();
    xattr::set_at(&open, "opaque".as_ref(), overlay::OPAQUE, b"y").unwrap();
    let mut layer = Vec::new();
    layer_of(&upper, &mut layer).unwrap();
    assert_eq!(names(&layer), [".wh.gone", "opaque/", "opaque/.wh..wh..opq", "opaque/x"]);
    let back = scratch.path().join("back");
    std::fs::create_dir(&back).unwrap();
    unpack(&mut layer.as_slice(), &Root::open(&back).unwrap(), &Options::layer()).unwrap();
    let mut again = Vec::new();
    layer_of(&back, &mut again).unwrap();
    assert_eq!(names(&again), names(&layer));
}

#[derive(Debug, Clone)]
enum Node {
    File { mode: u32, data: Vec<u8> },
    Link(String),
    Fifo(u32),
    Directory { mode: u32, children: std::collections::BTreeMap<String, Node> },
}

fn any_node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        (0..0o10000_u32, prop::collection::vec(any::<u8>(), 0..3000))
            .prop_map(|(mode, data)| Node::File { mode, data }),
        "[a-z/.]{1,150}".prop_map(Node::Link),
        (0..0o1000_u32).prop_map(Node::Fifo),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let name = "[a-zé ]{1,60}".prop_filter("not special", |n| !n.starts_with(".wh."));
        let children = prop::collection::btree_map(name, inner, 0..6);
        // Without our own permission bits a tree could not be made except by root.
        (0..0o10000_u32, children).prop_map(|(mode, children)| Node::Directory { mode: mode | 0o700, children })
    })
}

fn make(path: &PathBuf, node: &Node) {
    let chmod = |mode: u32| rustix::fs::chmod(path, Mode::from_raw_mode(mode)).unwrap();
    match node {
        Node::File { mode, data } => {
            std::fs::write(path, data).unwrap();
            chmod(*mode);
        }
        Node::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
        Node::Fifo(mode) => {
            rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::empty(), 0).unwrap();
            chmod(*mode);
        }
        Node::Directory { mode, children } => {
            std::fs::create_dir(path).unwrap();
            children.iter().for_each(|(name, child)| make(&path.join(name), child));
            chmod(*mode);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_tree_comes_back_the_same(node in any_node()) {
        if !is_root() {
            return Ok(());
        }
        let scratch = Scratch::new("tree");
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        std::fs::create_dir(&to).unwrap();
        make(&from.join("tree"), &node);
        let first = archive(&from, "");
        unpack(&mut first.as_slice(), &Root::open(&to).unwrap(), &Options::layer()).unwrap();
        prop_assert_eq!(first, archive(&to, ""));
    }
}
