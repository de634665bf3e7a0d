//! Much of everything: files, depth, size. And what is refused, with its reason.

use super::*;

#[test]
fn a_hundred_thousand_files() {
    let mut entries = Vec::new();
    for number in 0..100_000_u32 {
        // One directory has most of them, so that its names fill many blocks.
        let directory = if number % 10 == 0 { number / 1000 } else { 0 };
        let content = number.to_le_bytes().repeat(number as usize % 9);
        entries.push((entry(&format!("d{directory}/file-{number}"), &content), content));
    }
    let archive = tar_of(&entries);
    let made = Made::of(&archive).unwrap();
    assert!(made.archive() == archive);
    made.check();
    let Some(mounted) = made.mount() else { return };
    assert_eq!(mounted.path().join("d0").read_dir().unwrap().count(), 90_100);
    for number in (0..100_000).step_by(977) {
        let directory = if number % 10 == 0 { number / 1000 } else { 0 };
        let path = mounted.path().join(format!("d{directory}/file-{number}"));
        assert_eq!(std::fs::read(&path).unwrap(), entries[number as usize].1, "{}", path.display());
    }
    assert!(mounted.path().join("d0/file-1000000").symlink_metadata().is_err());
}

#[test]
fn more_than_four_gigabytes() {
    let size = (6 << 30) + 123;
    let last = size - 10;
    let archive =
        sparse(&entry("lastlog", b""), size, &[(4096, b"first"), (5 << 30, b"middle"), (last, b"0123456789")]);
    let made = Made::of(&archive).unwrap();
    assert_eq!(made.size, size);
    assert!(made.archive() == archive);
    made.check();
    // Holes are not stored.
    let blocks = std::os::unix::fs::MetadataExt::blocks(&made.file().metadata().unwrap());
    assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
    let Some(mounted) = made.mount() else { return };
    let file = File::open(mounted.path().join("lastlog")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), size);
    for (offset, text) in [(4094, &b"\0\0first\0"[..]), ((5 << 30) - 1, b"\0middle\0"), (last - 1, b"\x000123456789")] {
        let mut bytes = vec![1; text.len()];
        file.read_exact_at(&mut bytes, offset).unwrap();
        assert_eq!(bytes, text, "{offset}");
    }
}

#[test]
fn sparse_files_of_all_shapes() {
    for (size, extents) in [
        (0, vec![]),
        (1, vec![]),
        (100_000, vec![]),
        (100_000, vec![(0, &b"start"[..])]),
        (100_000, vec![(99_997, b"end")]),
        (100_000, vec![(4000, &[7; 9000][..]), (20_000, b"x"), (20_002, b"y")]),
        (10, vec![(3, b"abc")]),
        (3, vec![(0, b"abc")]),
        ((1 << 30) + 5000, vec![(5000, b"a"), (9000, b"b"), (1 << 30, b"c")]),
    ] {
        let archive = [sparse(&entry("f", b""), size, &extents), vec![0; 1024]].concat();
        let made = Made::of(&archive).unwrap();
        assert!(made.archive() == archive, "{size}");
        made.check();
        let Some(mounted) = made.mount() else { return };
        let file = File::open(mounted.path().join("f")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), size);
        let mut left = 0;
        for (offset, data) in extents {
            let before = (offset - left).min(10_000);
            let mut bytes = vec![1; before as usize + data.len()];
            file.read_exact_at(&mut bytes, offset - before).unwrap();
            assert!(bytes[..before as usize].iter().all(|&b| b == 0) && bytes[before as usize..] == *data, "{size}");
            left = offset + data.len() as u64;
        }
    }
}

#[test]
fn deep_trees() {
    let deep = "d/".repeat(2000);
    let mut entries = vec![(entry(&format!("{deep}file"), b"x"), b"x".to_vec())];
    // Deeper than a path can say.
    entries.push((entry(&format!("link -> {deep}"), b""), Vec::new()));
    entries.push((entry(&format!("link/{deep}deepest"), b"y"), b"y".to_vec()));
    let archive = tar_of(&entries);
    let made = Made::of(&archive).unwrap();
    assert!(made.archive() == archive);
    let Some(mounted) = made.mount() else { return };
    assert_eq!(std::fs::read(mounted.path().join(format!("{deep}file"))).unwrap(), b"x");
    let mut directory = File::open(mounted.path().join("link")).unwrap();
    for _ in 0..2000 {
        let next = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join("d");
        directory = File::open(next).unwrap();
    }
    assert_eq!(std::fs::read(format!("/proc/self/fd/{}/deepest", directory.as_raw_fd())).unwrap(), b"y");
}

#[test]
fn refused() {
    let link = |link: &str| Entry { kind: Kind::Hardlink, link: link.into(), ..entry("x", b"") };
    let root_xattrs = (0..4).map(|n| (format!("user.{n}").into_bytes(), vec![0; 4000])).collect();
    let large_xattr = vec![(b"user.x".to_vec(), vec![0; 65536])];
    for (entry, why) in [
        (entry("../x", b""), "leads outside"),
        (entry(".wh..", b""), "hides nothing"),
        (Entry { kind: Kind::Fifo, ..entry(".", b"") }, "no directory"),
        (entry(&"n".repeat(256), b""), "too long"),
        (entry(&format!("{}x", "d/".repeat(2100)), b""), "too long"),
        (entry(&format!("l -> {}", "t".repeat(4096)), b""), "too long"),
        (link("nowhere"), "does not have"),
        (link("../x"), "leads outside"),
        (link("."), "not permitted"),
        (Entry { xattrs: root_xattrs, ..entry("./", b"") }, "root directory with too many"),
        (Entry { xattrs: large_xattr, ..entry("f", b"") }, "more than 65535 bytes"),
    ] {
        let error = Made::of(&tar_of(&[(entry, Vec::new())])).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let huge = sparse(&entry("huge", b""), (1 << 44) + 1, &[]);
    assert!(Made::of(&huge).map(|_| ()).unwrap_err().to_string().contains("more than 16 TiB"));
    let below_a_file = crate::testing::tar_of(&[("f", b""), ("f/x", b"")]);
    assert!(Made::of(&below_a_file).map(|_| ()).unwrap_err().to_string().contains("Not a directory"));
    let round = crate::testing::tar_of(&[("a -> b", b""), ("b -> a", b""), ("a/x", b"")]);
    assert!(Made::of(&round).is_err());
}
