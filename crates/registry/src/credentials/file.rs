//! The file of credentials: docker's `config.json` and podman's `auth.json` (containers-auth.json(5)).
//! Keys are registries, with or without scheme, or a registry with a part of the repository's path.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::{Secret, normalised_registry};
use crate::Error;

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct File {
    auths: HashMap<String, Auth>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Auth {
    auth: String,
    username: String,
    password: String,
    #[serde(rename = "identitytoken")]
    identity_token: String,
    #[serde(rename = "registrytoken")]
    registry_token: String,
}

/// What a file has for a repository.
pub enum Entry {
    None,
    /// The key and what stands there.
    Auth(String, Auth),
    /// The helper's short name and the key to ask it for.
    Helper(String, String),
}

/// Reads a file; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<File>, Error> {
    let bad = |cause: String| Error::Credentials { path: path.to_owned(), cause };
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(error.to_string())),
        // Some programs leave an empty file.
        Ok(text) if text.iter().all(u8::is_ascii_whitespace) => Ok(None),
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.to_string())),
    }
}

impl File {
    /// A helper for the registry goes first; a helper for all last, since with it `auths` has empty
    /// entries that only say "logged in".
    pub fn find(self, registry: &str, repository: &str) -> Entry {
        let registry = normalised_registry(registry);
        if let Some(name) = self.helper(&registry) {
            return Entry::Helper(name.to_owned(), helper_key(&registry));
        }
        let mut wanted = if repository.is_empty() { registry.clone() } else { format!("{registry}/{repository}") };
        loop {
            let fits = |(key, auth): &(&String, &Auth)| !auth.is_empty() && normalised_key(key) == wanted;
            if let Some((key, auth)) = self.auths.iter().find(fits) {
                return Entry::Auth(key.clone(), auth.clone());
            }
            match wanted.rsplit_once('/') {
                Some((shorter, _)) => wanted = shorter.to_owned(),
                None => break,
            }
        }
        self.store.map_or(Entry::None, |name| Entry::Helper(name, helper_key(&registry)))
    }

    /// The helper that the file names for this registry alone.
    pub fn helper(&self, registry: &str) -> Option<&str> {
        let registry = normalised_registry(registry);
        self.helpers.iter().find(|(key, _)| normalised_key(key) == registry).map(|(_, name)| name.as_str())
    }

    /// The helper for a registry: its own, or the one for all.
    pub fn keeper(&self, registry: &str) -> Option<&str> {
        self.helper(registry).or(self.store.as_deref())
    }

    /// The registries that have an entry.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.auths.keys().chain(self.helpers.keys())
    }
}

/// What a helper is asked for: Docker Hub under the URL of its first API.
pub fn helper_key(registry: &str) -> String {
    if normalised_registry(registry) == "docker.io" {
        "https://index.docker.io/v1/".to_owned()
    } else {
        registry.to_owned()
    }
}

/// A key of the file as `host` or `host/path`. The path of a URL is that of an API.
pub fn normalised_key(key: &str) -> String {
    let (rest, is_url) = key.split_once("://").map_or((key, false), |(_, rest)| (rest, true));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_matches('/');
    let host = normalised_registry(host);
    if is_url || matches!(path, "" | "v1" | "v2") { host } else { format!("{host}/{path}") }
}

impl Auth {
    fn is_empty(&self) -> bool {
        [&self.auth, &self.username, &self.identity_token, &self.registry_token].iter().all(|text| text.is_empty())
    }

    /// `None` if `auth` is not what it should be.
    pub fn secret(&self) -> Option<Secret> {
        if !self.registry_token.is_empty() {
            return Some(Secret::Bearer(self.registry_token.clone()));
        }
        if !self.identity_token.is_empty() {
            return Some(Secret::Identity(self.identity_token.clone()));
        }
        if self.auth.is_empty() {
            let pair = format!("{}:{}", self.username, self.password);
            return Some(Secret::Basic(BASE64_STANDARD.encode(pair)));
        }
        let pair = BASE64_STANDARD.decode(&self.auth).ok()?;
        // Old docker versions ended the password with NUL.
        let pair = pair.strip_suffix(b"\0").unwrap_or(&pair);
        pair.contains(&b':').then(|| Secret::Basic(BASE64_STANDARD.encode(pair)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str) -> String {
        let (registry, repository) = name.split_once('/').unwrap_or((name, ""));
        let file: File = match serde_json::from_str(text) {
            Ok(file) => file,
            Err(error) => return format!("error {error}"),
        };
        match file.find(registry, repository) {
            Entry::None => "none".to_owned(),
            Entry::Helper(name, key) => format!("helper {name} {key}"),
            Entry::Auth(_, auth) => match auth.secret() {
                None => "error".to_owned(),
                Some(Secret::None) => "nothing".to_owned(),
                Some(Secret::Basic(pair)) => String::from_utf8(BASE64_STANDARD.decode(pair).unwrap()).unwrap(),
                Some(Secret::Identity(token)) => format!("identity {token}"),
                Some(Secret::Bearer(token)) => format!("bearer {token}"),
            },
        }
    }

    #[test]
    fn entries_are_found_in_all_spellings_of_the_registry() {
        let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="},
            "reg.lan:5000":{"auth":"dTpwOnE="},"http://other/v2/":{"username":"a","password":"b"}}}"#;
        for name in ["docker.io/library/x", "index.docker.io", "registry-1.docker.io/x", ""] {
            assert_eq!(check(text, name), "hub:secret", "{name}");
        }
        assert_eq!(check(text, "reg.lan:5000"), "u:p:q");
        assert_eq!(check(text, "other"), "a:b");
        assert_eq!(check(text, "reg.lan"), "none");
    }

    #[test]
    fn the_longest_path_wins() {
        let text = r#"{"auths":{"reg":{"auth":"YTpi"},"reg/team":{"auth":"Yzpk"},"reg/team/app":{"auth":"ZTpm"}}}"#;
        for (name, expected) in [
            ("reg", "a:b"),
            ("reg/other", "a:b"),
            ("reg/team/x", "c:d"),
            ("reg/team/app", "e:f"),
            ("reg/team/apple", "c:d"),
        ] {
            assert_eq!(check(text, name), expected, "{name}");
        }
    }

    #[test]
    fn helpers_are_named() {
        let text = r#"{"auths":{"x":{}},"credsStore":"pass","credHelpers":{"y":"gcloud"}}"#;
        assert_eq!(check(text, "x"), "helper pass x");
        assert_eq!(check(text, "y/z"), "helper gcloud y");
        assert_eq!(check(text, "docker.io"), "helper pass https://index.docker.io/v1/");
    }

    #[test]
    fn an_entry_wins_over_the_general_helper() {
        assert_eq!(check(r#"{"auths":{"x":{"auth":"dTpw"}},"credsStore":"pass"}"#, "x"), "u:p");
    }

    #[test]
    fn tokens() {
        let text = r#"{"auths":{"x":{"auth":"dTo=","identitytoken":"refresh"},"y":{"registrytoken":"now"}}}"#;
        assert_eq!(check(text, "x"), "identity refresh");
        assert_eq!(check(text, "y"), "bearer now");
    }

    #[test]
    fn broken_files_are_reported() {
        for text in ["{", r#"{"auths":{"x":{"auth":"%%"}}}"#, r#"{"auths":{"x":{"auth":"dXNlcg=="}}}"#] {
            assert!(check(text, "x").starts_with("error"), "{text}");
        }
        assert_eq!(check("{}", "x"), "none");
    }
}
