//! The certificate authorities that registries are checked against. The system's own bundle comes
//! first, so that what an administrator added or removed counts; Mozilla's list, compiled in, serves
//! machines without one. Reads files once per process; per-registry CAs are not looked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Where distributions keep the bundle, most common first.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The roots to trust: `$SSL_CERT_FILE` and `$SSL_CERT_DIR` alone if either is set (as OpenSSL and
/// Go do), else the system's bundle, else the list compiled in. A named file that cannot be read
/// yields no root: falling back would trust what the user meant to exclude.
pub fn load() -> RootCerts {
    let file = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let directory = std::env::var_os("SSL_CERT_DIR").map(PathBuf::from);
    if file.is_some() || directory.is_some() {
        let mut certificates = file.as_deref().map_or_else(Vec::new, certificates_of);
        if let Some(entries) = directory.and_then(|path| std::fs::read_dir(path).ok()) {
            for entry in entries.flatten() {
                certificates.extend(certificates_of(&entry.path()));
            }
        }
        return RootCerts::Specific(Arc::new(certificates));
    }
    BUNDLES
        .iter()
        .map(|path| certificates_of(Path::new(path)))
        .find(|certificates| !certificates.is_empty())
        .map_or(RootCerts::WebPki, |certificates| RootCerts::Specific(Arc::new(certificates)))
}

/// The certificates in a PEM file; none if it cannot be read. Other items and broken ones are
/// skipped, as every TLS library does with bundles.
fn certificates_of(path: &Path) -> Vec<Certificate<'static>> {
    let Ok(pem) = std::fs::read(path) else {
        return Vec::new();
    };
    parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_or_foreign_files_hold_no_certificates() {
        assert!(certificates_of(Path::new("/nonexistent")).is_empty());
        assert!(certificates_of(Path::new("/proc/self/status")).is_empty());
    }

    #[test]
    fn the_system_bundle_is_read_where_there_is_one() {
        for path in BUNDLES.iter().map(Path::new).filter(|path| path.is_file()) {
            assert!(certificates_of(path).len() > 10, "{}", path.display());
        }
    }
}
