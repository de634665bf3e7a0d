//! Who we are for a registry: users, passwords and tokens in docker's `config.json` and podman's
//! `auth.json`, whose forms are one (`file`), or kept by helper programs (`docker_credential`). `Session` looks up
//! when a registry has asked for a login, `login` stores and removes (`keep`).

mod docker_credential;
mod file;
mod keep;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::Error;
use file::Entry;

pub use keep::{erase, erase_all, keep};

/// A user for a registry. Has no `Debug`: a password must not reach a log.
#[derive(Clone)]
pub struct User {
    pub name: String,
    /// Password or personal access token.
    pub secret: String,
}

impl User {
    /// `name:secret`; `None` without a colon.
    pub fn parse(text: &str) -> Option<User> {
        let (name, secret) = text.split_once(':')?;
        Some(User { name: name.to_owned(), secret: secret.to_owned() })
    }

    /// What follows `Basic` in an `Authorization` header.
    pub fn basic(&self) -> String {
        BASE64_STANDARD.encode(format!("{}:{}", self.name, self.secret))
    }
}

/// What is known for one registry or a part of it. Has no `Debug`, as `User`.
#[derive(Clone)]
pub struct Credentials {
    pub secret: Secret,
    /// Where they come from or would be, for errors: "the user in /root/.docker/config.json".
    pub place: String,
}

#[derive(Clone)]
pub enum Secret {
    None,
    /// base64 of `user:password`.
    Basic(String),
    /// A refresh token (OAuth 2) to get tokens with.
    Identity(String),
    /// A token that is sent as it is.
    Bearer(String),
}

impl Credentials {
    /// Of a user given on the command line.
    pub fn of(user: &User) -> Credentials {
        Credentials { secret: Secret::Basic(user.basic()), place: "the user that was given".to_owned() }
    }

    /// Which credentials were tried and where others would be looked for.
    pub fn hint(&self) -> String {
        match self.secret {
            Secret::None => format!("no user for it in {}", self.place),
            _ => format!("{} was refused", self.place),
        }
    }
}

/// The files that are read, in order: the one given, or the one in `$REGISTRY_AUTH_FILE`, or docker's
/// and podman's usual ones.
pub fn files(given: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = given.map(Path::to_owned).or_else(|| variable("REGISTRY_AUTH_FILE")) {
        return vec![file];
    }
    // Without the variable podman uses a directory of the user's number.
    let runtime = match variable("XDG_RUNTIME_DIR") {
        Some(directory) => Some(directory.join("containers/auth.json")),
        None => {
            std::fs::metadata("/proc/self").ok().map(|own| format!("/run/containers/{}/auth.json", own.uid()).into())
        }
    };
    let config = variable("XDG_CONFIG_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    let config = config.map(|directory| directory.join("containers/auth.json"));
    [docker_file(), runtime, config].into_iter().flatten().collect()
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; `None` without a home.
fn docker_file() -> Option<PathBuf> {
    match variable("DOCKER_CONFIG") {
        Some(directory) => Some(directory.join("config.json")),
        None => std::env::home_dir().map(|home| home.join(".docker/config.json")),
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The credentials for `repository` on `registry` (host and port); an empty repository means the
/// registry as a whole. The first file that knows something counts.
pub fn lookup(files: &[PathBuf], registry: &str, repository: &str) -> Result<Credentials, Error> {
    for path in files {
        let bad = |cause: String| Error::Credentials { path: path.clone(), cause };
        let Some(file) = file::read(path)? else { continue };
        match file.find(registry, repository) {
            Entry::None => {}
            Entry::Auth(key, auth) => {
                let secret = auth
                    .secret()
                    .ok_or_else(|| bad(format!("the auth entry of {key} is not base64 of user:password")))?;
                return Ok(Credentials { secret, place: format!("the user in {}", path.display()) });
            }
            Entry::Helper(name, key) => {
                if let Some(secret) = docker_credential::get(&name, &key)? {
                    return Ok(Credentials {
                        secret,
                        place: format!("the user of {}", docker_credential::program(&name)),
                    });
                }
            }
        }
    }
    let place =
        files.first().map_or_else(|| "$DOCKER_CONFIG/config.json".to_owned(), |file| file.display().to_string());
    Ok(Credentials { secret: Secret::None, place })
}

/// Registry names as keys: Docker Hub has several.
pub fn normalised_registry(name: &str) -> String {
    let host = name.to_ascii_lowercase();
    match host.as_str() {
        "" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "docker.io".to_owned(),
        _ => host,
    }
}
