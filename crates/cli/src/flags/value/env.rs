//! `-e`, `--env-file` and `--label-file`.
//! The files are read when the flag is, so that a bad line stops the command before anything is made.

use crate::failure::plain;
use std::path::Path;

/// `KEY=VALUE`, or `KEY` alone, which takes the caller's value. Where there is none `KEY` stays alone: that removes the
/// image's variable.
pub fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some(("", _)) => Err(format!("invalid environment variable: {text}")),
        Some(_) => Ok(text.to_owned()),
        None if text.is_empty() => Err("invalid environment variable: empty name".to_owned()),
        None => Ok(inherited(text)?.unwrap_or_else(|| text.to_owned())),
    }
}

fn inherited(name: &str) -> Result<Option<String>, String> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(format!("{name}={value}"))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the value of {name} is not valid UTF-8")),
    }
}

/// The variables of an env file: a line each, `#` starts a comment line, spaces before the name are dropped.
pub fn env_file(path: &str) -> Result<Vec<String>, String> {
    let mut variables = Vec::new();
    for line in lines(path)? {
        let name = checked_name(path, &line)?;
        match line.len() == name.len() {
            true => variables.extend(inherited(name)?),
            false => variables.push(line),
        }
    }
    Ok(variables)
}

/// The labels of a label file; a name alone has an empty value.
pub fn label_file(path: &str) -> Result<Vec<(String, String)>, String> {
    lines(path)?.iter().map(|line| checked_name(path, line).and_then(|_| super::pair::label(line))).collect()
}

fn checked_name<'a>(path: &str, line: &'a str) -> Result<&'a str, String> {
    let name = line.split_once('=').map_or(line, |(name, _)| name);
    if name.is_empty() {
        return Err(format!("poorly formatted environment in {path}: no variable name on line '{line}'"));
    }
    if name.contains(char::is_whitespace) {
        return Err(format!("poorly formatted environment in {path}: variable '{name}' contains whitespaces"));
    }
    Ok(name)
}

fn lines(path: &str) -> Result<Vec<String>, String> {
    let bytes = std::fs::read(Path::new(path)).map_err(|error| format!("open {path}: {}", plain(&error)))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| format!("invalid utf8 bytes in {path}"))?;
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(name: &str, content: &[u8], check: impl FnOnce(&str)) {
        let path = std::env::temp_dir().join(format!("brig-cli-{name}-{}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        check(path.to_str().unwrap());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn variables() {
        assert_eq!(variable("A=b=c"), Ok("A=b=c".into()));
        assert_eq!(variable("BRIG_SURELY_NOT_SET"), Ok("BRIG_SURELY_NOT_SET".into()));
        assert_eq!(variable("=x"), Err("invalid environment variable: =x".into()));
        assert!(variable("PATH").unwrap().starts_with("PATH="));
    }

    #[test]
    fn files() {
        with_file("env", b"\xef\xbb\xbfA=1\n# no\n\n  B=2 # kept \nBRIG_SURELY_NOT_SET\nC=\n", |path| {
            assert_eq!(env_file(path).unwrap(), ["A=1", "B=2 # kept ", "C="]);
        });
        with_file("label", b"a=1\nb\n", |path| assert_eq!(label_file(path).unwrap().len(), 2));
        for (index, bad) in [&b"=x\n"[..], b"A B=1\n", b"\xff=1\n"].into_iter().enumerate() {
            with_file(&format!("bad{index}"), bad, |path| assert!(env_file(path).is_err()));
        }
        assert_eq!(env_file("/nonexistent"), Err("open /nonexistent: no such file or directory".into()));
    }
}
