//! Lists of access rights (acl(5)) as extended attributes: version 2 of linux/posix_acl_xattr.h. The kernel checks them
//! when they are set and keeps them in step with the mode; in a file system that is written as a whole this is done here.

/// One right of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Right {
    tag: u16,
    permissions: u16,
}

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

const VERSION: [u8; 4] = 2_u32.to_le_bytes();
const RIGHT_SIZE: usize = 8;

/// Whether it is a list of another version, to which setxattr(2) answers EOPNOTSUPP.
pub(super) fn is_unknown(value: &[u8]) -> bool {
    value.len() >= VERSION.len() && !value.starts_with(&VERSION)
}

/// The rights, or none for an empty list (which takes the attribute away). `None`: setxattr(2) answers EINVAL.
pub(super) fn parse(value: &[u8]) -> Option<Vec<Right>> {
    if value.is_empty() {
        return Some(Vec::new());
    }
    let body = value.strip_prefix(&VERSION)?;
    if !body.len().is_multiple_of(RIGHT_SIZE) {
        return None;
    }
    let rights: Vec<Right> = body.chunks_exact(RIGHT_SIZE).map(right).collect();
    if rights.is_empty() || is_valid(&rights, body) { Some(rights) } else { None }
}

fn right(bytes: &[u8]) -> Right {
    Right { tag: u16::from_le_bytes([bytes[0], bytes[1]]), permissions: u16::from_le_bytes([bytes[2], bytes[3]]) }
}

/// In order: the owner, users, the group, groups, the mask (needed where somebody is named), others.
fn is_valid(rights: &[Right], body: &[u8]) -> bool {
    let count = |tag| rights.iter().filter(|right| right.tag == tag).count();
    let named = count(USER) + count(GROUP) > 0;
    let is_nobody = |bytes: &[u8]| bytes[4..] == [0xff; 4];
    rights.is_sorted_by_key(|right| right.tag)
        && rights
            .iter()
            .all(|r| matches!(r.tag, USER_OBJ | USER | GROUP_OBJ | GROUP | MASK | OTHER) && r.permissions < 8)
        && [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(|tag| count(tag) == 1)
        && (count(MASK) == 1 || (count(MASK) == 0 && !named))
        && body.chunks_exact(RIGHT_SIZE).all(|b| !matches!(right(b).tag, USER | GROUP) || !is_nobody(b))
}

/// Changes the mode to what the list says; `false` when the mode then says all of it.
pub(super) fn apply(rights: &[Right], mode: &mut u16) -> bool {
    if rights.is_empty() {
        return false;
    }
    let (mut bits, mut more) = (0, false);
    for right in rights {
        match right.tag {
            USER_OBJ => bits |= right.permissions << 6,
            GROUP_OBJ => bits |= right.permissions << 3,
            OTHER => bits |= right.permissions,
            // The mask stands where the group's rights stood.
            MASK => (bits, more) = (bits & !0o070 | right.permissions << 3, true),
            _ => more = true,
        }
    }
    *mode = *mode & !0o777 | bits;
    more
}

/// Changes a list that is valid to what the mode says.
pub(super) fn change_mode(value: &mut [u8], mode: u16) {
    let Some(body) = value.get_mut(VERSION.len()..) else { return };
    let has_mask = body.chunks_exact(RIGHT_SIZE).any(|bytes| right(bytes).tag == MASK);
    for bytes in body.chunks_exact_mut(RIGHT_SIZE) {
        let permissions = match right(bytes).tag {
            USER_OBJ => mode >> 6 & 7,
            GROUP_OBJ if !has_mask => mode >> 3 & 7,
            MASK => mode >> 3 & 7,
            OTHER => mode & 7,
            _ => continue,
        };
        bytes[2..4].copy_from_slice(&permissions.to_le_bytes());
    }
}

/// The attribute's value for tags, permissions and ids.
#[cfg(test)]
pub(super) fn value_of(rights: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut value = VERSION.to_vec();
    for (tag, permissions, id) in rights {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&permissions.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: u32 = u32::MAX;

    #[test]
    fn lists_and_modes() {
        let plain = [(USER_OBJ, 7, NOBODY), (GROUP_OBJ, 5, NOBODY), (OTHER, 1, NOBODY)];
        let mut mode = 0o104_000;
        assert!(!apply(&parse(&value_of(&plain)).unwrap(), &mut mode));
        assert_eq!(mode, 0o104_751);
        let named =
            [(USER_OBJ, 6, NOBODY), (USER, 7, 5), (GROUP_OBJ, 5, NOBODY), (MASK, 4, NOBODY), (OTHER, 0, NOBODY)];
        let mut value = value_of(&named);
        assert!(apply(&parse(&value).unwrap(), &mut mode));
        assert_eq!(mode, 0o104_640);
        change_mode(&mut value, 0o751);
        let changed =
            [(USER_OBJ, 7, NOBODY), (USER, 7, 5), (GROUP_OBJ, 5, NOBODY), (MASK, 5, NOBODY), (OTHER, 1, NOBODY)];
        assert_eq!(value, value_of(&changed));
        assert!(parse(b"").unwrap().is_empty() && parse(&value_of(&[])).unwrap().is_empty());
    }

    #[test]
    fn broken_lists() {
        let [user, group, other] = [(USER_OBJ, 7, NOBODY), (GROUP_OBJ, 5, NOBODY), (OTHER, 1, NOBODY)];
        for rights in [
            &[user, group][..],
            &[group, user, other],
            &[user, group, other, other],
            &[user, (USER, 1, 5), group, other],
            &[user, (USER, 1, NOBODY), group, (MASK, 7, 0), other],
            &[(USER_OBJ, 8, 0), group, other],
            &[user, group, (0x40, 1, 0)],
        ] {
            assert!(parse(&value_of(rights)).is_none(), "{rights:?}");
        }
        for value in [&b"\x01\0\0\0"[..], b"\x02\0\0", b"\x02\0\0\0\x01"] {
            assert!(parse(value).is_none(), "{value:?}");
        }
    }
}
