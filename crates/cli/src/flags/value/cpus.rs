//! `--cpus 1.5`: a decimal number of CPUs as billionths, exactly, without going through a float.
//! Used by `run`, `create` and `update`.

/// Billionths of a CPU.
pub fn parse(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if (whole.is_empty() && fraction.is_empty()) || !(whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()))
    {
        return Err(bad());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err("value is too precise".to_owned());
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let nano: i64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
    whole.checked_mul(1_000_000_000).and_then(|cpus| cpus.checked_add(nano)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for (text, nano) in [
            ("1", 1_000_000_000),
            ("0.2", 200_000_000),
            (".5", 500_000_000),
            ("1.250000000000", 1_250_000_000),
            ("2.", 2_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(nano), "{text}");
        }
        assert_eq!(parse("0.0000000001"), Err("value is too precise".to_owned()));
        for text in ["", ".", "abc", "-1", "1e3", "1.2.3", "99999999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
