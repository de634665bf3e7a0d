//! A span of time as Go's `time.ParseDuration` reads it: `1m30s`, `300ms`, `1.5h`. Flags, image configurations and
//! Dockerfile instructions carry this text; the errors are Go's sentences.

use std::fmt;

/// Shortest pause or limit of a health check, in nanoseconds: docker's.
const HEALTHCHECK_MIN: i64 = 1_000_000;

/// Nanoseconds; negative with a leading `-`.
pub fn parse(text: &str) -> Result<i64, Error> {
    let invalid = || Error::Invalid(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        total += term(number, unit, text)?;
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = after;
    }
    let total = i64::try_from(total).map_err(|_| invalid())?;
    Ok(if negative { -total } else { total })
}

/// One number with its unit, in nanoseconds.
fn term(number: &str, unit: &str, text: &str) -> Result<i128, Error> {
    let invalid = || Error::Invalid(text.to_owned());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(invalid());
    }
    let unit: i128 = match unit {
        "" => return Err(Error::NoUnit(text.to_owned())),
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(Error::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() }),
    };
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
    // Digits beyond nanoseconds of an hour cannot matter.
    let digits = &fraction[..fraction.len().min(15)];
    let part: i128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| invalid())? };
    Ok(i128::from(whole) * unit + part * unit / 10_i128.pow(digits.len() as u32))
}

/// A duration of a health check: 0 stands for "inherited or default", anything else has at least a millisecond.
pub fn parse_healthcheck(text: &str) -> Result<i64, Error> {
    match parse(text)? {
        0 => Ok(0),
        nanoseconds if nanoseconds < HEALTHCHECK_MIN => Err(Error::TooShort),
        nanoseconds => Ok(nanoseconds),
    }
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    Invalid(String),
    NoUnit(String),
    UnknownUnit { unit: String, text: String },
    TooShort,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(text) => write!(f, "time: invalid duration {text:?}"),
            Error::NoUnit(text) => write!(f, "time: missing unit in duration {text:?}"),
            Error::UnknownUnit { unit, text } => write!(f, "time: unknown unit {unit:?} in duration {text:?}"),
            Error::TooShort => f.write_str("must be at least 1ms"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gos_durations() {
        let second = 1_000_000_000;
        for (text, nanoseconds) in [
            ("1m30s", 90 * second),
            ("300ms", 300_000_000),
            ("1.5h", 5400 * second),
            ("0", 0),
            ("-2s", -2 * second),
            ("+2s", 2 * second),
            (".5s", 500_000_000),
            ("1us", 1000),
            ("7ns", 7),
        ] {
            assert_eq!(parse(text), Ok(nanoseconds), "{text}");
        }
        for text in ["", "-", "s", ".s", "1..2s", "9999999999999h", "1s2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_are_gos() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert_eq!(message("5x"), "time: unknown unit \"x\" in duration \"5x\"");
        assert_eq!(message("5"), "time: missing unit in duration \"5\"");
        assert_eq!(message("abc"), "time: invalid duration \"abc\"");
    }

    #[test]
    fn health_checks_take_a_millisecond() {
        assert_eq!((parse_healthcheck("0s"), parse_healthcheck("1ms")), (Ok(0), Ok(1_000_000)));
        assert_eq!((parse_healthcheck("1us"), parse_healthcheck("-1s")), (Err(Error::TooShort), Err(Error::TooShort)));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+0-9.a-zµ]{0,20}") {
            let _ = parse(&text);
        }
    }
}
