//! How far one machine (host and port) is trusted and what is shown to it: schemes, verification,
//! certificate authorities, a client certificate. `transport` asks for every URL, so that a redirect
//! never inherits the trust of its origin.

use std::path::PathBuf;

use super::Hosts;
use crate::host;

/// What the files say about TLS to a machine. What is not said is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// HTTP and nothing else.
    pub plain_http: Option<bool>,
    /// HTTPS without verification, else HTTP.
    pub insecure: Option<bool>,
    /// Certificate authorities beside the system's, PEM.
    pub ca: Vec<PathBuf>,
    /// Certificate chain and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// What is not said here is taken from `other`.
    pub(super) fn or(mut self, other: Tls) -> Tls {
        self.ca.extend(other.ca.into_iter().filter(|path| !self.ca.contains(path)).collect::<Vec<_>>());
        Tls {
            plain_http: self.plain_http.or(other.plain_http),
            insecure: self.insecure.or(other.insecure),
            ca: self.ca,
            client: self.client.or(other.client),
        }
    }
}

/// How to talk to one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// To try in this order. HTTPS goes first even where it is not demanded, as docker does: a
    /// registry that has a certificate should not see credentials in the clear.
    pub schemes: &'static [&'static str],
    /// Certificates are checked.
    pub verified: bool,
    /// A proxy may be used; never for this machine itself.
    pub proxied: bool,
    pub ca: Vec<PathBuf>,
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Hosts {
    /// The security of `authority`. `insecure` holds the names that the user gave, compared whole,
    /// port included. Loopback needs no mention to be reached without a valid certificate, unless an
    /// authority for it is configured.
    pub fn security(&self, authority: &str, insecure: &[String]) -> Security {
        let tls = self.tls.get(&host::api_authority(authority).to_ascii_lowercase()).cloned().unwrap_or_default();
        let told = |name: &String| {
            name.eq_ignore_ascii_case(authority) || host::api_authority(name).eq_ignore_ascii_case(authority)
        };
        let loopback = host::is_loopback(authority);
        let lenient = tls.insecure.unwrap_or(loopback && tls.ca.is_empty()) || insecure.iter().any(told);
        let schemes: &[&str] = match (tls.plain_http, lenient) {
            (Some(true), _) => &["http"],
            (_, true) => &["https", "http"],
            (_, false) => &["https"],
        };
        Security { schemes, verified: !lenient, proxied: !loopback, ca: tls.ca, client: tls.client }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn security(authority: &str, insecure: &[String]) -> (usize, bool, bool) {
        let security = Hosts::default().security(authority, insecure);
        (security.schemes.len(), security.verified, security.proxied)
    }

    #[test]
    fn loopback_in_all_spellings() {
        for name in ["localhost", "LOCALHOST:5000", "reg.localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]:5000"] {
            assert_eq!(security(name, &[]), (2, false, false), "{name}");
        }
        for name in ["localhost.example.com", "128.0.0.1", "[::2]:5000", "docker.io", "127.0.0.1.nip.io", ""] {
            assert_eq!(security(name, &[]), (1, true, true), "{name}");
        }
    }

    #[test]
    fn insecure_names_include_the_port() {
        let told = ["reg.lan:5000".to_owned(), "plain.lan".to_owned(), "docker.io".to_owned()];
        for name in ["REG.lan:5000", "plain.lan", "registry-1.docker.io"] {
            assert_eq!(security(name, &told), (2, false, true), "{name}");
        }
        for name in ["reg.lan", "plain.lan:5000"] {
            assert_eq!(security(name, &told), (1, true, true), "{name}");
        }
    }

    #[test]
    fn files_say_more() {
        let mut hosts = Hosts::default();
        let ca = Tls { ca: vec!["/ca.pem".into()], ..Tls::default() };
        hosts.add_tls("localhost:5000", ca);
        hosts.add_tls("plain.lan", Tls { plain_http: Some(true), ..Tls::default() });
        let local = hosts.security("localhost:5000", &[]);
        assert!(local.verified && !local.proxied && local.schemes == ["https"], "a known authority is checked");
        assert_eq!(hosts.security("plain.lan", &[]).schemes, ["http"]);
    }

    #[test]
    fn the_first_file_wins_and_authorities_add_up() {
        let first = Tls { insecure: Some(false), ca: vec!["/a".into()], ..Tls::default() };
        let client = Some(("/c".into(), "/k".into()));
        let second =
            Tls { insecure: Some(true), ca: vec!["/a".into(), "/b".into()], client: client.clone(), plain_http: None };
        let both = first.or(second);
        assert_eq!(both.insecure, Some(false));
        assert_eq!(both.ca, [PathBuf::from("/a"), "/b".into()]);
        assert_eq!(both.client, client);
    }
}
