//! Where a registry's name leads and how far each machine is trusted, from the files of
//! configuration: ours (`own`), containerd's (`containerd`), podman's (`podman`) and the directories of
//! certificates that docker and podman share (`certificates`). `Session` reads them once; `client` asks
//! for the endpoints of a repository, `transport` for the security of a machine.
//!
//! ```text
//! name ─► first rule that fits: ours, containerd's, podman's; in each the longest prefix
//!      ─► endpoints to try in order: mirrors, then the registry (or what stands for it)
//! ```

mod certificates;
mod containerd;
mod own;
mod podman;
mod security;
mod short_names;
mod sources;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use spec::Reference;

use crate::Error;
use crate::host;

pub use security::{Security, Tls};
pub use sources::Sources;

/// A machine that has a repository, and where on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port that serve the API.
    pub authority: String,
    /// Path of the API: `/v2` unless configured otherwise.
    pub root: String,
    /// As in URLs: `library/busybox`.
    pub repository: String,
    /// The registry that a mirror of several is asked about (containerd's `ns`).
    pub namespace: Option<String>,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
    /// What it may be asked for.
    pub serves: Serves,
}

/// What an endpoint may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// What a tag means.
    pub tags: bool,
    /// Manifests and blobs by digest.
    pub digests: bool,
    /// Uploads.
    pub pushes: bool,
}

impl Serves {
    pub const ALL: Serves = Serves { tags: true, digests: true, pushes: true };
    /// A mirror: read, never written.
    pub const READS: Serves = Serves { tags: true, digests: true, pushes: false };
}

/// All configuration of hosts.
#[derive(Debug, Default)]
pub struct Hosts {
    rules: Vec<Rule>,
    tls: HashMap<String, Tls>,
    search: Vec<String>,
    aliases: HashMap<String, String>,
}

/// What a file says about the names that start with a prefix.
#[derive(Debug)]
struct Rule {
    source: Source,
    /// `host`, `host/namespace`, `*.domain`; empty for every name.
    prefix: String,
    file: PathBuf,
    /// `Err`: the file is broken, which matters only to those whom it concerns.
    route: Result<Route, String>,
}

/// Whose files go before whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Own,
    Containerd,
    Podman,
}

#[derive(Debug, Clone, Default)]
struct Route {
    blocked: bool,
    mirrors: Vec<Target>,
    /// What stands for the registry itself; `None` for the registry.
    target: Option<Target>,
}

/// Where a route leads.
#[derive(Debug, Clone)]
enum Target {
    /// `host[:port][/path]`, put in place of the rule's prefix (podman's way).
    Location { location: String, serves: Serves },
    /// An API at a host (containerd's way); the repository keeps its name.
    Api { authority: String, root: String, serves: Serves, headers: Vec<(String, String)> },
}

impl Hosts {
    /// Reads all files.
    ///
    /// # Errors
    /// `Configuration` for one of ours or of podman's that cannot be understood.
    pub fn load(sources: &Sources) -> Result<Hosts, Error> {
        let mut hosts = Hosts::default();
        for file in &sources.own {
            own::read(file, &mut hosts)?;
        }
        for directory in &sources.containerd {
            containerd::read(directory, &mut hosts);
        }
        for directory in sources.containerd.iter().chain(&sources.certificates) {
            certificates::read(directory, &mut hosts);
        }
        podman::read(&sources.podman, &mut hosts)?;
        Ok(hosts)
    }

    /// Where to ask for `reference`, in order; the last one is the registry itself or its stand-in.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, Error> {
        // In the one spelling that is compared: no other leads past a rule.
        let name = format!("{}/{}", host::canonical_registry(reference.registry()), reference.repository());
        let Some((rule, matched)) = self.rule(&name) else {
            return Ok(vec![the_registry_itself(reference)]);
        };
        let bad = |cause: &str| Error::Configuration { path: rule.file.clone(), cause: cause.to_owned() };
        let route = rule.route.as_ref().map_err(|cause| bad(cause))?;
        if route.blocked {
            return Err(Error::Blocked { name: reference.familiar_name(), path: rule.file.clone() });
        }
        let rest = &name[matched..];
        let targets = route.mirrors.iter().chain(&route.target);
        let mut endpoints: Vec<Endpoint> = targets
            .map(|target| target.endpoint(reference, rest).ok_or_else(|| bad(&target.complaint())))
            .collect::<Result<_, _>>()?;
        if route.target.is_none() {
            endpoints.push(the_registry_itself(reference));
        }
        Ok(endpoints)
    }

    /// The rule for a name and how much of the name it matches, in bytes: the first source that has
    /// one, there the longest prefix. What is said of every name comes last.
    fn rule(&self, name: &str) -> Option<(&Rule, usize)> {
        let fitting = self.rules.iter().filter_map(|rule| Some((rule, matched(&rule.prefix, name)?)));
        fitting.min_by_key(|(rule, matched)| {
            let length = std::cmp::Reverse((*matched, rule.prefix.len()));
            (rule.prefix.is_empty(), rule.source, length)
        })
    }

    fn add_tls(&mut self, authority: &str, tls: Tls) {
        let key = host::api_authority(authority).to_ascii_lowercase();
        let known = self.tls.remove(&key).unwrap_or_default();
        self.tls.insert(key, known.or(tls));
    }
}

fn the_registry_itself(reference: &Reference) -> Endpoint {
    Endpoint {
        authority: host::api_authority(reference.registry()).to_owned(),
        root: "/v2".to_owned(),
        repository: reference.repository().to_owned(),
        namespace: None,
        headers: Vec::new(),
        serves: Serves::ALL,
    }
}

impl Target {
    fn endpoint(&self, reference: &Reference, rest: &str) -> Option<Endpoint> {
        match self {
            Target::Location { location, serves } => {
                let moved = Reference::parse_untagged(&format!("{location}{rest}")).ok()?;
                let authority = host::api_authority(moved.registry());
                host::is_authority(authority).then(|| Endpoint { serves: *serves, ..the_registry_itself(&moved) })
            }
            Target::Api { authority, root, serves, headers } => {
                let registry = host::api_authority(reference.registry());
                Some(Endpoint {
                    authority: authority.clone(),
                    root: root.clone(),
                    namespace: (authority != registry).then(|| reference.registry().to_owned()),
                    headers: headers.clone(),
                    serves: *serves,
                    ..the_registry_itself(reference)
                })
            }
        }
    }

    fn complaint(&self) -> String {
        match self {
            Target::Location { location, .. } => format!("`{location}` makes no name of a repository"),
            Target::Api { authority, .. } => format!("`{authority}` is no host"),
        }
    }
}

/// How many bytes of `name` (`host/path`, the host as [`host::canonical_registry`] spells it) the prefix covers; whole
/// components only.
fn matched(prefix: &str, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = name.split('/').next().unwrap_or(name);
        let bare = host.split(':').next().unwrap_or(host);
        return (domain.starts_with('.') && bare.ends_with(&domain.to_ascii_lowercase())).then_some(host.len());
    }
    let (registry, path) = prefix.split_at(prefix.find('/').unwrap_or(prefix.len()));
    let registry = host::canonical_registry(registry);
    let rest = name.strip_prefix(&*registry)?.strip_prefix(path)?;
    (prefix.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(name.len() - rest.len())
}

/// A TOML file; `None` if there is none.
fn read_toml<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, Error> {
    let bad = |cause: String| Error::Configuration { path: file.to_owned(), cause };
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(|error| bad(error.to_string()))?,
    };
    basic_toml::from_str(&text).map(Some).map_err(|error| bad(error.to_string()))
}

/// The entries of a directory in the order of their names; none if it cannot be read.
fn sorted_entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests;
