//! What a mount shows, for single entries of which it is known what it must be.

use super::*;
use crate::erofs::acl;
use kernel::xattr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

fn hardlink(name: &str, target: &str) -> Entry {
    Entry { kind: Kind::Hardlink, link: target.into(), ..entry(name, b"") }
}

fn mount_of(entries: Vec<(Entry, &[u8])>) -> Option<(Made, Mounted)> {
    let entries: Vec<_> = entries.into_iter().map(|(entry, data)| (entry, data.to_vec())).collect();
    let made = Made::of(&tar_of(&entries)).unwrap();
    made.check();
    let mounted = made.mount()?;
    Some((made, mounted))
}

#[test]
fn kinds_modes_and_times() {
    let special =
        |name: &str, kind, major, minor| Entry { kind, device_major: major, device_minor: minor, ..entry(name, b"") };
    let setuid = Entry { mode: 0o6755, uid: 100_000, gid: 1001, mtime: (-1_000_000_000, 5), ..entry("bin/su", b"x") };
    let capability = [&[1, 0, 0, 2][..], &[0; 16]].concat();
    let xattrs = vec![
        (b"security.capability".to_vec(), capability.clone()),
        (b"user.note".to_vec(), vec![7; 5000]),
        (b"trusted.overlay.opaque".to_vec(), b"y".to_vec()),
    ];
    let ping = Entry { xattrs, ..entry("bin/ping", b"p") };
    let Some((_made, mounted)) = mount_of(vec![
        (Entry { mode: 0o1777, mtime: (999_999_999, 0), ..entry("bin/", b"") }, b""),
        (setuid, b"x"),
        (ping, b"p"),
        (hardlink("bin/sudo", "bin/su"), b""),
        (hardlink("bin/sudo2", "/bin/./sudo"), b""),
        (entry("link -> /etc/passwd", b""), b""),
        (special("fifo", Kind::Fifo, 0, 0), b""),
        (special("null", Kind::CharDevice, 1, 3), b""),
        (special("disk", Kind::BlockDevice, 259, 70_000), b""),
    ]) else {
        return;
    };
    let stat = |name: &str| mounted.path().join(name).symlink_metadata().unwrap();
    let su = stat("bin/su");
    let times = (su.mtime(), su.mtime_nsec());
    assert_eq!((su.mode(), su.uid(), su.gid(), times, su.nlink()), (0o106_755, 100_000, 1001, (-1_000_000_000, 5), 3));
    assert_eq!((stat("bin/sudo2").ino(), stat("bin").mtime(), stat("").ino()), (su.ino(), 999_999_999, 64));
    let listed = xattr::list_at(File::open(mounted.path().join("bin")).unwrap(), "ping".as_ref()).unwrap();
    assert_eq!(listed, [(c"security.capability".into(), capability), (c"user.note".into(), vec![7; 5000])]);
    assert_eq!(std::fs::read(mounted.path().join("bin/ping")).unwrap(), b"p");
    assert_eq!(std::fs::read_link(mounted.path().join("link")).unwrap(), Path::new("/etc/passwd"));
    assert!(stat("fifo").file_type().is_fifo() && stat("null").file_type().is_char_device());
    assert_eq!(
        (stat("null").rdev(), stat("disk").rdev()),
        (rustix::fs::makedev(1, 3), rustix::fs::makedev(259, 70_000))
    );
}

#[test]
fn whiteouts() {
    let Some((_made, mounted)) = mount_of(vec![
        (entry(".wh.gone", b""), b""),
        (entry("d/.wh..wh..opq", b""), b""),
        (entry(".wh..wh.plnk", b""), b""),
        (entry("first", b"1"), b"1"),
        (entry(".wh.first", b""), b""),
        (entry(".wh.back", b""), b""),
        (entry("back/", b""), b""),
        (entry("there/", b""), b""),
        (entry(".wh.there", b""), b""),
        (entry(".wh.file", b""), b""),
        (entry("file", b"2"), b"2"),
        (entry(".wh..wh..opq", b""), b""),
    ]) else {
        return;
    };
    let root = File::open(mounted.path()).unwrap();
    let opaque =
        |name: &str| xattr::get_at(&root, name.as_ref(), kernel::overlay::OPAQUE).unwrap().as_deref() == Some(b"y");
    assert!(opaque("d") && opaque("back") && opaque("there") && opaque("."));
    let gone = mounted.path().join("gone").metadata().unwrap();
    assert_eq!((gone.mode(), gone.rdev()), (0o020_000, 0));
    assert!(!mounted.path().join(".wh..wh.plnk").exists());
    let read = |name: &str| std::fs::read(mounted.path().join(name)).unwrap();
    assert_eq!((read("first"), read("file")), (b"1".to_vec(), b"2".to_vec()));
}

#[test]
fn access_rights() {
    const NOBODY: u32 = u32::MAX;
    let list = acl::value_of(&[(1, 7, NOBODY), (2, 5, 1000), (4, 1, NOBODY), (0x10, 3, NOBODY), (0x20, 4, NOBODY)]);
    let both = ["system.posix_acl_access", "system.posix_acl_default"];
    let xattrs: Vec<_> = both.iter().map(|key| (key.as_bytes().to_vec(), list.clone())).collect();
    let Some((_made, mounted)) = mount_of(vec![
        (Entry { xattrs: xattrs[..1].to_vec(), mode: 0o600, ..entry("f", b"") }, b""),
        (Entry { xattrs: xattrs.clone(), ..entry("d/", b"") }, b""),
        (Entry { mode: 0o711, ..entry("d/", b"") }, b""),
    ]) else {
        return;
    };
    let root = File::open(mounted.path()).unwrap();
    let mode = |name: &str| mounted.path().join(name).metadata().unwrap().mode();
    let of = |name: &str| xattr::list_at(&root, name.as_ref()).unwrap();
    assert_eq!((mode("f"), of("f")), (0o100_734, vec![(c"system.posix_acl_access".into(), list.clone())]));
    let changed = acl::value_of(&[(1, 7, NOBODY), (2, 5, 1000), (4, 1, NOBODY), (0x10, 1, NOBODY), (0x20, 1, NOBODY)]);
    let expected =
        vec![(c"system.posix_acl_access".into(), changed), (c"system.posix_acl_default".into(), list.clone())];
    assert_eq!((mode("d"), of("d")), (0o040_711, expected));
    let refused = tar_of(&[(Entry { xattrs: xattrs[1..].to_vec(), ..entry("f", b"") }, Vec::new())]);
    assert!(Made::of(&refused).map(|_| ()).unwrap_err().to_string().contains("only directories have"));
}

#[test]
fn a_file_that_replaces_what_it_is_linked_from() {
    let within = [(entry("d/f", b"1"), b"1".to_vec()), (hardlink("d", "d/f"), Vec::new())];
    assert!(Made::of(&tar_of(&within)).map(|_| ()).unwrap_err().to_string().contains("does not have"));
    let Some((_made, mounted)) = mount_of(vec![
        (entry("a", b"1"), b"1"),
        (hardlink("b", "a"), b""),
        (entry("a", b"2"), b"2"),
        (hardlink("b", "b"), b""),
    ]) else {
        return;
    };
    let read = |name: &str| std::fs::read(mounted.path().join(name)).unwrap();
    assert_eq!((read("a"), read("b")), (b"2".to_vec(), b"1".to_vec()));
    assert_eq!(mounted.path().join("b").metadata().unwrap().nlink(), 1);
}
