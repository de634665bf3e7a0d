//! `--mount KEY=VALUE,…`: docker's structured form, one comma separated record with CSV quoting.
//! Whether a source exists is checked by the engine, so that an error names the machine's state and not the text.

use super::{bytes, volume};
use engine::options::{Mount, MountSource, Typed};
use std::collections::BTreeMap;

/// The fields before the type is known to fit them.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    source: String,
    target: String,
    read_only: bool,
    consistency: String,
    propagation: String,
    non_recursive: bool,
    no_copy: bool,
    labels: BTreeMap<String, String>,
    driver: String,
    driver_options: BTreeMap<String, String>,
    tmpfs_size: Option<u64>,
    tmpfs_mode: Option<u32>,
    /// First field seen of each group that belongs to one type.
    bind_field: Option<String>,
    volume_field: Option<String>,
    tmpfs_field: Option<String>,
}

/// One mount.
pub fn parse(text: &str) -> Result<Mount, String> {
    let mut fields = Fields::default();
    for field in record(text)? {
        fields.take(&field)?;
    }
    fields.finish()
}

impl Fields {
    fn take(&mut self, field: &str) -> Result<(), String> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let key = key.to_ascii_lowercase();
        match key.split('-').next() {
            Some("bind") => _ = self.bind_field.get_or_insert_with(|| key.clone()),
            Some("volume") => _ = self.volume_field.get_or_insert_with(|| key.clone()),
            Some("tmpfs") => _ = self.tmpfs_field.get_or_insert_with(|| key.clone()),
            _ => {}
        }
        match key.as_str() {
            "readonly" | "ro" => return self.flag(&key, value).map(|on| self.read_only = on),
            "volume-nocopy" => return self.flag(&key, value).map(|on| self.no_copy = on),
            "bind-nonrecursive" => return self.flag(&key, value).map(|on| self.non_recursive = on),
            _ => {}
        }
        let value = value.ok_or_else(|| format!("invalid field '{field}' must be a key=value pair"))?;
        match key.as_str() {
            "type" => self.kind = Some(value.to_ascii_lowercase()),
            "source" | "src" => self.source = value.to_owned(),
            "target" | "dst" | "destination" => self.target = value.to_owned(),
            // Meant for macOS; without effect on Linux, in docker too. `inspect` shows it.
            "consistency" => self.consistency = value.to_owned(),
            "bind-propagation" => match value {
                "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                    self.propagation = value.to_owned()
                }
                _ => {
                    return Err(format!(
                        "invalid value for {key}: {value} (use rprivate, private, rshared, shared, rslave or slave)"
                    ));
                }
            },
            "bind-recursive" => match value {
                "enabled" => self.non_recursive = false,
                "disabled" => self.non_recursive = true,
                _ => return Err(format!("invalid value for {key}: {value} (use enabled or disabled)")),
            },
            "volume-label" => _ = self.labels.insert(split(value).0, split(value).1),
            "volume-driver" => self.driver = value.to_owned(),
            "volume-opt" => _ = self.driver_options.insert(split(value).0, split(value).1),
            "tmpfs-size" => {
                let size = bytes::memory(value).map_err(|_| format!("invalid value for {key}: {value}"))?;
                self.tmpfs_size = Some(size.unsigned_abs());
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
                self.tmpfs_mode =
                    Some(mode.ok_or_else(|| format!("invalid value for {key}: {value} (octal, at most 7777)"))?);
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn flag(&self, key: &str, value: Option<&str>) -> Result<bool, String> {
        match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(value) => Err(format!("invalid value for {key}: {value}")),
        }
    }

    fn finish(self) -> Result<Mount, String> {
        if self.target.is_empty() {
            return Err("target is required".to_owned());
        }
        volume::check_target(&self.target)?;
        let kind = self.kind.as_deref().unwrap_or("volume");
        for (group, field) in [("bind", &self.bind_field), ("volume", &self.volume_field), ("tmpfs", &self.tmpfs_field)]
        {
            if field.is_some() && group != kind {
                return Err(format!("cannot mix '{group}-*' options with mount type '{kind}'"));
            }
        }
        let source = match kind {
            "bind" if self.source.is_empty() => return Err("source is required for a bind mount".to_owned()),
            "bind" => MountSource::Bind {
                path: self.bind_path()?,
                create: false,
                propagation: self.propagation,
                non_recursive: self.non_recursive,
            },
            "volume" => {
                if !self.source.is_empty() {
                    volume::check_name(&self.source)?;
                }
                MountSource::Volume {
                    name: Some(self.source).filter(|name| !name.is_empty()),
                    copy: !self.no_copy,
                    labels: self.labels,
                    driver: self.driver,
                    driver_options: self.driver_options,
                }
            }
            "tmpfs" if !self.source.is_empty() => return Err("source is not for a tmpfs".to_owned()),
            "tmpfs" => MountSource::Tmpfs { size_bytes: self.tmpfs_size, mode: self.tmpfs_mode, options: Vec::new() },
            _ => return Err(format!("mount type unknown: {kind:?} (use bind, volume or tmpfs)")),
        };
        let typed = Typed::Mount { consistency: self.consistency };
        Ok(Mount { target: self.target, read_only: self.read_only, source, typed })
    }

    fn bind_path(&self) -> Result<String, String> {
        if !self.source.starts_with('/') && !self.source.starts_with('.') {
            return Err(format!("invalid mount path: '{}' mount path must be absolute", self.source));
        }
        volume::absolute(&self.source)
    }
}

fn split(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// The fields of one CSV record (RFC 4180): a field in double quotes may hold commas, `""` in it is a quote.
fn record(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut letters = text.chars().peekable();
    let mut quoted = false;
    let mut at_start = true;
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().ok_or("empty record")?;
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => {
                quoted = false;
                if letters.peek().is_some_and(|next| *next != ',') {
                    return Err(format!("extraneous or missing \" in quoted-field: {text}"));
                }
            }
            '"' if at_start => quoted = true,
            '"' => return Err(format!("bare \" in non-quoted-field: {text}")),
            ',' if !quoted => {
                fields.push(String::new());
                at_start = true;
                continue;
            }
            letter => field.push(letter),
        }
        at_start = false;
    }
    if quoted {
        return Err(format!("extraneous or missing \" in quoted-field: {text}"));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_types() {
        let bind = parse("type=bind,source=/x,dst=/y,ro,bind-propagation=shared").unwrap();
        assert!(bind.read_only);
        assert!(
            matches!(bind.source, MountSource::Bind { path, create: false, propagation, .. } if path == "/x" && propagation == "shared")
        );
        let volume = parse("source=v1,target=/y,volume-nocopy,volume-label=a=b,readonly=false").unwrap();
        assert!(!volume.read_only);
        assert!(
            matches!(volume.source, MountSource::Volume { name: Some(_), copy: false, labels, .. } if labels["a"] == "b")
        );
        let tmpfs = parse("type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        assert_eq!(
            tmpfs.source,
            MountSource::Tmpfs { size_bytes: Some(1 << 20), mode: Some(0o1770), options: Vec::new() }
        );
    }

    #[test]
    fn quoting() {
        assert!(
            matches!(parse("type=bind,\"source=/a,b\",dst=/y").unwrap().source, MountSource::Bind { path, .. } if path == "/a,b")
        );
        assert_eq!(record("\"a\"\"b\",c").unwrap(), ["a\"b", "c"]);
        for text in ["\"a", "a\"b", "\"a\"b"] {
            assert!(record(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_use_dockers_words() {
        let problem = |text| parse(text).unwrap_err();
        assert_eq!(problem("type=foo"), "target is required");
        assert_eq!(problem("foo"), "invalid field 'foo' must be a key=value pair");
        assert_eq!(problem("type=bind,foo=x,dst=/x"), "unexpected key 'foo' in 'foo=x'");
        assert_eq!(
            problem("type=bind,src=/a,dst=/x,volume-nocopy"),
            "cannot mix 'volume-*' options with mount type 'bind'"
        );
        for text in [
            "type=foo,dst=/x",
            "type=bind,dst=/x",
            "type=tmpfs,src=a,dst=/x",
            "dst=x",
            "dst=/",
            "type=tmpfs,dst=/x,tmpfs-mode=9",
            "src=a/b,dst=/x",
            "dst=/x,ro=maybe",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\PC\",=]{0,40}") {
            let _ = parse(&text);
        }
    }
}
