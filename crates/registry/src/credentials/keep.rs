//! Writing credentials: `login` and `logout`. A file is replaced whole, readable by its owner alone,
//! with everything else that it says untouched; where it names a helper, that keeps the password.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::file::{self, helper_key, normalised_key};
use super::{User, docker_credential, normalised_registry};
use crate::Error;

/// Where a user is kept now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub file: PathBuf,
    /// The program that has the password.
    pub helper: Option<String>,
}

/// Keeps `user` for `registry` (`host[:port]`, or with a path for one part of it).
pub fn keep(path: &Path, registry: &str, user: &User) -> Result<Kept, Error> {
    let host = registry.split('/').next().unwrap_or(registry);
    let helper = file::read(path)?.and_then(|file| file.keeper(host).map(str::to_owned));
    let key = if registry.contains('/') { registry.to_owned() } else { helper_key(registry) };
    let entry = match &helper {
        Some(name) => {
            docker_credential::store(name, &key, user)?;
            json!({})
        }
        None => json!({ "auth": user.basic() }),
    };
    change(path, |document| {
        let auths = document.entry("auths").or_insert_with(|| json!({}));
        let Some(auths) = auths.as_object_mut() else { return Err("`auths` is no object".to_owned()) };
        // One registry under two spellings would leave the old password in use.
        auths.retain(|other, _| *other == key || normalised_key(other) != normalised_key(&key));
        auths.insert(key.clone(), entry);
        Ok(())
    })?;
    Ok(Kept { file: path.to_owned(), helper: helper.as_deref().map(docker_credential::program) })
}

/// Forgets the user of `registry`; `false` if none is known.
pub fn erase(path: &Path, registry: &str) -> Result<bool, Error> {
    let Some(known) = file::read(path)? else { return Ok(false) };
    let host = registry.split('/').next().unwrap_or(registry);
    let mut found = false;
    if let Some(name) = known.keeper(host) {
        found = docker_credential::erase(name, &helper_key(registry))?;
    }
    let wanted = normalised_key(registry);
    if known.keys().any(|key| normalised_key(key) == wanted) {
        change(path, |document| {
            if let Some(auths) = document.get_mut("auths").and_then(Value::as_object_mut) {
                let before = auths.len();
                auths.retain(|key, _| normalised_key(key) != wanted);
                found |= auths.len() != before;
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// Forgets all users of a file; the registries that had one.
pub fn erase_all(path: &Path) -> Result<Vec<String>, Error> {
    let Some(known) = file::read(path)? else { return Ok(Vec::new()) };
    let mut registries: Vec<String> = known.keys().map(|key| normalised_key(key)).collect();
    registries.sort();
    registries.dedup();
    let mut gone = Vec::new();
    for registry in registries {
        if erase(path, &registry)? {
            gone.push(normalised_registry(&registry));
        }
    }
    Ok(gone)
}

/// Reads, changes and replaces a file, under a lock that other changes by us wait for.
fn change(path: &Path, change: impl FnOnce(&mut Map<String, Value>) -> Result<(), String>) -> Result<(), Error> {
    let bad = |cause: String| Error::Credentials { path: path.to_owned(), cause };
    let io = |error: std::io::Error| bad(error.to_string());
    // A link stays one: what it leads to is replaced.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.exists() {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(directory).map_err(io)?;
    }
    let lock = File::open(directory).map_err(io)?;
    lock.lock().map_err(io)?;
    let mut document = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(io(error)),
        Ok(text) if text.trim_ascii().is_empty() => Map::new(),
        Ok(text) => serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?,
    };
    change(&mut document).map_err(bad)?;
    let mut text = serde_json::to_vec_pretty(&document).map_err(|error| bad(error.to_string()))?;
    text.push(b'\n');
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    renamed.map_err(io)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::credentials::{Secret, lookup};

    fn known(file: &Path, registry: &str) -> bool {
        matches!(lookup(&[file.to_owned()], registry, "").unwrap().secret, Secret::Basic(_))
    }

    #[test]
    fn users_come_and_go_and_the_rest_stays() {
        let directory = std::env::temp_dir().join(format!("brig-keep-{}", std::process::id()));
        let file = directory.join("docker/config.json");
        let user = User::parse("u:p:q").unwrap();
        assert!(!erase(&file, "reg.lan").unwrap());
        keep(&file, "reg.lan", &user).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text =
            r#"{"auths":{"https://index.docker.io/v1/":{},"https://reg.lan/v2/":{"auth":"eDp5"}},"psFormat":"x"}"#;
        std::fs::write(&file, text).unwrap();
        for registry in ["reg.lan", "docker.io", "other.lan/team"] {
            keep(&file, registry, &user).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("psFormat") && !text.contains("https://reg.lan"), "{text}");
        assert!(known(&file, "docker.io") && known(&file, "reg.lan") && !known(&file, "other.lan"));
        assert!(erase(&file, "reg.lan").unwrap() && !known(&file, "reg.lan"));
        assert_eq!(erase_all(&file).unwrap(), ["docker.io", "other.lan/team"]);
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
