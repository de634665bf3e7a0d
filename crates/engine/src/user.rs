//! Which numbers a container's user means: `user[:group]` and `--group-add` looked up in the
//! image's own /etc/passwd and /etc/group. Called by `oci_spec.rs` and `exec.rs`.
//!
//! Both files are hostile input: they are opened beneath the rootfs, must be regular files of a
//! bounded size, and a line that does not parse is no line (never user 0).

use crate::error::{Error, Result};
use kernel::beneath::Root;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::io::Read;

/// Far above any real file, far below what would hurt.
const FILE_SIZE_MAX: u64 = 16 << 20;
/// Docker's bound; the kernel's own is higher, but -1 has a meaning of its own there.
const ID_MAX: u32 = i32::MAX as u32;

/// A container's process in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub uid: u32,
    pub gid: u32,
    /// The primary group first, as docker sets them since CVE-2022-36109; no number twice.
    pub additional_gids: Vec<u32>,
    /// From /etc/passwd, `/` when it names none.
    pub home: String,
}

/// Resolves `user` (empty: user 0) and the further `groups`. A number needs no entry in either
/// file; a name does. A group given after `:` replaces the user's supplementary groups.
pub fn resolve(root: &Root, user: &str, groups: &[String]) -> Result<Resolved> {
    let passwd = read(root, "etc/passwd")?;
    let group = read(root, "etc/group")?;
    resolve_in(&passwd, &group, user, groups)
}

fn resolve_in(passwd: &[u8], group_file: &[u8], user: &str, groups: &[String]) -> Result<Resolved> {
    let (user, group) = user.split_once(':').unwrap_or((user, ""));
    let found = find_user(passwd, user)?;
    let mut resolved = match &found {
        Some(entry) => Resolved { uid: entry.uid, gid: entry.gid, additional_gids: Vec::new(), home: home(entry) },
        None => Resolved { uid: number(user)?.unwrap_or(0), gid: 0, additional_gids: Vec::new(), home: "/".into() },
    };
    if !group.is_empty() {
        resolved.gid = find_group(group_file, group)?;
    }
    resolved.additional_gids.push(resolved.gid);
    if let (Some(entry), true) = (&found, group.is_empty()) {
        let member_of = group_entries(group_file).filter(|other| other.members.contains(&entry.name));
        resolved.additional_gids.extend(member_of.map(|other| other.gid));
    }
    for extra in groups {
        resolved.additional_gids.push(find_group(group_file, extra)?);
    }
    let mut seen = HashSet::new();
    resolved.additional_gids.retain(|gid| seen.insert(*gid));
    Ok(resolved)
}

/// A user that is a number is never taken for a name, as in docker.
fn find_user<'a>(passwd: &'a [u8], user: &str) -> Result<Option<PasswdEntry<'a>>> {
    let mut entries = passwd_entries(passwd);
    if user.is_empty() {
        return Ok(entries.find(|entry| entry.uid == 0));
    }
    if let Some(uid) = number(user)? {
        return Ok(entries.find(|entry| entry.uid == uid));
    }
    match entries.find(|entry| entry.name == user.as_bytes()) {
        Some(entry) => Ok(Some(entry)),
        None => Err(Error::Invalid(format!("unable to find user {user}: no matching entries in passwd file"))),
    }
}

fn find_group(group_file: &[u8], group: &str) -> Result<u32> {
    if let Some(gid) = number(group)? {
        return Ok(gid);
    }
    match group_entries(group_file).find(|entry| entry.name == group.as_bytes()) {
        Some(entry) => Ok(entry.gid),
        None => Err(Error::Invalid(format!("unable to find group {group}: no matching entries in group file"))),
    }
}

/// `Ok(None)`: not a number but a name.
fn number(text: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= ID_MAX => Ok(Some(id)),
        _ => Err(Error::Invalid(format!("uids and gids must be in range 0-{ID_MAX}: {text}"))),
    }
}

/// For `top`: the first name of each number.
pub(crate) fn names_by_id(passwd: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for entry in passwd_entries(passwd) {
        names.entry(entry.uid).or_insert_with(|| String::from_utf8_lossy(entry.name).into_owned());
    }
    names
}

struct PasswdEntry<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

struct GroupEntry<'a> {
    name: &'a [u8],
    gid: u32,
    members: Vec<&'a [u8]>,
}

/// `name:password:uid:gid:gecos:home:shell` (passwd(5)); the fields after gid may be missing.
fn passwd_entries(file: &[u8]) -> impl Iterator<Item = PasswdEntry<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next()?;
        let uid = entry_id(fields.nth(1)?)?;
        let gid = entry_id(fields.next()?)?;
        Some(PasswdEntry { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

/// `name:password:gid:member,member` (group(5)).
fn group_entries(file: &[u8]) -> impl Iterator<Item = GroupEntry<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next()?;
        let gid = entry_id(fields.nth(1)?)?;
        let members = fields.next().unwrap_or_default().split(|b| *b == b',').filter(|m| !m.is_empty()).collect();
        Some(GroupEntry { name, gid, members })
    })
}

/// Lines that could be entries: no comments, no nameless ones (`+` and `-` are NIS, not users).
fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !matches!(line[0], b'#' | b':' | b'+' | b'-'))
}

fn entry_id(field: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(field).ok()?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|id| *id <= ID_MAX)
}

/// A home that could not be an environment value is none.
fn home(entry: &PasswdEntry) -> String {
    match std::str::from_utf8(entry.home) {
        Ok(home) if !home.is_empty() && !home.contains('\0') => home.into(),
        _ => "/".into(),
    }
}

/// The file's bytes; a missing one is empty. Looked at before it is opened: the name may be a device or a FIFO.
fn read(root: &Root, path: &str) -> Result<Vec<u8>> {
    let found = match root.open_file(path, OFlags::PATH, Mode::empty()) {
        Ok(found) => found,
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let stat = rustix::fs::fstat(&found).map_err(|errno| kernel::Error::at("stat", path, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::Invalid(format!("/{path} of the image is not a regular file")));
    }
    let fd = kernel::beneath::open_regular(&found).map_err(|errno| kernel::Error::at("open", path, errno))?;
    let mut bytes = Vec::with_capacity(stat.st_size.clamp(0, 64 << 10) as usize);
    let mut limited = std::fs::File::from(fd).take(FILE_SIZE_MAX + 1);
    limited.read_to_end(&mut bytes).map_err(|error| Error::Failed(format!("read /{path} of the image: {error}")))?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        return Err(Error::Invalid(format!("/{path} of the image is larger than {} MiB", FILE_SIZE_MAX >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# note\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\nbare:x:7:8\n1001:x:55:55::/n:/\nbad:x:zero:0:::\n::0:0:::\nhuge:x:4294967296:0::/:\nann:x:1:1::/second:\n";
    const GROUP: &[u8] = b"root:x:0:\nusers:x:100:ann,bob\nann:x:1000:\nwheel:x:10:bob,ann\ndocker:x:bad:ann\n";

    fn check(user: &str, groups: &[&str], expected: std::result::Result<(u32, u32, &[u32], &str), &str>) {
        let groups: Vec<String> = groups.iter().map(|g| g.to_string()).collect();
        match (resolve_in(PASSWD, GROUP, user, &groups), expected) {
            (Ok(got), Ok((uid, gid, more, home))) => {
                assert_eq!(
                    (got.uid, got.gid, &got.additional_gids[..], &got.home[..]),
                    (uid, gid, more, home),
                    "{user}"
                )
            }
            (Err(got), Err(text)) => assert!(got.to_string().contains(text), "{user}: {got}"),
            (got, expected) => panic!("{user}: {got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn names_and_numbers() {
        check("", &[], Ok((0, 0, &[0], "/root")));
        check("root", &[], Ok((0, 0, &[0], "/root")));
        check("ann", &[], Ok((1000, 1000, &[1000, 100, 10], "/home/ann")));
        check("1000", &[], Ok((1000, 1000, &[1000, 100, 10], "/home/ann")));
        check("bare", &[], Ok((7, 8, &[8], "/")));
        check("1001", &[], Ok((1001, 0, &[0], "/")));
        check("4242:77", &[], Ok((4242, 77, &[77], "/")));
        check("ann:users", &[], Ok((1000, 100, &[100], "/home/ann")));
        check(":users", &[], Ok((0, 100, &[100], "/root")));
        check("ann", &["wheel", "5", "users"], Ok((1000, 1000, &[1000, 100, 10, 5], "/home/ann")));
    }

    #[test]
    fn refusals() {
        check("bob", &[], Err("unable to find user bob: no matching entries in passwd file"));
        check("bad", &[], Err("unable to find user bad"));
        check("huge", &[], Err("unable to find user huge"));
        check("ann:no", &[], Err("unable to find group no: no matching entries in group file"));
        check("ann:docker", &[], Err("unable to find group docker"));
        check("ann", &["no"], Err("unable to find group no"));
        check("2147483648", &[], Err("uids and gids must be in range 0-2147483647"));
        check("-1", &[], Err("must be in range"));
        check("1:99999999999999999999999", &[], Err("must be in range"));
    }

    #[test]
    fn files_are_read_beneath_the_root_and_must_be_plain() {
        let top = std::env::temp_dir().join(format!("brig-user-{}", std::process::id()));
        let etc = top.join("root/etc");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::write(top.join("passwd"), "eve:x:666:666::/:\n").unwrap();
        let root = Root::open(&top.join("root")).unwrap();
        assert_eq!(resolve(&root, "", &[]).unwrap().home, "/");
        std::os::unix::fs::symlink("../../passwd", etc.join("passwd")).unwrap();
        assert!(resolve(&root, "eve", &[]).is_err());
        std::fs::write(top.join("root/passwd"), "eve:x:5:6::/in:\n").unwrap();
        assert_eq!(resolve(&root, "eve", &[]).unwrap().uid, 5);
        std::fs::remove_file(etc.join("passwd")).unwrap();
        std::fs::create_dir(etc.join("passwd")).unwrap();
        assert!(resolve(&root, "0", &[]).unwrap_err().to_string().contains("not a regular file"));
        std::fs::remove_dir_all(top).unwrap();
    }

    proptest! {
        #[test]
        fn hostile_files_never_panic_and_never_give_root_by_accident(
            passwd: Vec<u8>, group: Vec<u8>, user in "[a-z:0-9]{0,12}", extra in proptest::collection::vec("[a-z0-9]{0,5}", 0..3),
        ) {
            if let Ok(resolved) = resolve_in(&passwd, &group, &user, &extra) {
                prop_assert!(resolved.uid <= ID_MAX && resolved.additional_gids.contains(&resolved.gid));
            }
        }

        #[test]
        fn a_broken_number_is_no_entry(field in "[a-z +.-]{0,8}") {
            let passwd = format!("eve:x:{field}:0::/:\n");
            prop_assert!(resolve_in(passwd.as_bytes(), b"", "eve", &[]).is_err());
        }
    }
}
