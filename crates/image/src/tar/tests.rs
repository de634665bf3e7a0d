//! Archives as a whole: what is written is read back, what other programs wrote is understood,
//! and what is broken is refused.

use super::*;
use proptest::prelude::*;
use std::io::Read;

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, data) in entries {
        writer.append(entry, &mut data.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn read(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(archive);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = Vec::new();
        reader.read_to_end(&mut data)?;
        found.push((entry, data));
    }
    Ok(found)
}

fn why(archive: &[u8]) -> String {
    read(archive).unwrap_err().to_string()
}

fn file(path: &str, data: &[u8]) -> (Entry, Vec<u8>) {
    let entry = Entry { path: path.into(), mode: 0o644, size: data.len() as u64, ..Entry::default() };
    (entry, data.to_vec())
}

/// One raw block with a valid checksum.
fn block(flag: u8, name: &[u8], size: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = flag;
    header::put_checksum(&mut block);
    block.to_vec()
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(BLOCK), 0);
    data
}

/// An archive that the system's tar makes of `setup`'s files.
fn system_tar(arguments: &[&str], setup: impl FnOnce(&std::path::Path)) -> Option<Vec<u8>> {
    let scratch = crate::testing::Scratch::new("tar");
    setup(scratch.path());
    let output = std::process::Command::new("tar")
        .args(["-C".as_ref(), scratch.path().as_os_str()])
        .args(arguments)
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn gnu_and_pax_long_names() {
    let long = format!("{}/{}", "d".repeat(150), "n".repeat(150));
    for format in ["--format=gnu", "--format=pax"] {
        let archive = system_tar(&[format, "-cf", "-", "."], |directory| {
            std::fs::create_dir(directory.join("d".repeat(150))).unwrap();
            std::fs::write(directory.join(&long), "content").unwrap();
            std::os::unix::fs::symlink("t".repeat(200), directory.join("link")).unwrap();
        });
        let Some(archive) = archive else { return };
        let entries = read(&archive).unwrap();
        let found = entries.iter().find(|(e, _)| e.path == format!("./{long}").as_bytes()).expect(format);
        assert_eq!(found.1, b"content");
        assert!(entries.iter().any(|(e, _)| e.link == "t".repeat(200).as_bytes()), "{format}");
    }
}

#[test]
fn sparse_files_of_every_format() {
    let hole = 1 << 20;
    for format in [
        "--format=gnu",
        "--format=pax --sparse-version=0.0",
        "--format=pax --sparse-version=0.1",
        "--format=pax --sparse-version=1.0",
    ] {
        let mut arguments: Vec<&str> = format.split(' ').collect();
        arguments.extend(["--sparse", "-cf", "-", "file"]);
        let archive = system_tar(&arguments, |directory| {
            use std::os::unix::fs::FileExt;
            let file = std::fs::File::create(directory.join("file")).unwrap();
            for number in 0..30 {
                file.write_all_at(b"data", number * hole).unwrap();
            }
            file.set_len(40 * hole).unwrap();
        });
        let Some(archive) = archive else { return };
        let entries = read(&archive).unwrap();
        let (entry, data) = &entries[0];
        assert_eq!(entry.path, b"file", "{format}");
        assert_eq!(entry.size, 40 * hole, "{format}");
        let Some(extents) = &entry.extents else { panic!("{format}: not sparse") };
        let mut whole = vec![0; entry.size as usize];
        let mut data = data.as_slice();
        for extent in extents {
            let (now, later) = data.split_at(extent.length as usize);
            whole[extent.offset as usize..][..now.len()].copy_from_slice(now);
            data = later;
        }
        for number in 0..30 {
            assert_eq!(&whole[(number * hole) as usize..][..4], b"data", "{format} {number}");
        }
        assert_eq!(whole.iter().filter(|&&b| b != 0).count(), 120, "{format}");
    }
}

#[test]
fn global_headers_count_until_a_local_one() {
    let mut global = Vec::new();
    pax::push(&mut global, b"uid", b"77");
    let mut local = Vec::new();
    pax::push(&mut local, b"uid", b"88");
    let octal = |n: usize| format!("{n:011o}").into_bytes();
    let archive = [
        block(b'g', b"g", &octal(global.len())),
        padded(&global),
        block(b'0', b"a", b"0"),
        block(b'x', b"x", &octal(local.len())),
        padded(&local),
        block(b'0', b"b", b"0"),
        block(b'0', b"c", b"0"),
    ]
    .concat();
    let uids: Vec<u32> = read(&archive).unwrap().iter().map(|(e, _)| e.uid).collect();
    assert_eq!(uids, [77, 88, 77]);
}

#[test]
fn global_headers_are_small_and_for_all_files() {
    let global = |data: &[u8]| [block(b'g', b"g", format!("{:011o}", data.len()).as_bytes()), padded(data)].concat();
    let half = global(&[0; 10_000]);
    assert!(read(&half).unwrap().is_empty());
    assert!(why(&half.repeat(2)).contains("too many global"));
    for key in [&b"SCHILY.xattr.user.a"[..], b"GNU.sparse.map"] {
        let mut records = Vec::new();
        pax::push(&mut records, key, b"1");
        assert!(why(&global(&records)).contains("which only one file can have"));
    }
}

#[test]
fn ends_of_archives() {
    let whole = write(&[file("a", b"abc")]);
    assert_eq!(read(&whole).unwrap().len(), 1);
    assert_eq!(read(&whole[..1024]).unwrap().len(), 1, "without the final blocks");
    assert_eq!(read(&whole[..512 + 3]).unwrap().len(), 1, "without padding");
    assert_eq!(read(b"").unwrap().len(), 0);
    assert_eq!(why(&whole[..512 + 2]), "ends in the middle of an archive");
    assert_eq!(why(&whole[..100]), "ends in the middle of an archive");
}

#[test]
fn broken_archives() {
    let mut sum = write(&[file("a", b"")]);
    sum[0] = b'b';
    assert_eq!(why(&sum), "has a header with a wrong checksum");
    assert!(why(&block(b'x', b"x", b"77777777777")).contains("more than 1048576 bytes"));
    assert!(why(&block(b'L', b"x", b"77777777777")).contains("more than 1048576 bytes"));
    assert!(why(&block(b'?', b"x", b"0")).contains("unknown type 0x3f: x"));
    assert!(why(&block(b'0', b"x", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")).contains("negative"));
    assert!(why(&block(b'0', b"x", b"12z")).contains("number"));
    assert_eq!(why(&block(b'x', b"x", b"1000")), "ends in the middle of an archive");
    assert_eq!(why(&[7; 700]), "has a header with a wrong checksum");
}

#[test]
fn device_numbers_that_linux_does_not_have() {
    let largest = Entry { path: b"d".to_vec(), kind: Kind::CharDevice, ..Entry::default() };
    let largest = Entry { device_major: 0xfff, device_minor: 0xfffff, ..largest };
    let archive = write(&[(largest.clone(), Vec::new())]);
    assert_eq!(read(&archive).unwrap()[0].0, largest);
    for (at, number) in [(329, &b"0010000\0"[..]), (337, b"4000000\0"), (329, b"\xff\xff\xff\xff\xff\xff\xff\xff")] {
        let mut block: header::Block = archive[..BLOCK].try_into().unwrap();
        block[at..at + 8].copy_from_slice(number);
        header::put_checksum(&mut block);
        assert_eq!(why(&block), "has a device number out of range");
    }
}

#[test]
fn the_owner_that_chown_takes_for_none() {
    let owned = |uid, gid| write(&[(Entry { path: b"f".to_vec(), uid, gid, ..Entry::default() }, Vec::new())]);
    assert_eq!(read(&owned(u32::MAX - 1, u32::MAX - 1)).unwrap()[0].0.uid, u32::MAX - 1);
    for archive in [owned(u32::MAX, 0), owned(0, u32::MAX)] {
        assert_eq!(why(&archive), "has a user or group id out of range");
    }
    let mut block: header::Block = block(b'0', b"f", b"0").try_into().unwrap();
    block[header::UID].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff");
    header::put_checksum(&mut block);
    assert_eq!(why(&block), "has a user or group id out of range");
}

#[test]
fn impossible_sparse_maps() {
    for map in ["0,5,3,5", "10,1", "0,18446744073709551615", "0,1,2", "x", "0,9"] {
        let mut records = Vec::new();
        pax::push(&mut records, b"GNU.sparse.map", map.as_bytes());
        pax::push(&mut records, b"GNU.sparse.size", b"10");
        let size = format!("{:011o}", records.len());
        let archive =
            [block(b'x', b"x", size.as_bytes()), padded(&records), block(b'0', b"f", b"10"), padded(b"12345678")]
                .concat();
        assert!(why(&archive).contains("sparse map"), "{map}");
    }
}

#[test]
fn sizes_that_cannot_be() {
    for size in ["9223372036854775808", "18446744073709551615"] {
        let mut records = Vec::new();
        pax::push(&mut records, b"size", size.as_bytes());
        let length = format!("{:011o}", records.len());
        let archive = [block(b'x', b"x", length.as_bytes()), padded(&records), block(b'0', b"f", b"0")].concat();
        assert_eq!(why(&archive), "has an extended header with a size too large", "{size}");
    }
}

#[test]
fn old_directories_and_links_with_a_size() {
    let archive = [block(b'\0', b"d/", b"0"), block(b'1', b"hard", b"10"), block(b'0', b"f", b"0")].concat();
    let kinds: Vec<Kind> = read(&archive).unwrap().iter().map(|(e, _)| e.kind).collect();
    assert_eq!(kinds, [Kind::Directory, Kind::Hardlink, Kind::File]);
}

#[test]
fn the_systems_tar_reads_ours() {
    let long = "x".repeat(120);
    let mut entries = vec![file("a", b"abc"), file(&format!("{}/é", "d".repeat(90)), b""), file(&long, b"z")];
    entries[0].0.uid = 3_000_000;
    let archive = write(&entries);
    let scratch = crate::testing::Scratch::new("list");
    let path = scratch.path().join("x.tar");
    std::fs::write(&path, archive).unwrap();
    let output = std::process::Command::new("tar")
        .args(["--numeric-owner", "--quoting-style=literal", "-tvf"])
        .arg(&path)
        .output();
    let Ok(output) = output else { return };
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(listing.contains("3000000/0") && listing.contains('é') && listing.contains(&long), "{listing}");
}

fn any_entry() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let name = prop::collection::vec(1..=255_u8, 1..130);
    let xattrs = prop::collection::btree_map("user\\.[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..40), 0..3);
    let ids = (0..u32::MAX, 0..u32::MAX, 0..0o10000_u32);
    let time = (-9_000_000_000..90_000_000_000_i64, 0..1_000_000_000_u32);
    let kind = prop_oneof![
        Just(Kind::File),
        Just(Kind::Hardlink),
        Just(Kind::Symlink),
        Just(Kind::CharDevice),
        Just(Kind::Directory),
        Just(Kind::Fifo)
    ];
    (name.clone(), name, kind, ids, time, xattrs, prop::collection::vec(any::<u8>(), 0..1500)).prop_map(
        |(path, link, kind, (uid, gid, mode), mtime, xattrs, data)| {
            let is_link = matches!(kind, Kind::Hardlink | Kind::Symlink);
            let data = if kind.has_data() { data } else { Vec::new() };
            let mut path = path;
            if kind == Kind::File && path.ends_with(b"/") {
                path.push(b'x');
            }
            let entry = Entry {
                path,
                link: if is_link { link } else { Vec::new() },
                kind,
                mode,
                uid,
                gid,
                size: data.len() as u64,
                mtime,
                device_major: if kind == Kind::CharDevice { uid % 4096 } else { 0 },
                device_minor: 0,
                xattrs: xattrs.into_iter().map(|(k, v)| (k.into_bytes(), v)).collect(),
                extents: None,
            };
            (entry, data)
        },
    )
}

proptest! {
    #[test]
    fn round_trip(entries in prop::collection::vec(any_entry(), 0..6)) {
        prop_assert_eq!(read(&write(&entries)).unwrap(), entries);
    }

    #[test]
    fn damaged_archives_never_panic(
        entries in prop::collection::vec(any_entry(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        repair: bool,
        length in any::<prop::sample::Index>(),
    ) {
        let mut archive = write(&entries);
        for (index, byte) in damage {
            let at = index.index(archive.len());
            archive[at] = byte;
            if repair {
                // With a right checksum the damage gets past the first check.
                let start = at / BLOCK * BLOCK;
                let mut block: header::Block = archive[start..start + BLOCK].try_into().unwrap();
                header::put_checksum(&mut block);
                archive[start..start + BLOCK].copy_from_slice(&block);
            }
        }
        archive.truncate(length.index(archive.len() + 1));
        let _ = read(&archive);
    }
}
