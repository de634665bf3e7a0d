//! containerd's `certs.d/<host>/hosts.toml` (docs/hosts.md of containerd): mirrors of a registry in
//! the order of the file, each with what it may be asked for. A broken file is an error only for the
//! registry that it is about.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use ureq::http::Uri;

use super::{Hosts, Route, Rule, Serves, Source, Target, Tls, sorted_entries};
use crate::host;

/// The directory for every registry that has none of its own.
const DEFAULT: &str = "_default";

/// Adds what each `hosts.toml` below `directory` says.
pub fn read(directory: &Path, hosts: &mut Hosts) {
    for home in sorted_entries(directory) {
        let file = home.join("hosts.toml");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let name = registry_of(&home);
        let mut tls = Vec::new();
        let parsed = basic_toml::from_str::<Map<String, Value>>(&text).map_err(|error| error.to_string());
        let route = parsed.and_then(|document| route(&document, &home, &name, &mut tls));
        for (authority, tls) in tls {
            hosts.add_tls(&authority, tls);
        }
        hosts.rules.push(Rule { source: Source::Containerd, prefix: name, file, route });
    }
}

/// The registry that a directory is about: `host`, `host:port`, or `host_port_` where a colon cannot
/// stand. Empty for every registry.
pub fn registry_of(home: &Path) -> String {
    let name = home.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    if name == DEFAULT {
        return String::new();
    }
    match name.strip_suffix('_').and_then(|rest| rest.rsplit_once('_')) {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => format!("{host}:{port}"),
        _ => name,
    }
}

fn route(
    document: &Map<String, Value>,
    home: &Path,
    name: &str,
    tls: &mut Vec<(String, Tls)>,
) -> Result<Route, String> {
    let mut route = Route::default();
    if let Some(table) = document.get("host") {
        let table = table.as_object().ok_or("`host` is no table")?;
        for (url, settings) in table {
            let settings = settings.as_object().ok_or_else(|| format!("host `{url}` is no table"))?;
            route.mirrors.push(target(url, settings, home, tls)?);
        }
    }
    match document.get("server").and_then(Value::as_str) {
        Some(server) => route.target = Some(target(server, document, home, tls)?),
        None if !name.is_empty() => tls.push((name.to_owned(), security(document, home)?)),
        None => {}
    }
    Ok(route)
}

fn target(
    url: &str,
    settings: &Map<String, Value>,
    home: &Path,
    tls: &mut Vec<(String, Tls)>,
) -> Result<Target, String> {
    let full = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let uri: Uri = full.parse().map_err(|_| format!("`{url}` is no URL"))?;
    let authority = uri.authority().map(ToString::to_string).filter(|authority| host::is_authority(authority));
    let authority = authority.ok_or_else(|| format!("`{url}` names no host"))?;
    let mut security = security(settings, home)?;
    if uri.scheme_str() == Some("http") {
        security.plain_http = Some(true);
    }
    tls.push((authority.clone(), security));
    let path = uri.path().trim_end_matches('/');
    let keeps_path = settings.get("override_path").and_then(Value::as_bool).unwrap_or(false);
    let root = if keeps_path || path.ends_with("/v2") { path.to_owned() } else { format!("{path}/v2") };
    Ok(Target::Api { authority, root, serves: capabilities(settings)?, headers: headers(settings)? })
}

/// Without the key, all of them.
fn capabilities(settings: &Map<String, Value>) -> Result<Serves, String> {
    let Some(list) = settings.get("capabilities") else { return Ok(Serves::ALL) };
    let mut serves = Serves { tags: false, digests: false, pushes: false };
    for word in list.as_array().ok_or("`capabilities` is no list")? {
        match word.as_str() {
            Some("pull") => serves.digests = true,
            Some("resolve") => serves.tags = true,
            Some("push") => serves.pushes = true,
            _ => return Err(format!("unknown capability {word}")),
        }
    }
    Ok(serves)
}

fn headers(settings: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    let Some(table) = settings.get("header") else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (name, value) in table.as_object().ok_or("`header` is no table")? {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            other => std::slice::from_ref(other),
        };
        for value in values {
            let value = value.as_str().ok_or_else(|| format!("header `{name}` is no text"))?;
            headers.push((name.clone(), value.to_owned()));
        }
    }
    Ok(headers)
}

fn security(settings: &Map<String, Value>, home: &Path) -> Result<Tls, String> {
    let ca = match settings.get("ca") {
        Some(Value::Array(list)) => list.iter().map(|one| path(one, home)).collect::<Result<_, _>>()?,
        Some(one) => vec![path(one, home)?],
        None => Vec::new(),
    };
    let client = match settings.get("client") {
        None => None,
        // The first pair serves: TLS shows one certificate.
        Some(Value::Array(list)) => match list.first() {
            Some(Value::Array(pair)) => client(pair, home)?,
            Some(Value::String(_)) if list.len() == 2 && list.iter().all(Value::is_string) => client(list, home)?,
            Some(one) => client(std::slice::from_ref(one), home)?,
            None => None,
        },
        Some(one) => client(std::slice::from_ref(one), home)?,
    };
    Ok(Tls { plain_http: None, insecure: settings.get("skip_verify").and_then(Value::as_bool), ca, client })
}

/// A certificate and its key, or one file that has both.
fn client(pair: &[Value], home: &Path) -> Result<Option<(PathBuf, PathBuf)>, String> {
    match pair {
        [] => Ok(None),
        [both] => Ok(Some((path(both, home)?, path(both, home)?))),
        [certificate, key, ..] => {
            let key = if key.as_str() == Some("") { certificate } else { key };
            Ok(Some((path(certificate, home)?, path(key, home)?)))
        }
    }
}

fn path(value: &Value, home: &Path) -> Result<PathBuf, String> {
    value.as_str().map(|text| home.join(text)).ok_or_else(|| format!("{value} is no path"))
}
