//! Random archives, unpacked to a directory and written as EROFS: both must refuse the same entries, and show the same
//! of the rest.

use super::tree_of::assert_same;
use super::*;
use crate::erofs::acl;
use crate::unpack::{Options, unpack};
use kernel::beneath::Root;
use proptest::prelude::*;

/// One entry as it stands in the archive.
type Raw = Vec<u8>;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let long = vec![b'n'; 255];
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "d", "l"]).prop_map(|name| name.as_bytes().to_vec()),
        1 => prop::sample::select(vec!["!x", ".x", "..x", "-", "a b", "\u{e9}", "0", "~"]).prop_map(|n| n.as_bytes().to_vec()),
        1 => Just(b"\xff\x01".to_vec()),
        1 => Just(long),
        1 => "[a-z]{1,40}".prop_map(String::into_bytes),
    ]
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let ends = prop::sample::select(vec!["", "", "", "", "/", "./", "../b"]);
    (prop::sample::select(vec!["", "", "./", "/"]), prop::collection::vec(name(), 1..4), ends)
        .prop_map(|(start, names, _)| [start.as_bytes(), &names.join(&b'/')].concat())
}

fn whiteout_path() -> impl Strategy<Value = Vec<u8>> {
    (path(), any::<u8>()).prop_map(|(path, choice)| {
        let (parent, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(at) => path.split_at(at + 1),
            None => (&b""[..], path.as_slice()),
        };
        match choice % 4 {
            0 => [parent, b".wh..wh..opq"].concat(),
            _ => [parent, b".wh.", name].concat(),
        }
    })
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let sizes = vec![0, 1, 100, 1900, 1983, 1984, 1985, 2048, 4095, 4096, 4097, 9000, 70_000];
    (prop::sample::select(sizes), any::<u8>())
        .prop_map(|(size, seed)| (0..size).map(|at: usize| (at * 31 + at / 256) as u8 ^ seed).collect())
}

fn xattrs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let acl = acl::value_of(&[(1, 7, !0), (2, 5, 1000), (4, 1, !0), (0x10, 3, !0), (0x20, 4, !0)]);
    let plain_acl = acl::value_of(&[(1, 6, !0), (4, 4, !0), (0x20, 0, !0)]);
    let capability = [&[1, 0, 0, 2][..], &[0; 16]].concat();
    let fixed = vec![
        ("security.capability", capability),
        ("security.capability", b"broken".to_vec()),
        ("system.posix_acl_access", acl),
        ("system.posix_acl_access", plain_acl),
        ("system.posix_acl_access", b"broken".to_vec()),
        ("system.posix_acl_access", b"\x02\0\0\0broken".to_vec()),
        ("trusted.overlay.opaque", b"y".to_vec()),
        ("system.unknown", b"v".to_vec()),
        ("user.", b"v".to_vec()),
    ];
    let fixed = prop::sample::select(fixed).prop_map(|(key, value)| (key.as_bytes().to_vec(), value));
    let any = ("(user|trusted|security)\\.[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..60))
        .prop_map(|(key, value)| (key.into_bytes(), value));
    let one = prop_oneof![1 => fixed, 4 => any];
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(one, 1..4)]
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    // Long, but not so deep that the recursion of fsck.erofs ends its stack.
    let long = [[b"t".repeat(199), b"/".to_vec()].concat().repeat(15), b"x".to_vec()].concat();
    prop_oneof![
        4 => path(),
        2 => path().prop_map(|path| [b"../", path.as_slice()].concat()),
        1 => Just(b"..".to_vec()),
        1 => Just(long),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::File),
        4 => Just(Kind::Directory),
        3 => Just(Kind::Hardlink),
        3 => Just(Kind::Symlink),
        1 => Just(Kind::CharDevice),
        1 => Just(Kind::BlockDevice),
        1 => Just(Kind::Fifo),
    ]
}

fn any_entry() -> impl Strategy<Value = Raw> {
    let paths = prop_oneof![8 => path(), 1 => whiteout_path(), 1 => Just(b"./".to_vec())];
    let numbers = (0..70_000_u32, 0..70_000_u32, 0..0o10000_u32, 0..5000_u32, 0..2_000_000_u32);
    let time = (-1_000_000_000..1_500_000_000_i64, 0..1_000_000_000_u32);
    let extents = prop::option::weighted(0.15, prop::collection::vec((0..40_000_u64, 0..9000_usize), 0..4));
    (paths, kind(), numbers, time, (content(), target()), xattrs(), extents).prop_map(
        |(path, kind, (uid, gid, mode, major, minor), mtime, (data, link), xattrs, extents)| {
            let mut path = path;
            if kind == Kind::Directory {
                path.push(b'/');
            }
            let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
            let is_link = matches!(kind, Kind::Hardlink | Kind::Symlink);
            let data = if kind.has_data() { data } else { Vec::new() };
            let entry = Entry {
                path,
                link: if is_link { link } else { Vec::new() },
                kind,
                mode,
                uid,
                gid,
                size: data.len() as u64,
                mtime,
                device_major: if is_device { major } else { 0 },
                device_minor: if is_device { minor } else { 0 },
                xattrs,
                extents: None,
            };
            match extents {
                Some(extents) if kind == Kind::File => sparse_entry(&entry, &extents),
                _ => {
                    let mut bytes = tar_of(&[(entry, data)]);
                    bytes.truncate(bytes.len() - 1024);
                    bytes
                }
            }
        },
    )
}

fn sparse_entry(entry: &Entry, extents: &[(u64, usize)]) -> Raw {
    let data = vec![0xab; 9000];
    let mut at = 0;
    let mut placed = Vec::new();
    for (gap, length) in extents {
        placed.push((at + gap, &data[..*length]));
        at += gap + *length as u64;
    }
    // Attributes would be in a header of their own, of which only one counts.
    sparse(&Entry { xattrs: Vec::new(), ..entry.clone() }, at + 5000, &placed)
}

fn unpacked(archive: &[u8]) -> (Scratch, Result<u64>) {
    let scratch = Scratch::new("oracle");
    let root = scratch.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let result = unpack(&mut &*archive, &Root::open(&root).unwrap(), &Options::layer());
    (scratch, result)
}

/// What both take of the entries, with an end.
fn accepted(entries: Vec<Raw>) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        let longer = [archive.as_slice(), &entry].concat();
        match Made::of(&longer) {
            Ok(_) => archive = longer,
            Err(error) => {
                let (_scratch, result) = unpacked(&longer);
                assert!(result.is_err(), "only refused as EROFS: {error}");
            }
        }
    }
    archive.extend_from_slice(&[0; 1024]);
    archive
}

fn check(entries: Vec<Raw>) {
    let archive = accepted(entries);
    let made = Made::of(&archive).unwrap();
    assert!(made.archive() == archive, "the archive came back different");
    made.check();
    let (scratch, result) = unpacked(&archive);
    assert_eq!(result.unwrap(), made.size);
    if let Some(mounted) = made.mount() {
        assert_same(&scratch.path().join("root"), &mounted.path());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn both_forms_show_the_same(entries in prop::collection::vec(any_entry(), 0..25)) {
        if crate::testing::is_root() {
            check(entries);
        }
    }
}
