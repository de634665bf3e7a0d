//! Failed exchanges in words: what went wrong on the way to a machine, what to do about it, and whether
//! it may pass by itself. `transport` and those who read its answers call it.

use std::io;

use ureq::http::Uri;

use crate::Error;
use crate::retry::{Again, Setback};

/// Time for name resolution, TCP and TLS together.
pub const CONNECT_SECONDS: u64 = 15;
/// Time from the request to the head of the answer, and for each read after it. Some registries
/// compute before they answer; a transfer of any length is fine as long as bytes keep coming.
pub const SILENCE_SECONDS: u64 = 60;

/// Scheme, host and port of a URL: what an error may show. The rest can hold signatures.
pub fn origin(url: &Uri) -> String {
    format!("{}://{}", url.scheme_str().unwrap_or("?"), url.authority().map_or("?", |authority| authority.as_str()))
}

/// A violation of the protocol by the host of `url`.
pub fn protocol(url: &Uri, cause: String) -> Error {
    Error::Protocol { host: url.host().unwrap_or("?").to_owned(), cause }
}

/// Explains a failed exchange to the user and to `retry`.
pub fn setback(url: &Uri, error: &ureq::Error) -> Setback {
    let (cause, remedy, again) = match error {
        ureq::Error::Io(error) => explain_io(error),
        ureq::Error::Rustls(error) => explain_tls(error),
        ureq::Error::HostNotFound => host_not_found(),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            (format!("no connection within {CONNECT_SECONDS} seconds"), CHECK_NETWORK, Again::Never)
        }
        ureq::Error::Timeout(_) => {
            (format!("no answer within {SILENCE_SECONDS} seconds"), CHECK_NETWORK, Again::Backoff)
        }
        other => (other.to_string(), CHECK_NETWORK, Again::Never),
    };
    let host = url.authority().map_or_else(|| "?".to_owned(), ToString::to_string);
    let error = Error::Connection { host, cause, remedy };
    Setback { error, again }
}

fn host_not_found() -> (String, &'static str, Again) {
    ("host not found".to_owned(), "check its name, /etc/resolv.conf and the network", Again::Never)
}

const CHECK_NETWORK: &str = "check the network, HTTPS_PROXY and NO_PROXY";

fn explain_io(error: &io::Error) -> (String, &'static str, Again) {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return explain_tls(tls);
    }
    // std gives the resolver's failures no kind of their own.
    if error.to_string().starts_with("failed to lookup address information") {
        return host_not_found();
    }
    let (remedy, again) = match error.kind() {
        io::ErrorKind::ConnectionRefused => ("check that it runs and its port", Again::Never),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::TimedOut
        | io::ErrorKind::WouldBlock => (CHECK_NETWORK, Again::Backoff),
        _ => (CHECK_NETWORK, Again::Never),
    };
    (error.to_string(), remedy, again)
}

fn explain_tls(error: &rustls::Error) -> (String, &'static str, Again) {
    let (cause, remedy) = match error {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => (
            "server gave HTTP response to HTTPS client".to_owned(),
            "to use it without encryption name it in BRIG_INSECURE_REGISTRIES or give --tls-verify=false",
        ),
        rustls::Error::InvalidCertificate(reason) => (
            format!("its certificate is not valid: {reason}"),
            "name its CA in registries.toml or add it to the system's store (update-ca-certificates), or name the registry in BRIG_INSECURE_REGISTRIES or give --tls-verify=false",
        ),
        other => (other.to_string(), CHECK_NETWORK),
    };
    (cause, remedy, Again::Never)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_with_a_remedy() {
        let error = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let (cause, remedy, again) = explain_tls(&error);
        assert_eq!(cause, "its certificate is not valid: UnknownIssuer");
        assert!(remedy.contains("BRIG_INSECURE_REGISTRIES"));
        assert_eq!(again, Again::Never);
    }
}
