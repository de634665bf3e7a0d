//! Archives as others write them come back byte for byte, with whatever is at their end.

use super::*;
use proptest::prelude::*;

fn comes_back(archive: &[u8]) {
    let made = Made::of(archive).unwrap();
    assert!(made.archive() == archive);
    made.check();
}

fn some_files() -> Vec<u8> {
    crate::testing::tar_of(&[("a", b"abc"), ("d/", b""), ("d/large", &[9; 10_000]), ("d/l -> large", b"")])
}

fn is_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == 0)
}

#[test]
fn ends_of_archives() {
    let whole = some_files();
    let end = whole.len() - 1024;
    assert!(is_zeros(&whole[end..]));
    let garbage: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    for (name, archive) in [
        ("as POSIX has it", whole.clone()),
        ("no end", whole[..end].to_vec()),
        ("one block of zeros", whole[..end + 512].to_vec()),
        ("filled up to 10 KiB", [&whole[..], &[0; 10_240 - 1024]].concat()),
        ("much that is zero", [&whole[..], &vec![0; 1 << 20]].concat()),
        ("garbage behind it", [&whole[..], &garbage].concat()),
        ("garbage between zeros", [&whole[..], &[0; 70_000], &garbage, &[0; 70_000]].concat()),
        ("another archive behind it", [whole.clone(), whole.clone()].concat()),
        ("empty", Vec::new()),
        ("only an end", vec![0; 1024]),
    ] {
        println!("{name}");
        comes_back(&archive);
    }
}

#[test]
fn padding_missing_at_the_end() {
    // As Go's writer leaves it without close.
    let whole = crate::testing::tar_of(&[("a", b"abc")]);
    comes_back(&whole[..515]);
    comes_back(&whole[..600]);
    assert!(Made::of(&whole[..514]).is_err());
}

#[test]
fn data_of_what_is_no_file() {
    let label = raw(b'V', &entry("label", b""), b"");
    let whiteout = raw(b'0', &entry(".wh.x", b""), &[5; 3000]);
    let replaced = crate::testing::tar_of(&[("a", &[1; 5000]), ("a", b"2"), ("a", &[3; 4096])]);
    let old_link = raw(b'1', &Entry { link: b"a".into(), ..entry("hard", b"") }, b"");
    let global = raw(b'g', &entry("g", b""), b"13 comment=x\n\0\0");
    comes_back(&[label, global, whiteout, replaced[..replaced.len() - 1024].to_vec(), old_link].concat());
}

#[test]
fn archives_of_the_systems_tar() {
    for format in ["gnu", "oldgnu", "pax", "posix", "ustar", "v7"] {
        let scratch = Scratch::new("system-tar");
        let files = scratch.path().join("files");
        std::fs::create_dir_all(files.join("d").join("x".repeat(90))).unwrap();
        std::fs::write(files.join("d/small"), "abc").unwrap();
        std::fs::write(files.join("d/large"), [1; 50_000]).unwrap();
        std::fs::hard_link(files.join("d/large"), files.join("hard")).unwrap();
        std::os::unix::fs::symlink("d/large", files.join("link")).unwrap();
        let sparse = File::create(files.join("sparse")).unwrap();
        sparse.write_all_at(b"data", 3 << 20).unwrap();
        sparse.set_len(9 << 20).unwrap();
        let output = std::process::Command::new("tar")
            .args([&format!("--format={format}"), "--sparse", "-cf", "-", "-C"])
            .args([scratch.path(), Path::new("files")])
            .output();
        let Ok(output) = output else { return };
        // v7 has no sparse files; tar says so and stores them whole.
        comes_back(&output.stdout);
    }
}

#[test]
fn small_reads() {
    let whole = some_files();
    let made = Made::of(&whole).unwrap();
    let (mut archive, mut bytes, mut buffer) = (Archive::open(made.file()).unwrap(), Vec::new(), [0; 7]);
    loop {
        match archive.read(&mut buffer).unwrap() {
            0 => break,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    assert!(bytes == whole);
}

#[test]
fn a_damaged_frame_is_an_error() {
    let made = Made::of(&some_files()).unwrap();
    let frame = record(&made.file()).unwrap();
    let file = File::options().read(true).write(true).open(made.path()).unwrap();
    for at in (frame.frame_offset..frame.frame_offset + frame.frame_length).step_by(7) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[!byte[0]], at).unwrap();
        let read = Archive::open(made.file()).map(|mut archive| std::io::copy(&mut archive, &mut std::io::sink()));
        assert!(!matches!(read, Ok(Ok(_))), "{at}");
        file.write_all_at(&byte, at).unwrap();
    }
}

proptest! {
    #[test]
    fn damaged_archives_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), length in any::<prop::sample::Index>()) {
        let mut archive = some_files();
        for (index, byte) in damage {
            let at = index.index(archive.len());
            archive[at] = byte;
        }
        archive.truncate(length.index(archive.len() + 1));
        if let Ok(made) = Made::of(&archive) {
            prop_assert!(made.archive() == archive);
        }
    }
}
