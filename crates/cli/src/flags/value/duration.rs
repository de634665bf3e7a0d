//! Durations as Go writes them: `1m30s`, `300ms`, `1.5h`; and points in time for `logs --since`.
//! The first is for health checks, the second reads the clock of its caller.

use spec::Timestamp;

/// Nanoseconds; negative with a leading `-`. The errors are those of Go's `time.ParseDuration`.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
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
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit_name, after) = after.split_at(end);
        let unit: i128 = match unit_name {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit {unit_name:?} in duration {text:?}")),
        };
        let whole: i128 = if whole.is_empty() { 0 } else { i128::from(whole.parse::<i64>().map_err(|_| invalid())?) };
        total += whole * unit;
        // Digits beyond nanoseconds of an hour cannot matter.
        let digits = &fraction[..fraction.len().min(15)];
        if !digits.is_empty() {
            let part: i128 = digits.parse().map_err(|_| invalid())?;
            total += part * unit / 10_i128.pow(digits.len() as u32);
        }
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = after;
    }
    let total = i64::try_from(total).map_err(|_| invalid())?;
    Ok(if negative { -total } else { total })
}

/// A duration for `--health-*`: 0 stands for "the image's", else at least one millisecond.
pub fn health(text: &str) -> Result<i64, String> {
    match parse(text)? {
        0 => Ok(0),
        nanoseconds if nanoseconds < 1_000_000 => Err("must be at least 1ms".to_owned()),
        nanoseconds => Ok(nanoseconds),
    }
}

/// A point in time for `--since` and `--until`: an RFC 3339 time (also without zone, or a date alone: UTC), seconds since
/// 1970 with a fraction, or a duration before `now`.
pub fn point_in_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let bad = || format!("failed to parse value as time or duration: {text:?}");
    if let Ok(before) = parse(text) {
        return now.nanoseconds().checked_sub(before).map(Timestamp::from_nanoseconds).ok_or_else(bad);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !seconds.is_empty() && fraction.len() <= 9 && seconds.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
    {
        let seconds: i64 = seconds.parse().map_err(|_| bad())?;
        let nanoseconds: i64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
        let whole = seconds.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(nanoseconds));
        return whole.map(Timestamp::from_nanoseconds).ok_or_else(bad);
    }
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    full.parse().or_else(|_| format!("{full}Z").parse()).map_err(|_| bad())
}

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
            (".5s", 500_000_000),
            ("1us", 1000),
            ("7ns", 7),
        ] {
            assert_eq!(parse(text), Ok(nanoseconds), "{text}");
        }
        assert_eq!(parse("5x"), Err("time: unknown unit \"x\" in duration \"5x\"".into()));
        assert_eq!(parse("5"), Err("time: missing unit in duration \"5\"".into()));
        assert_eq!(parse("abc"), Err("time: invalid duration \"abc\"".into()));
        for text in ["", "-", ".s", "1..2s", "9999999999999h", "1s2"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(health("1us"), Err("must be at least 1ms".into()));
    }

    #[test]
    fn points_in_time() {
        let now = Timestamp::from_nanoseconds(1_000_000_000_000);
        let at = |text| point_in_time(text, now).map(|time| time.nanoseconds());
        assert_eq!(at("10s"), Ok(990_000_000_000));
        assert_eq!(at("12.5"), Ok(12_500_000_000));
        assert_eq!(at("1970-01-01T00:00:07Z"), Ok(7_000_000_000));
        assert_eq!(at("1970-01-01T00:00:07"), Ok(7_000_000_000));
        assert_eq!(at("1970-01-02"), Ok(86_400_000_000_000));
        assert!(at("x").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+0-9.a-zµ]{0,20}") {
            let _ = parse(&text);
            let _ = point_in_time(&text, Timestamp::from_nanoseconds(0));
        }
    }
}
