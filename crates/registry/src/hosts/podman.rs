//! podman's `registries.conf` and its drop-ins (containers-registries.conf(5), version 2): a later file
//! replaces what an earlier one says of the same prefix, the search list as a whole and single
//! aliases. What ours or containerd's files say of a registry goes before.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Hosts, Route, Rule, Serves, Source, Target, Tls, read_toml};
use crate::Error;

#[derive(Deserialize)]
struct File {
    #[serde(rename = "unqualified-search-registries")]
    search: Option<Vec<String>>,
    #[serde(default)]
    registry: Vec<Registry>,
    #[serde(default)]
    aliases: HashMap<String, String>,
    /// The table of version 1.
    registries: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    insecure: Option<bool>,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    insecure: Option<bool>,
    pull_from_mirror: Option<String>,
}

/// Reads the files in order, later ones going before earlier ones.
pub fn read(files: &[PathBuf], hosts: &mut Hosts) -> Result<(), Error> {
    let mut registries: Vec<(PathBuf, Registry)> = Vec::new();
    let (mut search, mut aliases) = (Vec::new(), HashMap::new());
    for path in files {
        let Some(file) = read_toml::<File>(path)? else { continue };
        if file.registries.is_some() {
            let cause = "it has the old format, version 1: write [[registry]] tables".to_owned();
            return Err(Error::Configuration { path: path.clone(), cause });
        }
        search = file.search.unwrap_or(search);
        aliases.extend(file.aliases);
        for mut registry in file.registry {
            if registry.prefix.is_empty() {
                registry.prefix.clone_from(&registry.location);
            }
            registries.retain(|(_, other)| other.prefix != registry.prefix);
            registries.push((path.clone(), registry));
        }
    }
    if hosts.search.is_empty() {
        hosts.search = search;
    }
    for (name, target) in aliases {
        hosts.aliases.entry(name).or_insert(target);
    }
    for (file, registry) in registries {
        add(file, registry, hosts);
    }
    Ok(())
}

fn add(file: PathBuf, registry: Registry, hosts: &mut Hosts) {
    let mut route = Route { blocked: registry.blocked, ..Route::default() };
    for mirror in registry.mirror {
        let tags = match mirror.pull_from_mirror.as_deref() {
            Some("digest-only") => false,
            _ => !registry.mirror_by_digest_only,
        };
        let digests = mirror.pull_from_mirror.as_deref() != Some("tag-only");
        insecure(&mirror.location, mirror.insecure, hosts);
        let serves = Serves { tags, digests, pushes: false };
        route.mirrors.push(Target::Location { location: mirror.location, serves });
    }
    let moved = !registry.location.is_empty() && registry.location != registry.prefix;
    let location = if registry.location.is_empty() { &registry.prefix } else { &registry.location };
    insecure(location, registry.insecure, hosts);
    route.target = moved.then_some(Target::Location { location: registry.location, serves: Serves::ALL });
    hosts.rules.push(Rule { source: Source::Podman, prefix: registry.prefix, file, route: Ok(route) });
}

fn insecure(location: &str, insecure: Option<bool>, hosts: &mut Hosts) {
    let authority = location.split('/').next().unwrap_or(location);
    if insecure.is_some() && !authority.starts_with('*') {
        hosts.add_tls(authority, Tls { insecure, ..Tls::default() });
    }
}
