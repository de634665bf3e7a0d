//! Directories of certificates by registry, as docker (`/etc/docker/certs.d`) and podman
//! (`/etc/containers/certs.d`) have them: `<host>/*.crt` are authorities, `*.cert` with the `*.key`
//! of the same name is shown to the registry. Files that are not there are not missed.

use std::path::Path;

use super::containerd::registry_of;
use super::{Hosts, Tls, sorted_entries};

/// Adds the certificates below `directory`.
pub fn read(directory: &Path, hosts: &mut Hosts) {
    for home in sorted_entries(directory) {
        let registry = registry_of(&home);
        if registry.is_empty() || home.join("hosts.toml").exists() {
            continue;
        }
        let mut tls = Tls::default();
        for file in sorted_entries(&home) {
            let kind = file.extension().and_then(|extension| extension.to_str());
            let key = file.with_extension("key");
            match kind {
                Some("crt") => tls.ca.push(file),
                Some("cert") if key.exists() && tls.client.is_none() => tls.client = Some((file, key)),
                _ => {}
            }
        }
        if tls != Tls::default() {
            hosts.add_tls(&registry, tls);
        }
    }
}
