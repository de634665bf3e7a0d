//! Whole numbers, with the words that docker's flag library uses when they are none.
//! The ranges that make sense for a flag are checked where the flag is read.

/// A signed number.
pub fn signed<T: TryFrom<i64>>(text: &str) -> Result<T, String> {
    let value: i64 = text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))?;
    T::try_from(value).map_err(|_| format!("strconv.ParseInt: parsing {text:?}: value out of range"))
}

/// A number that is not negative.
pub fn unsigned<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let value: u64 = text.parse().map_err(|_| format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))?;
    T::try_from(value).map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(signed::<i64>("-1"), Ok(-1));
        assert_eq!(unsigned::<u16>("1000"), Ok(1000));
        assert!(unsigned::<u16>("70000").unwrap_err().ends_with("value out of range"));
        assert_eq!(signed::<i64>("x"), Err("strconv.ParseInt: parsing \"x\": invalid syntax".into()));
    }
}
