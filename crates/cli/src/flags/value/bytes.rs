//! Sizes: `100m`, `1.5g`, `64kib`, `4096`. Memory flags count in 1024s, log file sizes in 1000s, as docker's do.
//! Used by limits, tmpfs and log options.

/// Bytes with 1024-based suffixes (`k`, `m`, `g`, `t`, `p`, each also with `b` or `ib`), any case.
pub fn memory(text: &str) -> Result<i64, String> {
    parse(text, 1024)
}

/// As `memory`, and `-1` for unlimited.
pub fn memory_or_unlimited(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { memory(text) }
}

/// Bytes with 1000-based suffixes.
pub fn decimal(text: &str) -> Result<i64, String> {
    parse(text, 1000)
}

fn parse(text: &str, base: i64) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let power = match suffix.trim_start_matches(' ').to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(invalid()),
    };
    let unit = base.pow(power);
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(unit).ok_or_else(invalid);
    }
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let bytes = number * unit as f64;
    // Beyond 2^63 the cast would saturate and limit to something nobody asked for.
    if bytes.is_finite() && bytes < i64::MAX as f64 { Ok(bytes as i64) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sizes() {
        for (text, bytes) in [
            ("100m", 104_857_600),
            ("1.5g", 1_610_612_736),
            ("64kib", 65536),
            ("4096", 4096),
            ("1 GB", 1 << 30),
            ("32b", 32),
            ("0", 0),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        assert_eq!(decimal("10m"), Ok(10_000_000));
        assert_eq!(memory_or_unlimited("-1"), Ok(-1));
        for text in ["", "abc", "-1", "1x", "1.2.3", "m", ".", "99999999999t", "9999999999999999999", "1e3"] {
            assert_eq!(memory(text), Err(format!("invalid size: '{text}'")));
        }
    }

    proptest! {
        #[test]
        fn never_panics_or_goes_negative(text in "\\PC{0,12}") {
            if let Ok(bytes) = memory(&text) {
                prop_assert!(bytes >= 0);
            }
        }
    }
}
