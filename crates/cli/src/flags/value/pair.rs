//! `key=value`: labels, volume driver options and filters.
//! Which names exist is known to those who use them.

/// `KEY=VALUE` or `KEY` alone, which has an empty value.
pub fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// `KEY=VALUE`; the `=` must be there.
pub fn option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} must be formatted as key=value")),
    }
}

/// A filter, left as text for the engine, which knows the names.
pub fn filter(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, value)) => Ok(format!("{}={}", key.trim().to_ascii_lowercase(), value.trim())),
        None => Err("bad format of filter (expected name=value)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(label("a"), Ok(("a".into(), String::new())));
        assert_eq!(label("=x"), Err("invalid label '=x': empty name".into()));
        assert!(option("a").is_err());
        assert_eq!(filter("Status = running"), Ok("status=running".into()));
        assert_eq!(filter("foo"), Err("bad format of filter (expected name=value)".into()));
    }
}
