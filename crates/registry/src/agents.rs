//! Connections by machine: each authority (host and port) has a pool of its own, made with the
//! certificate authorities, the client certificate and the proxy that are right for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use crate::Error;
use crate::failure::{CONNECT_SECONDS, SILENCE_SECONDS};
use crate::hosts::Security;
use crate::roots;

/// Connections that stay open to one host: as many as there may be transfers at once.
const IDLE_CONNECTIONS: usize = 16;

/// See the module.
#[derive(Default)]
pub struct Agents {
    roots: OnceLock<RootCerts>,
    agents: Mutex<HashMap<String, Agent>>,
}

impl Agents {
    /// The agent for `authority`, made with the first call.
    ///
    /// # Errors
    /// `Configuration` if a certificate or key that was named cannot be read.
    pub fn get(&self, authority: &str, security: &Security) -> Result<Agent, Error> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(authority) {
            return Ok(agent.clone());
        }
        let agent = self.make(security)?;
        agents.insert(authority.to_owned(), agent.clone());
        Ok(agent)
    }

    fn make(&self, security: &Security) -> Result<Agent, Error> {
        let mut tls = TlsConfig::builder();
        tls = match security.verified {
            true => tls.root_certs(self.roots(&security.ca)?),
            false => tls.disable_verification(true),
        };
        if let Some((certificate, key)) = &security.client {
            tls = tls.client_cert(Some(client_certificate(certificate, key)?));
        }
        // Named here because ureq is built without a default: its own would be a second feature.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let silence = Some(Duration::from_secs(SILENCE_SECONDS));
        Ok(Agent::config_builder()
            .tls_config(tls.unversioned_rustls_crypto_provider(provider).build())
            .proxy(if security.proxied { Proxy::try_from_env() } else { None })
            .user_agent(concat!("brig/", env!("CARGO_PKG_VERSION")))
            // Blobs are verified as they are stored: a transfer coding would change their bytes.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS)))
            .timeout_per_read(silence)
            .timeout_per_write(silence)
            .build()
            .new_agent())
    }

    /// The system's authorities and those configured beside them.
    fn roots(&self, extra: &[std::path::PathBuf]) -> Result<RootCerts, Error> {
        let system = self.roots.get_or_init(roots::load);
        if extra.is_empty() {
            return Ok(system.clone());
        }
        let mut certificates = match system {
            RootCerts::Specific(certificates) => certificates.to_vec(),
            // Without a bundle on the machine the named authorities count alone.
            _ => Vec::new(),
        };
        for path in extra {
            let found = items(path)?.into_iter().filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            let before = certificates.len();
            certificates.extend(found);
            if certificates.len() == before {
                return Err(bad(path, "it holds no certificate (PEM)"));
            }
        }
        Ok(RootCerts::Specific(Arc::new(certificates)))
    }
}

fn client_certificate(certificate: &Path, key: &Path) -> Result<ClientCert, Error> {
    let chain: Vec<Certificate<'static>> = items(certificate)?
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if chain.is_empty() {
        return Err(bad(certificate, "it holds no certificate (PEM)"));
    }
    let key = items(key)?.into_iter().find_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let key = key.ok_or_else(|| bad(certificate, "the key that belongs to it is no private key (PEM)"))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>, Error> {
    let pem = std::fs::read(path).map_err(|error| bad(path, &error.to_string()))?;
    Ok(parse_pem(&pem).filter_map(Result::ok).collect())
}

fn bad(path: &Path, cause: &str) -> Error {
    Error::Configuration { path: path.to_owned(), cause: cause.to_owned() }
}
