//! Durations of health checks, and points in time for `logs --since`, which may be given as an age.
//! The text of a duration is read by `spec::duration`; the clock is the caller's.

use spec::Timestamp;
use spec::duration;

/// Nanoseconds for `--health-*`: 0 stands for "the image's", else at least one millisecond.
pub fn health(text: &str) -> Result<i64, String> {
    duration::parse_healthcheck(text).map_err(|error| error.to_string())
}

/// A point in time for `--since` and `--until`: an RFC 3339 time (also without zone, or a date alone: UTC), seconds since
/// 1970 with a fraction, or a duration before `now`.
pub fn point_in_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let bad = || format!("failed to parse value as time or duration: {text:?}");
    if let Ok(before) = duration::parse(text) {
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
    fn points_in_time_and_health() {
        let now = Timestamp::from_nanoseconds(1_000_000_000_000);
        let at = |text| point_in_time(text, now).map(|time| time.nanoseconds());
        assert_eq!(at("10s"), Ok(990_000_000_000));
        assert_eq!(at("12.5"), Ok(12_500_000_000));
        assert_eq!(at("1970-01-01T00:00:07Z"), Ok(7_000_000_000));
        assert_eq!(at("1970-01-01T00:00:07"), Ok(7_000_000_000));
        assert_eq!(at("1970-01-02"), Ok(86_400_000_000_000));
        assert!(at("x").is_err());
        assert_eq!(health("1us"), Err("must be at least 1ms".into()));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+0-9.a-zµ]{0,20}") {
            let _ = point_in_time(&text, Timestamp::from_nanoseconds(0));
        }
    }
}
