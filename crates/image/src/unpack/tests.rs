//! Honest trees arrive whole; hostile ones stay inside.

use super::*;
use crate::tar::Writer;
use crate::testing::{Scratch, entry, is_root, tar_of};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

struct Target {
    scratch: Scratch,
    root: Root,
}

impl Target {
    fn new() -> Target {
        let scratch = Scratch::new("unpack");
        std::fs::create_dir(scratch.path().join("root")).unwrap();
        std::fs::write(scratch.path().join("secret"), "outside").unwrap();
        let root = Root::open(&scratch.path().join("root")).unwrap();
        Target { scratch, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join("root").join(name)
    }

    fn unpack(&self, archive: &[u8]) -> Result<u64> {
        unpack(&mut &*archive, &self.root, &Options::layer())
    }

    fn entries(&self, entries: &[(Entry, &[u8])]) -> Result<u64> {
        let mut writer = Writer::new(Vec::new());
        for (entry, data) in entries {
            writer.append(entry, &mut &data[..]).unwrap();
        }
        self.unpack(&writer.finish().unwrap())
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// What lies next to the root must be as it was.
    fn check_outside(&self) {
        assert_eq!(std::fs::read_to_string(self.scratch.path().join("secret")).unwrap(), "outside");
        assert_eq!(std::fs::read_dir(self.scratch.path()).unwrap().count(), 2);
    }
}

fn hardlink(name: &str, target: &str) -> Entry {
    Entry { kind: Kind::Hardlink, link: target.into(), ..entry(name, b"") }
}

#[test]
fn kinds_modes_and_times() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let special =
        |name: &str, kind, major, minor| Entry { kind, device_major: major, device_minor: minor, ..entry(name, b"") };
    let setuid = Entry { mode: 0o6755, uid: 1000, gid: 1001, mtime: (1_000_000_000, 5), ..entry("bin/su", b"x") };
    let directory = Entry { mode: 0o1777, mtime: (999_999_999, 0), ..entry("bin/", b"") };
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let xattrs = vec![
        (b"security.capability".to_vec(), capability.clone()),
        (b"trusted.overlay.opaque".to_vec(), b"y".to_vec()),
    ];
    let size = target.entries(&[
        (directory, b""),
        (setuid, b"x"),
        (Entry { xattrs, ..entry("bin/ping", b"") }, b""),
        (hardlink("bin/sudo", "bin/su"), b""),
        (entry("link -> /etc/passwd", b""), b""),
        (special("fifo", Kind::Fifo, 0, 0), b""),
        (special("null", Kind::CharDevice, 1, 3), b""),
        (special("loop", Kind::BlockDevice, 7, 0), b""),
    ]);
    assert_eq!(size.unwrap(), 1);
    let su = target.path("bin/su").metadata().unwrap();
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid(), su.mtime(), su.mtime_nsec(), su.nlink()),
        (0o6755, 1000, 1001, 1_000_000_000, 5, 2)
    );
    let bin = target.path("bin").metadata().unwrap();
    assert_eq!((bin.mode() & 0o7777, bin.mtime()), (0o1777, 999_999_999));
    let directory = File::open(target.path("bin")).unwrap();
    assert_eq!(xattr::list_at(&directory, "ping".as_ref()).unwrap(), [(c"security.capability".to_owned(), capability)]);
    assert_eq!(std::fs::read_link(target.path("link")).unwrap(), Path::new("/etc/passwd"));
    assert!(target.path("fifo").metadata().unwrap().file_type().is_fifo());
    assert_eq!(target.path("null").metadata().unwrap().rdev(), rustix::fs::makedev(1, 3));
    assert!(target.path("loop").metadata().unwrap().file_type().is_block_device());
    target.check_outside();
}

#[test]
fn names_that_lead_outside() {
    for name in ["../x", "a/../../x", "/../x", "..", "a/../../secret"] {
        let target = Target::new();
        let error = target.unpack(&tar_of(&[(name, b"evil")])).unwrap_err();
        assert!(error.to_string().contains("leads outside"), "{name}: {error}");
        target.check_outside();
    }
    let target = Target::new();
    target.unpack(&tar_of(&[("/abs/./x", b"1"), ("a/../b", b"2"), ("//c", b"3")])).unwrap();
    assert_eq!((target.read("abs/x"), target.read("b"), target.read("c")), ("1".into(), "2".into(), "3".into()));
}

#[test]
fn links_that_lead_outside() {
    let target = Target::new();
    let absolute = format!("up -> {}", target.scratch.path().display());
    target
        .unpack(&tar_of(&[(&absolute, b""), ("up/secret", b"evil"), ("rel -> ../..", b""), ("rel/secret", b"evil")]))
        .unwrap();
    target.check_outside();
    // The links resolve inside: what they seem to reach was created there.
    assert_eq!(target.read("secret"), "evil");
    // A file over a link replaces the link and does not follow it.
    target.unpack(&tar_of(&[("file -> ../secret", b""), ("file", b"evil")])).unwrap();
    target.check_outside();
    assert_eq!(target.read("file"), "evil");
}

#[test]
fn hard_links_to_the_outside() {
    for (link, why) in [
        ("../secret", "leads outside"),
        ("/etc/passwd", "does not have"),
        ("nowhere", "does not have"),
        ("missing/x", "does not have"),
    ] {
        let target = Target::new();
        let error = target.entries(&[(hardlink("x", link), b"")]).unwrap_err().to_string();
        assert!(error.contains(why), "{link}: {error}");
        assert!(!target.path("x").exists());
    }
    // Through a link to the outside: resolved inside, where there is none.
    let target = Target::new();
    let absolute = format!("up -> {}", target.scratch.path().display());
    let error = target.entries(&[(entry(&absolute, b""), b""), (hardlink("x", "up/secret"), b"")]).unwrap_err();
    assert!(error.to_string().contains("does not have"), "{error}");
}

#[test]
fn later_entries_replace_earlier_ones() {
    let target = Target::new();
    target
        .unpack(&tar_of(&[
            ("file", b"1"),
            ("file", b"2"),
            ("d/x/y", b"1"),
            ("d", b"now a file"),
            ("f", b""),
            ("f/", b""),
            ("f/in", b"1"),
            ("l -> d2", b""),
            ("d2/", b""),
            ("l/x", b"through the link"),
            ("l/", b""),
            ("l/y", b"in the directory"),
            ("keep/", b""),
            ("keep/x", b"1"),
            ("keep/", b""),
        ]))
        .unwrap();
    assert_eq!(
        (target.read("file"), target.read("d"), target.read("f/in")),
        ("2".into(), "now a file".into(), "1".into())
    );
    assert_eq!(
        (target.read("d2/x"), target.read("l/y"), target.read("keep/x")),
        ("through the link".into(), "in the directory".into(), "1".into())
    );
    let twice = [(entry("h", b"1"), &b"1"[..]), (hardlink("h", "h"), b"")];
    target.entries(&twice).unwrap();
    assert_eq!(target.read("h"), "1");
}

#[test]
fn whiteouts() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    target
        .unpack(&tar_of(&[
            (".wh.gone", b""),
            ("d/.wh..wh..opq", b""),
            (".wh..wh.plnk", b""),
            ("first", b"1"),
            (".wh.first", b""),
            (".wh.back", b""),
            ("back/", b""),
            ("there/", b""),
            (".wh.there", b""),
        ]))
        .unwrap();
    let is_gone =
        |name: &str| target.path(name).metadata().is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0);
    let opaque =
        |name: &str| xattr::get_at(&target.root, name.as_ref(), overlay::OPAQUE).unwrap().as_deref() == Some(b"y");
    assert!(is_gone("gone") && !target.path(".wh..wh.plnk").exists());
    assert_eq!(target.read("first"), "1");
    assert!(opaque("d") && opaque("back") && opaque("there"));
    for name in [".wh.", ".wh..", ".wh..."] {
        assert!(target.unpack(&tar_of(&[(name, b"")])).unwrap_err().to_string().contains("hides nothing"), "{name}");
    }
    // Elsewhere such a name is just a name.
    unpack(&mut &*tar_of(&[(".wh.x", b"1")]), &target.root, &Options::default()).unwrap();
    assert_eq!(target.read(".wh.x"), "1");
}

#[test]
fn below_a_base() {
    let target = Target::new();
    let options = Options { base: "srv/www".into(), keep_kinds: true, ..Options::default() };
    let copy = |entries: &[(&str, &[u8])]| unpack(&mut &*tar_of(entries), &target.root, &options);
    copy(&[("./", b""), ("x/", b""), ("x/y", b"1"), ("f", b"2")]).unwrap();
    assert_eq!(target.read("srv/www/x/y"), "1");
    assert!(copy(&[("../x", b"")]).unwrap_err().to_string().contains("leads outside"));
    assert!(copy(&[("x", b"")]).unwrap_err().to_string().contains("cannot overwrite directory"));
    assert!(copy(&[("f/", b"")]).unwrap_err().to_string().contains("cannot overwrite non-directory"));
}

#[test]
fn broken_archives_say_so() {
    let target = Target::new();
    let whole = tar_of(&[("x", &[1; 2000])]);
    for (archive, why) in
        [(&whole[..1000], "ends in the middle"), (&whole[..700], "ends in the middle"), (&[9; 600][..], "checksum")]
    {
        let error = target.unpack(archive).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(why), "{error}");
    }
}

#[test]
fn holes_stay_holes() {
    let scratch = Scratch::new("sparse");
    let source = scratch.path().join("file");
    let file = File::create(&source).unwrap();
    file.write_all_at(b"end", 50 << 20).unwrap();
    let output = std::process::Command::new("tar").arg("-C").arg(scratch.path()).args(["-Scf", "-", "file"]).output();
    let Ok(output) = output else { return };
    let target = Target::new();
    target.unpack(&output.stdout).unwrap();
    let metadata = target.path("file").metadata().unwrap();
    assert_eq!(metadata.len(), (50 << 20) + 3);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
}
