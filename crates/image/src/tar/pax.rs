//! PAX extended headers: `length key=value\n` records.

use super::{Entry, Error, Extent, Result, header};
use std::collections::HashSet;

/// Calls `each` with key and value of every record.
pub(super) fn records<'a>(mut data: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<()>) -> Result<()> {
    let broken = || Error::invalid("has a broken extended header");
    while !data.is_empty() {
        // Some writers fill the header up with zeros.
        if data.iter().all(|&b| b == 0) {
            break;
        }
        let space = data.iter().take(20).position(|&b| b == b' ').ok_or_else(broken)?;
        let length = decimal(&data[..space]).and_then(|n| usize::try_from(n).ok()).ok_or_else(broken)?;
        if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
            return Err(broken());
        }
        let record = &data[space + 1..length - 1];
        let equals = record.iter().position(|&b| b == b'=').ok_or_else(broken)?;
        if equals == 0 {
            return Err(broken());
        }
        each(&record[..equals], &record[equals + 1..])?;
        data = &data[length..];
    }
    Ok(())
}

/// Refuses what only one file can have in a header for all: an archive of a megabyte would make us hold gigabytes.
pub(super) fn check_global(data: &[u8]) -> Result<()> {
    records(data, |key, _| {
        if !key.starts_with(XATTR) && !key.starts_with(SPARSE) {
            return Ok(());
        }
        let key = String::from_utf8_lossy(key);
        Err(Error::invalid(format_args!("has a global extended header with {key}, which only one file can have")))
    })
}

/// Appends a record; its length counts its own digits.
pub(super) fn push(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() > rest.to_string().len() {
        length += 1;
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// GNU's keys for sparse files, collected until the header that they belong to.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// 1 for format 1.0, whose map is in the data.
    pub(super) major: u64,
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
    pub(super) extents: Vec<Extent>,
    offset: Option<u64>,
    pub(super) present: bool,
}

/// Applies the records of an extended header to an entry. A size is kept apart, since for
/// sparse files it is not the file's.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) data_size: Option<u64>,
    pub(super) sparse: Sparse,
}

impl Overrides {
    pub(super) fn apply(&mut self, entry: &mut Entry, data: &[u8]) -> Result<()> {
        records(data, |key, value| self.apply_one(entry, key, value))
    }

    fn apply_one(&mut self, entry: &mut Entry, key: &[u8], value: &[u8]) -> Result<()> {
        let number = || {
            let name = String::from_utf8_lossy(key).into_owned();
            decimal(value).ok_or_else(|| Error::invalid(format_args!("has an extended header with a bad {name}")))
        };
        // An empty value takes back what a global header said; the plain header's field stays.
        if value.is_empty() && !key.starts_with(XATTR) {
            return Ok(());
        }
        match key {
            b"path" => entry.path = without_zero(key, value)?,
            b"linkpath" => entry.link = without_zero(key, value)?,
            b"size" => {
                // As a header's number: what is beyond cannot be, and sums of it would overflow.
                let size = number()?;
                i64::try_from(size).map_err(|_| Error::invalid("has an extended header with a size too large"))?;
                self.data_size = Some(size);
            }
            b"uid" => entry.uid = header::id(number()?)?,
            b"gid" => entry.gid = header::id(number()?)?,
            b"mtime" => {
                entry.mtime = time(value).ok_or_else(|| Error::invalid("has an extended header with a bad mtime"))?;
            }
            _ if key.starts_with(XATTR) => {
                let name = without_zero(key, &key[XATTR.len()..])?;
                entry.xattrs.push((name, value.to_vec()));
            }
            _ if key.starts_with(SPARSE) => self.sparse.apply(&key[SPARSE.len()..], value, number)?,
            _ => {}
        }
        Ok(())
    }
}

/// Longest list of a file's attributes, each name with a zero, that Linux gives (XATTR_LIST_MAX in linux/limits.h).
const XATTR_LIST_MAX: usize = 65536;

/// Of attributes that were given twice, the last. Refuses more than a file can have.
pub(super) fn keep_last(xattrs: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
    let mut names = HashSet::new();
    let is_last: Vec<bool> = xattrs.iter().rev().map(|(name, _)| names.insert(name.as_slice())).collect();
    if names.iter().map(|name| name.len() + 1).sum::<usize>() > XATTR_LIST_MAX {
        return Err(Error::invalid("has an entry with more extended attributes than a file can have"));
    }
    let mut is_last = is_last.into_iter().rev();
    xattrs.retain(|_| is_last.next().unwrap_or(true)); // one for each
    Ok(())
}

/// star's prefix for extended attributes, which everybody uses.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

const SPARSE: &[u8] = b"GNU.sparse.";

impl Sparse {
    fn apply(&mut self, key: &[u8], value: &[u8], number: impl Fn() -> Result<u64>) -> Result<()> {
        self.present = true;
        match key {
            b"major" => self.major = number()?,
            b"name" => self.name = Some(without_zero(key, value)?),
            b"size" | b"realsize" => self.real_size = Some(number()?),
            b"offset" => self.offset = Some(number()?),
            b"numbytes" => {
                let bad = || Error::invalid("has a sparse map without offsets");
                self.extents.push(Extent { offset: self.offset.take().ok_or_else(bad)?, length: number()? });
            }
            b"map" => {
                let bad = || Error::invalid("has a broken sparse map");
                let numbers: Option<Vec<u64>> = value.split(|&b| b == b',').map(decimal).collect();
                let numbers = numbers.filter(|n| n.len().is_multiple_of(2)).ok_or_else(bad)?;
                self.extents = numbers.chunks_exact(2).map(|n| Extent { offset: n[0], length: n[1] }).collect();
            }
            // minor, numblocks: nothing follows from them
            _ => {}
        }
        Ok(())
    }
}

fn without_zero(key: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    if value.contains(&0) || value.is_empty() {
        let key = String::from_utf8_lossy(key);
        return Err(Error::invalid(format_args!("has an extended header with a bad {key}")));
    }
    Ok(value.to_vec())
}

pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Seconds with any number of decimals, possibly negative; nanoseconds count from the second
/// below.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut parts = digits.splitn(2, |&b| b == b'.');
    let seconds = decimal(parts.next()?)?;
    let mut nanoseconds = 0;
    let mut unit = 100_000_000;
    for digit in parts.next().unwrap_or_default() {
        nanoseconds += u32::from(digit.is_ascii_digit().then(|| digit - b'0')?) * unit;
        unit /= 10;
    }
    // There is one more second before 1970 than after.
    let before = 0_i64.checked_sub_unsigned(seconds);
    match (negative, nanoseconds) {
        (false, nanoseconds) => Some((i64::try_from(seconds).ok()?, nanoseconds)),
        (true, 0) => Some((before?, 0)),
        (true, nanoseconds) => Some((before?.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
    }
}

/// The text of a time for a record.
pub(super) fn time_text((seconds, nanoseconds): (i64, u32)) -> String {
    if nanoseconds == 0 {
        return seconds.to_string();
    }
    let (sign, seconds, nanoseconds) = match seconds {
        0.. => ("", seconds.unsigned_abs(), nanoseconds),
        _ => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
    };
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(data: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut found = Vec::new();
        records(data, |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn broken_records() {
        for data in [
            &b"x"[..],
            b"0 a=b\n",
            b"6 a=b",
            b"5 a=b\n",
            b"7 a=b\n",
            b"6 =ab\n",
            b"6 abc\n",
            b"99999999999999999999 a=b\n",
        ] {
            assert!(parse(data).is_err(), "{:?}", String::from_utf8_lossy(data));
        }
        assert_eq!(parse(b"6 a=b\n\0\0").unwrap().len(), 1);
    }

    #[test]
    fn times() {
        for (text, value) in [
            ("0", (0, 0)),
            ("1700000000.123456789", (1_700_000_000, 123_456_789)),
            ("1.5", (1, 500_000_000)),
            ("-1.25", (-2, 750_000_000)),
            ("-3", (-3, 0)),
            ("9223372036854775807", (i64::MAX, 0)),
            ("-9223372036854775808", (i64::MIN, 0)),
        ] {
            assert_eq!(time(text.as_bytes()), Some(value), "{text}");
            assert_eq!(time_text(value), text);
        }
        for text in
            ["", "-", "1.x", "x", "1.2.3", "9223372036854775808", "-9223372036854775808.1", "99999999999999999999"]
        {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
    }

    fn pairs(texts: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        texts.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn of_equal_attributes_the_last_is_kept() {
        let mut xattrs = pairs(&[("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("b", "5")]);
        keep_last(&mut xattrs).unwrap();
        assert_eq!(xattrs, pairs(&[("a", "3"), ("c", "4"), ("b", "5")]));
    }

    #[test]
    fn more_attributes_than_a_file_can_have() {
        let of = |count: u32| (0..count).map(|n| (format!("user.{n:010}").into_bytes(), Vec::new())).collect();
        let (mut fits, mut more): (Vec<_>, Vec<_>) = (of(4096), of(4097));
        assert!(keep_last(&mut fits).is_ok() && fits.len() == 4096);
        assert!(keep_last(&mut more).unwrap_err().to_string().contains("more extended attributes"));
    }

    proptest! {
        #[test]
        fn round_trip(key in "[a-zA-Z.]{1,20}", value in prop::collection::vec(any::<u8>(), 0..1100)) {
            let mut data = Vec::new();
            push(&mut data, key.as_bytes(), &value);
            push(&mut data, b"other", b"x");
            let parsed = parse(&data).unwrap();
            prop_assert_eq!(&parsed[0], &(key.into_bytes(), value));
            prop_assert_eq!(parsed.len(), 2);
        }

        #[test]
        fn never_panics(data in prop::collection::vec(any::<u8>(), 0..100), text in "[0-9]{1,3} [a-zA-Z.]{0,9}=[0-9.,-]{0,9}\n") {
            let (mut entry, mut overrides) = (Entry::default(), Overrides::default());
            let _ = overrides.apply(&mut entry, &data);
            let _ = overrides.apply(&mut entry, text.as_bytes());
        }

        #[test]
        fn any_time_round_trips(seconds in -4_000_000_000_i64..4_000_000_000, nanoseconds in 0_u32..1_000_000_000) {
            let time_of = (seconds, nanoseconds);
            prop_assert_eq!(time(time_text(time_of).as_bytes()), Some(time_of));
        }
    }
}
