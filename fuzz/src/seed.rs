//! Small archives that the fuzzer starts from: one for each thing that archives can say.

use crate::archive::{Entry, record};
use crate::random::Random;

/// One of the archives.
pub fn any(random: &mut Random) -> Vec<Entry> {
    let seeds =
        [plain, link_chain, whiteouts, long_names, extended, attributes, sparse_old, sparse_listed, sparse_in_data];
    random.pick(&seeds)()
}

fn link(kind: u8, name: &[u8], target: &[u8]) -> Entry {
    Entry::new(kind, name, b"").with(157, target)
}

fn plain() -> Vec<Entry> {
    vec![
        Entry::new(b'5', b"d/", b"").with(100, b"0000755\0"),
        Entry::new(b'0', b"d/f", b"content").with(100, b"0006755\0"),
        link(b'1', b"d/hard", b"d/f"),
        link(b'2', b"s", b"d/f"),
        Entry::new(b'3', b"null", b"").with(329, b"0000001\x000000003"),
        Entry::new(b'6', b"fifo", b""),
        Entry::new(b'\0', b"old/", b""),
        Entry::new(b'0', b"f", b"x").with(345, b"d/long/prefix"),
    ]
}

/// Names that lead through links, outside if anything followed them.
fn link_chain() -> Vec<Entry> {
    vec![
        link(b'2', b"a", b"../outside"),
        Entry::new(b'0', b"a/secret", b"x"),
        Entry::new(b'5', b"a", b""),
        link(b'2', b"b", b"/"),
        link(b'1', b"hard", b"b/../../outside/secret"),
        Entry::new(b'0', b"b/./f", b"x"),
        link(b'2', b"b", b"."),
        Entry::new(b'5', b"./", b""),
    ]
}

fn whiteouts() -> Vec<Entry> {
    vec![
        Entry::new(b'5', b"d", b""),
        Entry::new(b'0', b"d/.wh..wh..opq", b""),
        Entry::new(b'0', b"d/.wh.f", b""),
        Entry::new(b'0', b"d/f", b"x"),
        Entry::new(b'0', b".wh.d", b""),
        Entry::new(b'0', b".wh..wh.plnk", b""),
    ]
}

fn long_names() -> Vec<Entry> {
    let gnu = |kind, text| Entry::new(kind, b"././@LongLink", text).with(257, b"ustar  \0");
    vec![gnu(b'L', b"d/name\0"), gnu(b'K', b"d/target\0"), link(b'2', b"cut", b"cut"), Entry::new(b'V', b"label", b"")]
}

fn pax(kind: u8, texts: &[&[u8]]) -> Entry {
    Entry::new(kind, b"PaxHeaders/x", &texts.iter().flat_map(|text| record(text)).collect::<Vec<u8>>())
}

fn extended() -> Vec<Entry> {
    let names: [&[u8]; 4] = [b"path=d/\xc3\xa9", b"linkpath=d/f", b"SCHILY.xattr.user.a=1", b"mtime=1700000000.5"];
    let numbers: [&[u8]; 4] = [b"size=3", b"uid=3000000", b"gid=1", b"mtime=-1.25"];
    vec![
        pax(b'g', &[b"uid=7", b"comment=x"]),
        pax(b'x', &names),
        Entry::new(b'0', b"f", b"abc"),
        pax(b'x', &numbers),
        Entry::new(b'0', b"g", b"abc"),
    ]
}

fn attributes() -> Vec<Entry> {
    const ACL: &[u8] = b"SCHILY.xattr.system.posix_acl_access=\x02\0\0\0";
    let rights: [[u8; 8]; 5] = [
        [1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff],
        [2, 0, 5, 0, 0xe8, 3, 0, 0],
        [4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff],
        [0x10, 0, 5, 0, 0xff, 0xff, 0xff, 0xff],
        [0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    ];
    let acl = [ACL, rights.as_flattened()].concat();
    let default = [&b"SCHILY.xattr.system.posix_acl_default=\x02\0\0\0"[..], rights.as_flattened()].concat();
    let capability = [&b"SCHILY.xattr.security.capability=\x01\0\0\x02"[..], &[0; 16]].concat();
    vec![
        pax(b'x', &[&acl, &default, b"SCHILY.xattr.trusted.overlay.opaque=y", b"SCHILY.xattr.user.a=1"]),
        Entry::new(b'5', b"d", b"").with(100, b"0000755\0"),
        pax(b'x', &[&capability, &acl, b"SCHILY.xattr.user.b=2", b"SCHILY.xattr.user.a=1"]),
        Entry::new(b'0', b"d/f", b"x").with(100, b"0000755\0"),
        pax(b'x', &[b"SCHILY.xattr.trusted.a=1", b"SCHILY.xattr.strange=1"]),
        link(b'2', b"s", b"d"),
    ]
}

/// Two stretches in the header and one in a block after it.
fn sparse_old() -> Vec<Entry> {
    let pair = |offset: u32, length: u32| format!("{offset:011o}\0{length:011o}\0").into_bytes();
    let mut data = pair(2048, 4);
    data.resize(512, 0);
    data.extend_from_slice(b"123456789012");
    let pairs = [pair(0, 4), pair(1024, 0), pair(1024, 2), pair(1028, 2)].concat();
    let header = Entry::new(b'S', b"f", &data).with(257, b"ustar  \0").with(386, &pairs);
    vec![header.with(482, b"\x01").with(483, b"00000010000\0")]
}

/// GNU's formats 0.0 and 0.1: the map is in the extended header.
fn sparse_listed() -> Vec<Entry> {
    let pairs: [&[u8]; 5] = [
        b"GNU.sparse.size=100",
        b"GNU.sparse.offset=0",
        b"GNU.sparse.numbytes=1",
        b"GNU.sparse.offset=9",
        b"GNU.sparse.numbytes=2",
    ];
    let map: [&[u8]; 3] = [b"GNU.sparse.name=f", b"GNU.sparse.size=100", b"GNU.sparse.map=0,1,9,2"];
    vec![
        pax(b'x', &pairs),
        Entry::new(b'0', b"e", b"abc"),
        pax(b'x', &map),
        Entry::new(b'0', b"GNUSparseFile.1/f", b"abc"),
    ]
}

/// GNU's format 1.0: the map is before the data.
fn sparse_in_data() -> Vec<Entry> {
    let keys: [&[u8]; 4] =
        [b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.name=f", b"GNU.sparse.realsize=100"];
    let mut data = b"2\n0\n1\n9\n2\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"abc");
    vec![pax(b'x', &keys), Entry::new(b'0', b"GNUSparseFile.1/f", &data)]
}
