//! Our own file, `registries.toml`, documented in docs/registries.md. Unknown keys are errors: a
//! misspelt `insecure` must not go unnoticed.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Hosts, Route, Rule, Serves, Source, Target, Tls, read_toml};
use crate::Error;
use crate::host;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(default)]
    search: Vec<String>,
    #[serde(default)]
    aliases: std::collections::HashMap<String, String>,
    #[serde(default)]
    registry: Vec<Registry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Registry {
    name: String,
    location: Option<String>,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
    plain_http: Option<bool>,
    insecure: Option<bool>,
    #[serde(default)]
    ca: Vec<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Mirror {
    location: String,
    #[serde(default)]
    digests_only: bool,
    plain_http: Option<bool>,
    insecure: Option<bool>,
    #[serde(default)]
    ca: Vec<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

/// Adds what a file says; one that does not exist says nothing.
pub fn read(path: &Path, hosts: &mut Hosts) -> Result<(), Error> {
    let Some(file) = read_toml::<File>(path)? else { return Ok(()) };
    let bad = |cause: String| Error::Configuration { path: path.to_owned(), cause };
    if hosts.search.is_empty() {
        hosts.search = file.search;
    }
    for (name, target) in file.aliases {
        hosts.aliases.entry(name).or_insert(target);
    }
    for registry in file.registry {
        add(registry, path, hosts).map_err(bad)?;
    }
    Ok(())
}

fn add(registry: Registry, path: &Path, hosts: &mut Hosts) -> Result<(), String> {
    let mut route = Route { blocked: registry.blocked, ..Route::default() };
    for mirror in registry.mirror {
        let serves = Serves { tags: !mirror.digests_only, ..Serves::READS };
        let client = client(mirror.client_certificate, mirror.client_key)?;
        let tls = Tls { plain_http: mirror.plain_http, insecure: mirror.insecure, ca: mirror.ca, client };
        hosts.add_tls(authority(&mirror.location)?, tls);
        route.mirrors.push(Target::Location { location: mirror.location, serves });
    }
    let tls = Tls {
        plain_http: registry.plain_http,
        insecure: registry.insecure,
        ca: registry.ca,
        client: client(registry.client_certificate, registry.client_key)?,
    };
    let location = registry.location.as_deref().unwrap_or(&registry.name);
    if !location.starts_with('*') {
        hosts.add_tls(authority(location)?, tls);
    } else if tls != Tls::default() {
        return Err(format!("`{}` stands for many hosts: TLS is set for each host by its own name", registry.name));
    }
    route.target = registry.location.map(|location| Target::Location { location, serves: Serves::ALL });
    hosts.rules.push(Rule { source: Source::Own, prefix: registry.name, file: path.to_owned(), route: Ok(route) });
    Ok(())
}

fn client(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<(PathBuf, PathBuf)>, String> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => Err("client-certificate and client-key belong together".to_owned()),
    }
}

/// The host and port that a name or location starts with.
fn authority(location: &str) -> Result<&str, String> {
    let authority = location.split('/').next().unwrap_or(location);
    if location.contains("://") || !host::is_authority(authority) {
        return Err(format!("`{location}` does not start with a host: write host[:port][/path], without https://"));
    }
    Ok(authority)
}
