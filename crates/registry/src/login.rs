//! `login` and `logout`: a user is kept only after the registry has accepted it (`GET /v2/`,
//! distribution-spec "API version check", with the token server's word where there is one).

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::Error;
use crate::client::{Ask, Client};
use crate::credentials::{self, Secret, User, normalised_registry};
use crate::session::Session;

/// Where a user is kept now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// `docker.io` for Docker Hub.
    pub registry: String,
    pub file: PathBuf,
    /// The program that has the password; `None` if it stands in the file, readable by its owner.
    pub helper: Option<String>,
}

/// Checks `user` with the registry and keeps it. `registry`: `host[:port]`, empty for Docker Hub, with
/// a path for one part of a registry (podman's form).
///
/// # Errors
/// `Login` if the registry does not accept the user, and those of any request.
pub fn login(session: &Session, registry: &str, user: &User) -> Result<LoggedIn, Error> {
    if user.name.contains(':') {
        let cause = "a user name has no colon".to_owned();
        return Err(Error::Login { registry: registry.to_owned(), cause });
    }
    let registry = key(registry);
    check(&session.with_user(user), &registry)?;
    let kept = credentials::keep(session.credentials_file()?, &registry, user)?;
    Ok(LoggedIn { registry, file: kept.file, helper: kept.helper })
}

/// Checks with the registry whether what is stored for it is still accepted. The stored form stays as it is.
///
/// # Errors
/// As `login`; `Login` also if nothing is stored.
pub fn login_again(session: &Session, registry: &str) -> Result<(), Error> {
    let registry = key(registry);
    let (host, path) = registry.split_once('/').unwrap_or((&registry, ""));
    let known = credentials::lookup(session.credentials_files(), host, path)?;
    if matches!(known.secret, Secret::None) {
        return Err(Error::Login { registry, cause: known.hint() });
    }
    check(&session.with_credentials(known), &registry)
}

/// Asks the registry as whom `session` is.
fn check(session: &Session, registry: &str) -> Result<(), Error> {
    let host = registry.split('/').next().unwrap_or(registry);
    let client = Client::of_registry(session, host)?;
    match client.send(&Ask::get("login", "", "application/json")) {
        Ok(answer) => {
            crate::transport::finish(answer.response);
            Ok(())
        }
        Err(Error::Unauthorized { cause, .. }) => Err(Error::Login { registry: registry.to_owned(), cause }),
        Err(error) => Err(error),
    }
}

/// Forgets the user of a registry; `false` if none was known. Asks no registry.
pub fn logout(session: &Session, registry: &str) -> Result<bool, Error> {
    credentials::erase(session.credentials_file()?, &key(registry))
}

/// Forgets all users of the file; gives the registries that had one.
pub fn logout_all(session: &Session) -> Result<Vec<String>, Error> {
    credentials::erase_all(session.credentials_file()?)
}

/// The name of the user that is stored for a registry; docker's `<token>` for a token, which has none.
pub fn stored_user(session: &Session, registry: &str) -> Result<Option<String>, Error> {
    let key = key(registry);
    let (host, path) = key.split_once('/').unwrap_or((&key, ""));
    let known = credentials::lookup(session.credentials_files(), host, path)?;
    let pair = match known.secret {
        Secret::None => return Ok(None),
        Secret::Basic(pair) => pair,
        Secret::Identity(_) | Secret::Bearer(_) => return Ok(Some("<token>".to_owned())),
    };
    let pair = BASE64_STANDARD.decode(pair).unwrap_or_default();
    Ok(String::from_utf8_lossy(&pair).split_once(':').map(|(name, _)| name.to_owned()))
}

/// A registry as a key: what users type may be a URL.
fn key(registry: &str) -> String {
    let (bare, is_url) = registry.split_once("://").map_or((registry, false), |(_, rest)| (rest, true));
    let bare = bare.trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = normalised_registry(host);
    if is_url || path.is_empty() || matches!(path, "v1" | "v2") { host } else { format!("{host}/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_as_users_type_them() {
        for (typed, expected) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("Reg.lan:5000/", "reg.lan:5000"),
            ("http://reg.lan/v2/x", "reg.lan"),
            ("quay.io/team", "quay.io/team"),
        ] {
            assert_eq!(key(typed), expected, "{typed}");
        }
    }
}
