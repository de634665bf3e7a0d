//! Extended attributes of an inode, as they stand behind it (`struct erofs_xattr_ibody_header` and
//! `erofs_xattr_entry` of Linux's fs/erofs/erofs_fs.h): a header of twelve bytes, then entries, each filled up to four.
//! Attributes are not shared between inodes: few files of an image have any.

use super::acl;
use crate::error::{Error, Result};
use crate::tar::{Entry, Kind};
use crate::unpack::wanted_xattrs;

/// Prefixes have a number on disk (EROFS_XATTR_INDEX_*); the two lists of access rights are names of their own.
const PREFIXES: &[(u8, &[u8])] = &[(USER, b"user."), (TRUSTED, b"trusted."), (6, b"security.")];
const USER: u8 = 1;
const ACL_ACCESS: u8 = 2;
const ACL_DEFAULT: u8 = 3;
const TRUSTED: u8 = 4;

const HEADER_SIZE: usize = 12;
const ENTRY_SIZE: usize = 4;
/// Linux's own limit for a name with its prefix (XATTR_NAME_MAX).
const NAME_LENGTH_MAX: usize = 255;
/// What the sixteen bits for a value's size can say: one byte less than Linux takes (XATTR_SIZE_MAX).
const VALUE_SIZE_MAX: usize = 65535;
/// The count of four-byte units in an inode has sixteen bits too.
const SIZE_MAX: usize = HEADER_SIZE + ENTRY_SIZE * 65534;

#[derive(Debug, Default)]
pub(super) struct Xattrs(Vec<Xattr>);

#[derive(Debug)]
struct Xattr {
    prefix: u8,
    name: Box<[u8]>,
    value: Box<[u8]>,
}

impl Xattrs {
    /// Takes over those of an entry. `mode` is changed where a list of access rights says other than the bits, as
    /// setxattr(2) does it. What no file system takes on such a file is left out, as when a layer is unpacked.
    pub(super) fn add(&mut self, entry: &Entry, mode: &mut u16) -> Result<()> {
        for (key, value) in wanted_xattrs(entry) {
            let key = key.as_bytes();
            let refuse = |why: &str| {
                let (path, key) = (String::from_utf8_lossy(&entry.path), String::from_utf8_lossy(key));
                Err(Error::invalid("archive", format_args!("has {path:?} with the attribute {key:?}, which {why}")))
            };
            let Some((prefix, name)) = split(key) else { continue };
            if !suits(prefix, entry.kind) || (is_acl(prefix) && acl::is_unknown(value)) {
                continue;
            }
            if key.len() > NAME_LENGTH_MAX || (name.is_empty() && !is_acl(prefix)) {
                return refuse("no file can have");
            }
            if value.len() > VALUE_SIZE_MAX {
                return refuse("has more than 65535 bytes");
            }
            if key == b"security.capability" && !is_capability(value) {
                return refuse("is none that Linux knows");
            }
            if !is_acl(prefix) {
                self.set(prefix, name, value);
            } else if let Some(list) = acl::parse(value) {
                if entry.kind == Kind::Symlink {
                    continue; // it has no rights, but the kernel reads the list before it says so
                }
                let keep = match prefix {
                    ACL_DEFAULT if !list.is_empty() && entry.kind != Kind::Directory => {
                        return refuse("only directories have");
                    }
                    ACL_DEFAULT => !list.is_empty(),
                    _ => acl::apply(&list, mode),
                };
                self.remove(prefix);
                if keep {
                    self.set(prefix, b"", value);
                }
            } else {
                return refuse("is broken");
            }
        }
        if self.encoded_size() > SIZE_MAX {
            let path = String::from_utf8_lossy(&entry.path);
            let why = format_args!("has {path:?} with more than {SIZE_MAX} bytes of extended attributes");
            return Err(Error::invalid("archive", why));
        }
        Ok(())
    }

    /// What chmod(2) does to a directory that has a list of access rights.
    pub(super) fn change_mode(&mut self, mode: u16) {
        if let Some(list) = self.0.iter_mut().find(|xattr| xattr.prefix == ACL_ACCESS) {
            acl::change_mode(&mut list.value, mode);
        }
    }

    /// Overlay shows nothing of the layers below such a directory.
    pub(super) fn set_opaque(&mut self) {
        self.set(TRUSTED, b"overlay.opaque", b"y");
    }

    fn set(&mut self, prefix: u8, name: &[u8], value: &[u8]) {
        let place = self.0.binary_search_by(|other| (other.prefix, &*other.name).cmp(&(prefix, name)));
        let xattr = Xattr { prefix, name: name.into(), value: value.into() };
        match place {
            Ok(at) => self.0[at] = xattr,
            Err(at) => self.0.insert(at, xattr),
        }
    }

    fn remove(&mut self, prefix: u8) {
        self.0.retain(|other| other.prefix != prefix);
    }

    /// Bytes behind the inode, a multiple of four.
    pub(super) fn encoded_size(&self) -> usize {
        match self.0.as_slice() {
            [] => 0,
            some => HEADER_SIZE + some.iter().map(Xattr::encoded_size).sum::<usize>(),
        }
    }

    /// The field `i_xattr_icount`.
    pub(super) fn count(&self) -> u16 {
        match self.encoded_size() {
            0 => 0,
            size => (1 + (size - HEADER_SIZE) / ENTRY_SIZE) as u16, // checked when they were added
        }
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        bytes.extend_from_slice(&[0; HEADER_SIZE]);
        for xattr in &self.0 {
            // Both were bounded when they were added.
            bytes.extend_from_slice(&[xattr.name.len() as u8, xattr.prefix]);
            bytes.extend_from_slice(&(xattr.value.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&xattr.name);
            bytes.extend_from_slice(&xattr.value);
            bytes.resize(bytes.len() + xattr.padding(), 0);
        }
    }
}

impl Xattr {
    fn plain_size(&self) -> usize {
        ENTRY_SIZE + self.name.len() + self.value.len()
    }

    fn padding(&self) -> usize {
        self.plain_size().next_multiple_of(ENTRY_SIZE) - self.plain_size()
    }

    fn encoded_size(&self) -> usize {
        self.plain_size() + self.padding()
    }
}

/// `None` for what Linux answers with EOPNOTSUPP.
fn split(key: &[u8]) -> Option<(u8, &[u8])> {
    match key {
        b"system.posix_acl_access" => Some((ACL_ACCESS, b"")),
        b"system.posix_acl_default" => Some((ACL_DEFAULT, b"")),
        _ => PREFIXES.iter().find_map(|(number, prefix)| Some((*number, key.strip_prefix(*prefix)?))),
    }
}

fn is_acl(prefix: u8) -> bool {
    matches!(prefix, ACL_ACCESS | ACL_DEFAULT)
}

/// xattr(7): `user.` only on files and directories.
fn suits(prefix: u8, kind: Kind) -> bool {
    prefix != USER || matches!(kind, Kind::File | Kind::Directory)
}

/// Versions 2 and 3 of linux/capability.h, by size and number; an empty value is stored as it is.
fn is_capability(value: &[u8]) -> bool {
    value.is_empty() || matches!((value.len(), value.get(3)), (20, Some(2)) | (24, Some(3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, xattrs: &[(&str, &[u8])]) -> Result<Xattrs> {
        let xattrs = xattrs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.to_vec())).collect();
        let (mut found, entry) = (Xattrs::default(), Entry { kind, xattrs, ..Entry::default() });
        found.add(&entry, &mut 0o644)?;
        Ok(found)
    }

    #[test]
    fn bytes() {
        let found = of(Kind::File, &[("user.b", b"12345"), ("user.a", b""), ("trusted.overlay.opaque", b"y")]).unwrap();
        let mut bytes = Vec::new();
        found.encode(&mut bytes);
        let entries = [&[1, 1, 0, 0][..], b"a\0\0\0", &[1, 1, 5, 0], b"b12345\0\0"].concat();
        assert_eq!(bytes, [&[0; 12][..], &entries].concat());
        assert_eq!((found.encoded_size(), found.count()), (bytes.len(), 6));
        assert_eq!(Xattrs::default().count(), 0);
    }

    #[test]
    fn left_out_and_refused() {
        for (kind, key) in [
            (Kind::Symlink, "user.x"),
            (Kind::Fifo, "user.x"),
            (Kind::File, "system.other"),
            (Kind::File, "strange"),
            (Kind::Symlink, "system.posix_acl_access"),
            (Kind::File, "system.posix_acl_access"),
        ] {
            assert_eq!(of(kind, &[(key, b"value")]).unwrap().encoded_size(), 0, "{key}");
        }
        let large = vec![0; 65536];
        let name = format!("user.{}", "x".repeat(251));
        for (key, value) in [
            ("user.", &b"v"[..]),
            ("user.x", &large),
            (&name, b""),
            ("security.capability", b"v"),
            ("system.posix_acl_access", b"v"),
            ("system.posix_acl_access", b"\x02\0\0\0broken"),
        ] {
            assert!(of(Kind::File, &[(key, value)]).is_err(), "{key}");
        }
        let many: Vec<String> = (0..5).map(|n| format!("user.{n}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|key| (key.as_str(), &large[1..])).collect();
        assert!(of(Kind::File, &many).unwrap_err().to_string().contains("more than 262148 bytes"));
        assert!(of(Kind::File, &many[..3]).is_ok());
    }
}
