//! A moment in UTC, in nanoseconds since 1970, as Go's `time.RFC3339Nano` reads and prints it.
//!
//! Image documents, container state and logs all carry this text. Time zones other than a
//! fixed offset are not known here; printing in local time is the command line's matter.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const NANOSECONDS: i64 = 1_000_000_000;

/// Unix nanoseconds; covers the years 1677 to 2262.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z, the date of reproducible images.
    pub const EPOCH: Timestamp = Timestamp(0);

    pub const fn from_nanoseconds(nanoseconds: i64) -> Timestamp {
        Timestamp(nanoseconds)
    }

    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(NANOSECONDS))
    }

    /// The wall clock (CLOCK_REALTIME).
    pub fn now() -> Timestamp {
        Timestamp::from(SystemTime::now())
    }

    /// Nanoseconds since 1970.
    pub const fn nanoseconds(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(NANOSECONDS)
    }

    /// Nanoseconds within the second, 0 to 999,999,999.
    pub const fn subsecond_nanoseconds(self) -> u32 {
        self.0.rem_euclid(NANOSECONDS) as u32
    }

    /// Nanoseconds from `earlier` to here; negative when `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses RFC 3339 with `Z` or a numeric offset and up to nine digits of a second (more
    /// are cut off).
    pub fn parse(text: &str) -> Result<Timestamp, Error> {
        parse(text.as_bytes()).ok_or(Error)
    }

    /// Year, month 1–12, day 1–31, hour, minute, second, all in UTC.
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let seconds = self.seconds();
        let (year, month, day) = civil_from_days(seconds.div_euclid(86400));
        let of_day = seconds.rem_euclid(86400) as u32;
        (year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        let nanoseconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        Timestamp(nanoseconds)
    }
}

/// The text is no RFC 3339 time, or outside of the years 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time as in RFC 3339 (2006-01-02T15:04:05Z)")
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Timestamp {
    /// Zeros at the end of the fraction are left out, as Go's `RFC3339Nano` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let mut fraction = self.subsecond_nanoseconds();
        if fraction != 0 {
            let mut width = 9;
            while fraction.is_multiple_of(10) {
                fraction /= 10;
                width -= 1;
            }
            write!(f, ".{fraction:0width$}")?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Timestamp, Error> {
        Timestamp::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date_time, mut rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| date_time[at].to_ascii_uppercase() != byte) {
        return None;
    }
    let year = number(&date_time[..4])?;
    let month = number(&date_time[5..7])?;
    let day = number(&date_time[8..10])?;
    let (hour, minute) = (number(&date_time[11..13])?, number(&date_time[14..16])?);
    let second = number(&date_time[17..19])?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut nanosecond = 0;
    if let [b'.' | b',', digits @ ..] = rest {
        let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let kept = count.min(9);
        nanosecond = number(&digits[..kept])? * 10_i64.pow(9 - kept as u32);
        rest = &digits[count..];
    }
    let offset_seconds = offset(rest)?;
    let days = days_from_civil(year, month, day);
    let seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset_seconds;
    // In 128 bits, since the first representable second starts before i64::MIN.
    let total = i128::from(seconds) * i128::from(NANOSECONDS) + i128::from(nanosecond);
    i64::try_from(total).ok().map(Timestamp)
}

/// Seconds that local time is ahead of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            Some(if *sign == b'+' { seconds } else { -seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in
/// March so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_as_go() {
        for (nanoseconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_370_400_123_456_789, "2026-11-22T18:00:00.123456789Z"),
            (1_500_000_000, "1970-01-01T00:00:01.5Z"),
            (1_000_000_010, "1970-01-01T00:00:01.00000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(nanoseconds).to_string(), text);
            assert_eq!(Timestamp::parse(text), Ok(Timestamp(nanoseconds)));
        }
    }

    #[test]
    fn offsets_and_long_fractions() {
        let same = Timestamp::parse("2026-11-22T18:00:00Z").unwrap();
        for text in [
            "2026-11-22T19:30:00+01:30",
            "2026-11-22T13:00:00-05:00",
            "2026-11-22t18:00:00z",
            "2026-11-22T18:00:00.0000000009999Z",
        ] {
            assert_eq!(Timestamp::parse(text), Ok(same), "{text}");
        }
    }

    #[test]
    fn refusals() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T18:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T18:00:00.Z",
            "2026-11-22T18:00:00+0100",
            "2026-11-22T18:00:00Zx",
            "0001-01-01T00:00:00Z", // Go's zero time does not fit
            "９026-11-22T18:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), Err(Error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(nanoseconds: i64) {
            let time = Timestamp(nanoseconds);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = Timestamp::parse(&text);
        }

        #[test]
        fn near_misses_never_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Zz-]{0,24}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
