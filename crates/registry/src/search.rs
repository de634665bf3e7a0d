//! `search`: Docker Hub's API, the same API of registries that have one, else the registry's list of
//! repositories with the term as a part of the name.

use serde::Deserialize;

use crate::Error;
use crate::answer::printable;
use crate::auth::push_encoded;
use crate::client::{Ask, Client};
use crate::session::Session;
use crate::tags;

/// The host that serves Docker Hub's search.
const HUB: &str = "index.docker.io";
/// What Docker Hub gives when not told otherwise, and at most.
const LIMIT: usize = 25;
const LIMIT_MAX: usize = 100;
/// Largest answer, in bytes.
const BYTES_MAX: u64 = 4 << 20;

/// Which images are wanted.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// How many at most; 0 means 25, and there are never more than 100.
    pub limit: usize,
    pub stars_min: u64,
    /// Only official ones, or only others.
    pub official: Option<bool>,
    /// Only automated builds, or only others.
    pub automated: Option<bool>,
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `docker.io`, `localhost:5000`.
    pub registry: String,
    /// Without the registry.
    pub name: String,
    pub description: String,
    pub stars: u64,
    pub official: bool,
    pub automated: bool,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    name: String,
    description: Option<String>,
    #[serde(default)]
    star_count: u64,
    #[serde(default)]
    is_official: bool,
    #[serde(default)]
    is_automated: bool,
}

/// Searches Docker Hub, or the registry that `term` starts with (`localhost:5000/tool`).
pub fn search(session: &Session, term: &str, options: &SearchOptions) -> Result<Vec<Found>, Error> {
    let (registry, term) = match term.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
        _ => ("docker.io", term),
    };
    let limit = match options.limit {
        0 => LIMIT,
        limit => limit.min(LIMIT_MAX),
    };
    let fits = |found: &Found| {
        found.stars >= options.stars_min
            && options.official.is_none_or(|wanted| wanted == found.official)
            && options.automated.is_none_or(|wanted| wanted == found.automated)
    };
    let found = match by_index(session, registry, term, limit) {
        Err(Error::NotFound { .. } | Error::Protocol { .. }) if registry != "docker.io" => {
            by_catalog(session, registry, term, limit)?
        }
        outcome => outcome?,
    };
    Ok(found.into_iter().filter(fits).take(limit).collect())
}

/// The first version's search API.
fn by_index(session: &Session, registry: &str, term: &str, limit: usize) -> Result<Vec<Found>, Error> {
    let host = if registry == "docker.io" { HUB } else { registry };
    let client = Client::of_api(session, host, "/v1", registry)?;
    let mut path = "search?q=".to_owned();
    push_encoded(&mut path, term);
    path.push_str(&format!("&n={limit}"));
    let what = format!("search for {}", printable(term));
    let (_, bytes) = client.read(&Ask::get(&what, &path, "application/json"), BYTES_MAX)?;
    let results: Results =
        serde_json::from_slice(&bytes).map_err(|error| client.protocol(format!("{what} cannot be read: {error}")))?;
    let entries = results.results.into_iter();
    Ok(entries
        .map(|entry| Found {
            registry: registry.to_owned(),
            name: printable(&entry.name),
            description: printable(&entry.description.unwrap_or_default()),
            stars: entry.star_count,
            official: entry.is_official,
            automated: entry.is_automated,
        })
        .collect())
}

fn by_catalog(session: &Session, registry: &str, term: &str, limit: usize) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    tags::each_repository(session, registry, |name| {
        if name.contains(term) {
            found.push(Found {
                registry: registry.to_owned(),
                name,
                description: String::new(),
                stars: 0,
                official: false,
                automated: false,
            });
        }
        found.len() < limit
    })?;
    Ok(found)
}
