//! User names and passwords for registries, as `docker login` and `podman login` leave them in
//! docker's `config.json`. `client` asks once per pull. Credential helpers are recognised, so that
//! an error can name them, but not run yet; identity tokens are not read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::Error;

/// What is known for one registry. Has no `Debug`: a password must not reach a log.
pub enum Credentials {
    None,
    /// The value of an `Authorization: Basic` header after the scheme: base64 of `user:password`.
    Basic(String),
    /// Kept by the program `docker-credential-NAME`.
    Helper(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    auths: HashMap<String, Auth>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; `None` without a home.
pub fn default_file() -> Option<PathBuf> {
    match std::env::var_os("DOCKER_CONFIG").filter(|value| !value.is_empty()) {
        Some(directory) => Some(PathBuf::from(directory).join("config.json")),
        None => std::env::home_dir().map(|home| home.join(".docker/config.json")),
    }
}

/// The credentials for `registry` (its name in references) in `file`. A file that does not exist
/// holds none.
pub fn lookup(file: &Path, registry: &str) -> Result<Credentials, Error> {
    let bad = |cause: String| Error::Credentials { path: file.to_owned(), cause };
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Credentials::None),
        Err(error) => return Err(bad(error.to_string())),
    };
    parse(&text, registry).map_err(bad)
}

fn parse(text: &[u8], registry: &str) -> Result<Credentials, String> {
    let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let wanted = normalised(registry);
    if let Some((_, helper)) = file.helpers.iter().find(|(name, _)| normalised(name) == wanted) {
        return Ok(Credentials::Helper(helper.clone()));
    }
    // With a helper for all, `auths` has empty entries that only say "logged in".
    let entry = file.auths.iter().find(|(name, auth)| normalised(name) == wanted && !auth.is_empty());
    match (entry, file.store) {
        (Some((name, auth)), _) => auth
            .basic()
            .map(Credentials::Basic)
            .ok_or_else(|| format!("the auth entry of {name} is not base64 of user:password")),
        (None, Some(helper)) => Ok(Credentials::Helper(helper)),
        (None, None) => Ok(Credentials::None),
    }
}

impl Auth {
    fn is_empty(&self) -> bool {
        self.auth.is_empty() && self.username.is_empty()
    }

    fn basic(&self) -> Option<String> {
        if self.auth.is_empty() {
            let pair = format!("{}:{}", self.username, self.password);
            return Some(BASE64_STANDARD.encode(pair));
        }
        let pair = BASE64_STANDARD.decode(&self.auth).ok()?;
        // Old docker versions ended the password with NUL.
        let pair = pair.strip_suffix(b"\0").unwrap_or(&pair);
        pair.contains(&b':').then(|| BASE64_STANDARD.encode(pair))
    }
}

/// Registry names as keys of the file: with or without scheme and path, Docker Hub under the URL
/// of its first API.
fn normalised(name: &str) -> String {
    let host = name.split_once("://").map_or(name, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host).to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, registry: &str) -> String {
        match parse(text.as_bytes(), registry) {
            Ok(Credentials::None) => "none".to_owned(),
            Ok(Credentials::Basic(pair)) => String::from_utf8(BASE64_STANDARD.decode(pair).unwrap()).unwrap(),
            Ok(Credentials::Helper(name)) => format!("helper {name}"),
            Err(error) => format!("error {error}"),
        }
    }

    #[test]
    fn entries_are_found_in_all_spellings_of_the_registry() {
        let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="},
            "reg.lan:5000":{"auth":"dTpwOnE="},"http://other/v2/":{"username":"a","password":"b"}}}"#;
        assert_eq!(check(text, "docker.io"), "hub:secret");
        assert_eq!(check(text, "reg.lan:5000"), "u:p:q");
        assert_eq!(check(text, "other"), "a:b");
        assert_eq!(check(text, "reg.lan"), "none");
    }

    #[test]
    fn helpers_are_named() {
        let text = r#"{"auths":{"x":{}},"credsStore":"pass","credHelpers":{"y":"gcloud"}}"#;
        assert_eq!(check(text, "x"), "helper pass");
        assert_eq!(check(text, "y"), "helper gcloud");
    }

    #[test]
    fn an_entry_wins_over_the_general_helper() {
        let text = r#"{"auths":{"x":{"auth":"dTpw"}},"credsStore":"pass"}"#;
        assert_eq!(check(text, "x"), "u:p");
    }

    #[test]
    fn broken_files_are_reported() {
        assert!(check("{", "x").starts_with("error "));
        assert!(check(r#"{"auths":{"x":{"auth":"%%"}}}"#, "x").starts_with("error "));
        assert!(check(r#"{"auths":{"x":{"auth":"dXNlcg=="}}}"#, "x").starts_with("error "));
        assert_eq!(check("{}", "x"), "none");
    }
}
