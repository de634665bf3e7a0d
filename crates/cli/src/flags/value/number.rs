//! Whole numbers, and what is said about a text that is none.
//! The ranges that make sense for a flag are checked where the flag is read.

/// A signed number.
pub fn signed<T: TryFrom<i64>>(text: &str) -> Result<T, String> {
    convert(text.parse::<i64>().map_err(|_| problem(text))?)
}

/// A number that is not negative.
pub fn unsigned<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    convert(text.parse::<u64>().map_err(|_| problem(text))?)
}

fn convert<T: TryFrom<N>, N>(value: N) -> Result<T, String> {
    T::try_from(value).map_err(|_| OUT_OF_RANGE.to_owned())
}

const OUT_OF_RANGE: &str = "value out of range";

fn problem(text: &str) -> String {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole {
        return "use a whole number".to_owned();
    }
    match text.starts_with('-') && text.parse::<i64>().is_ok() {
        true => "cannot be negative".to_owned(),
        false => OUT_OF_RANGE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(signed::<i64>("-1"), Ok(-1));
        assert_eq!(unsigned::<u16>("1000"), Ok(1000));
        let signed = |text| signed::<i32>(text).unwrap_err();
        let unsigned = |text| unsigned::<u16>(text).unwrap_err();
        assert_eq!((signed("x").as_str(), unsigned("").as_str()), ("use a whole number", "use a whole number"));
        assert_eq!((signed("1.5").as_str(), unsigned("-1").as_str()), ("use a whole number", "cannot be negative"));
        for text in ["70000", "99999999999999999999"] {
            assert_eq!(unsigned(text), OUT_OF_RANGE);
        }
        assert_eq!(signed("-99999999999999999999"), OUT_OF_RANGE);
    }
}
