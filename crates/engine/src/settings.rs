//! `brig.toml`, what may be set for all commands (documented in docs/store.md). One file is in force: the one that
//! `BRIG_CONFIG` names, else the user's before the system's. Read when an engine is opened; a mistake in it must not keep
//! anybody from stopping a container, so it is an error only where something of it is needed.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What the file says; the default is what counts without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Bytes on the disk that images may take; no limit if `None`.
    pub store_bytes_max: Option<u64>,
    /// Layers are kept in their compressed form too.
    pub keep_blobs: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    store: Store,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Store {
    max: Option<String>,
    #[serde(default)]
    keep_blobs: bool,
}

impl Settings {
    /// `Invalid` with the file's name when it cannot be read or has a mistake.
    pub fn load() -> Result<Settings> {
        let named = std::env::var_os("BRIG_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
        match named {
            Some(path) => read(&path)?.ok_or_else(|| mistake(&path, "there is no such file: unset BRIG_CONFIG")),
            None => {
                let config = std::env::var_os("XDG_CONFIG_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
                let config = config.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
                let user = config.map(|directory| directory.join("brig/brig.toml"));
                let places = user.into_iter().chain([PathBuf::from("/etc/brig/brig.toml")]);
                let first = places.map(|path| read(&path)).find_map(Result::transpose);
                first.unwrap_or_else(|| Ok(Settings::default()))
            }
        }
    }

    fn parse(text: &str) -> Result<Settings, String> {
        let document: Document = basic_toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let bytes = document.store.max.as_deref().map(bytes).transpose();
        let store_bytes_max = bytes.map_err(|why| format!("store.max {why}: write for example \"20GB\""))?;
        Ok(Settings { store_bytes_max, keep_blobs: document.store.keep_blobs })
    }
}

/// `None` when there is no such file.
fn read(path: &Path) -> Result<Option<Settings>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Settings::parse(&text).map(Some).map_err(|why| mistake(path, &why)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(mistake(path, &error.to_string())),
    }
}

fn mistake(path: &Path, why: &str) -> Error {
    Error::Invalid(format!("cannot use {}: {why}", path.display()))
}

/// `20GB` in thousands as sizes are printed, `20GiB` in 1024s; the number may have a fraction.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim().to_ascii_uppercase());
    let (prefix, base) = match unit.strip_suffix("IB") {
        Some(prefix) if !prefix.is_empty() => (prefix, 1024_f64),
        _ => (unit.strip_suffix('B').unwrap_or(&unit), 1000_f64),
    };
    let number: f64 = number.parse().map_err(|_| format!("is {text:?}, which begins with no number"))?;
    let exponent = UNITS.iter().position(|known| *known == prefix);
    let exponent = exponent.ok_or_else(|| format!("is {text:?}, which has no unit that is known"))?;
    let bytes = number * base.powi(exponent as i32); // at most 4
    // What is larger is no limit on any disk.
    if bytes >= 1.0 { Ok(bytes as u64) } else { Err(format!("is {text:?}, which leaves no room")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("20GB", Some(20_000_000_000)),
            ("20 gb", Some(20_000_000_000)),
            ("1.5MiB", Some(1_572_864)),
            ("2T", Some(2_000_000_000_000)),
            ("700kB", Some(700_000)),
            ("1024", Some(1024)),
            ("99999999999TB", Some(u64::MAX)),
            ("", None),
            ("GB", None),
            ("0", None),
            ("-1GB", None),
            ("20 apples", None),
            ("1.2.3GB", None),
            ("iB", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn files() {
        let expected = Settings { store_bytes_max: Some(1_000_000_000), keep_blobs: true };
        assert_eq!(Settings::parse("[store]\nmax = \"1GB\"\nkeep_blobs = true\n"), Ok(expected));
        assert_eq!(Settings::parse(""), Ok(Settings::default()));
        assert_eq!(Settings::parse("store.keep_blobs = false"), Ok(Settings::default()));
        for (text, part) in [
            ("[store]\nmaximum = 1", "maximum"),
            ("[stores]", "stores"),
            ("[store]\nmax = 5", "string"),
            ("[store]\nmax = \"much\"", "store.max is \"much\""),
            ("[store", "expected"),
        ] {
            let why = Settings::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn a_missing_file_is_none_and_an_unreadable_one_an_error() {
        assert_eq!(read(Path::new("/nonexistent/brig.toml")).unwrap(), None);
        assert_eq!(read(Path::new("/proc/self/exe/brig.toml")).unwrap(), None);
        let error = read(Path::new("/proc")).unwrap_err().to_string();
        assert!(error.starts_with("cannot use /proc: "), "{error}");
    }
}
