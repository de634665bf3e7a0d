//! The 512-byte header: fields, numbers (octal or base-256) and checksum, both ways.

use super::{BLOCK, Error, Result};

pub(super) type Block = [u8; BLOCK];

pub(super) const NAME: std::ops::Range<usize> = 0..100;
pub(super) const MODE: std::ops::Range<usize> = 100..108;
pub(super) const UID: std::ops::Range<usize> = 108..116;
pub(super) const GID: std::ops::Range<usize> = 116..124;
pub(super) const SIZE: std::ops::Range<usize> = 124..136;
pub(super) const MTIME: std::ops::Range<usize> = 136..148;
pub(super) const CHECKSUM: std::ops::Range<usize> = 148..156;
pub(super) const TYPE: usize = 156;
pub(super) const LINK: std::ops::Range<usize> = 157..257;
pub(super) const MAGIC: std::ops::Range<usize> = 257..265;
pub(super) const MAJOR: std::ops::Range<usize> = 329..337;
pub(super) const MINOR: std::ops::Range<usize> = 337..345;
pub(super) const PREFIX: std::ops::Range<usize> = 345..500;

/// POSIX's magic and version. GNU's has a space where the zero is, and no prefix field.
pub(super) const USTAR: &[u8; 8] = b"ustar\x0000";

/// Checks the sum; `None` for a block of zeros, of which two end the archive.
pub(super) fn check(block: &Block) -> Result<Option<()>> {
    if block.iter().all(|&b| b == 0) {
        return Ok(None);
    }
    let stored = number(&block[CHECKSUM]).ok();
    let (unsigned, signed) = sums(block);
    // Some old programs added the bytes as signed numbers.
    if stored == Some(unsigned) || stored == Some(signed) {
        return Ok(Some(()));
    }
    Err(Error::invalid("has a header with a wrong checksum"))
}

fn sums(block: &Block) -> (i64, i64) {
    let (mut unsigned, mut signed) = (0, 0);
    for (index, &byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&index) { b' ' } else { byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte as i8);
    }
    (unsigned, signed)
}

/// Text up to the first zero.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or(field)
}

/// A number in octal digits, or in base 256 with the top bit set (and two's complement).
pub(super) fn number(field: &[u8]) -> Result<i64> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            let negative = first & 0x40 != 0;
            // The first byte has six bits of value below the marker and the sign.
            let start = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
            let value = rest.iter().try_fold(start, |value, &byte| {
                let value = value * 256 + i128::from(byte);
                (value.abs() < 1 << 64).then_some(value)
            });
            value
                .and_then(|value| i64::try_from(value).ok())
                .ok_or_else(|| Error::invalid("has a header with a number too large"))
        }
        _ => octal(field),
    }
}

/// A user or group. The largest number is none: chown(2) takes it for "leave as it is".
pub(super) fn id(number: impl TryInto<u32>) -> Result<u32> {
    let id = number.try_into().ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| Error::invalid("has a user or group id out of range"))
}

/// Digits may be surrounded by spaces and zeros; an empty field is 0.
fn octal(field: &[u8]) -> Result<i64> {
    let is_padding = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !is_padding(b)).unwrap_or(field.len());
    let digits = field[start..].split(is_padding).next().unwrap_or_default();
    digits.iter().try_fold(0_i64, |value, &digit| match digit {
        b'0'..=b'7' => value
            .checked_mul(8)
            .and_then(|value| value.checked_add(i64::from(digit - b'0')))
            .ok_or_else(|| Error::invalid("has a header with a number too large")),
        _ => Err(Error::invalid("has a header with a number that is none")),
    })
}

/// Writes octal digits that end in a zero byte; `false` when they do not fit.
pub(super) fn put_octal(field: &mut [u8], value: u64) -> bool {
    let digits = field.len() - 1;
    let fits = (3 * digits >= 64) || value >> (3 * digits) == 0;
    let shown = if fits { value } else { 0 };
    for (index, byte) in field[..digits].iter_mut().enumerate() {
        *byte = b'0' + (shown >> (3 * (digits - 1 - index)) & 7) as u8;
    }
    field[digits] = 0;
    fits
}

pub(super) fn put_checksum(block: &mut Block) {
    let (sum, _) = sums(block);
    // Six digits, zero, space: as every tar writes it. At most 512 * 255, which fits.
    put_octal(&mut block[148..155], sum as u64);
    block[155] = b' ';
}

/// Splits a path that is longer than the name field at a slash such that both parts fit.
pub(super) fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME.len() {
        return Some((b"", path));
    }
    let first = path.len() - NAME.len() - 1;
    let slash = first + path[first..].iter().position(|&b| b == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (prefix.len() <= PREFIX.len() && !name.is_empty() && !prefix.is_empty()).then_some((prefix, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"  644 \0 ", 0o644),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"77777777", 0o77777777),
            (b"\x80\0\0\0\0\0\x01\0", 256),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
        ] {
            assert_eq!(number(field).unwrap(), value, "{field:?}");
        }
        for field in [&b"12x45\0\0\0"[..], b"-1\0\0\0\0\0\0", b"\x80\0\0\x01\0\0\0\0\0\0\0\0"] {
            assert!(number(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn paths_split_where_both_parts_fit() {
        let long = [b"d".repeat(120), b"n".repeat(90)].join(&b'/');
        let (prefix, name) = split_path(&long).unwrap();
        assert_eq!((prefix.len(), name.len()), (120, 90));
        assert_eq!(split_path(b"short"), Some((&b""[..], &b"short"[..])));
        assert_eq!(split_path(&b"x".repeat(101)), None);
        assert_eq!(split_path(&[b"d".repeat(160), b"n".repeat(90)].join(&b'/')), None);
    }

    proptest! {
        #[test]
        fn octal_round_trip(value in 0_u64..1 << 33) {
            let mut field = [0; 12];
            prop_assert!(put_octal(&mut field, value));
            prop_assert_eq!(number(&field).unwrap(), value as i64);
        }

        #[test]
        fn never_panics(field in prop::collection::vec(any::<u8>(), 8..13)) {
            let _ = number(&field);
        }
    }
}
