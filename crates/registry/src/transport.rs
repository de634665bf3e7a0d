//! One GET over HTTP: agents by trust, time limits, redirects. `client` and `auth` call it. It
//! knows nothing of registries; it makes sure that an `Authorization` header only ever reaches the
//! origin it was meant for and that a redirect does not leave HTTPS.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::http::{Response, StatusCode, Uri, header};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, Proxy};

use crate::Error;
use crate::host::{self, Trust};
use crate::retry::{Again, Setback};

/// Time for name resolution, TCP and TLS together.
const CONNECT_SECONDS: u64 = 15;
/// Time from the request to the head of the answer, and for each read after it. Some registries
/// compute before they answer; a transfer of any length is fine as long as bytes keep coming.
const SILENCE_SECONDS: u64 = 60;
const REDIRECTS_MAX: usize = 10;
/// Reading so much costs less than a new connection.
const SHORT_BYTES: u64 = 64 * 1024;

/// Connections to any number of hosts, shared between threads.
pub struct Transport {
    insecure: Vec<String>,
    verified: OnceLock<Agent>,
    unverified: OnceLock<Agent>,
    loopback: OnceLock<Agent>,
}

/// A request.
#[derive(Clone, Copy)]
pub struct Get<'a> {
    pub url: &'a Uri,
    pub accept: &'a str,
    pub authorization: Option<&'a str>,
    /// First byte wanted; nonzero sends `Range`.
    pub offset: u64,
}

/// An answer of any status but a redirect, and the URL that gave it.
pub struct Answer {
    pub response: Response<Body>,
    pub url: Uri,
}

impl Transport {
    /// `insecure`: registries (`host[:port]`) that need no valid certificate.
    pub fn new(insecure: Vec<String>) -> Transport {
        Transport { insecure, verified: OnceLock::new(), unverified: OnceLock::new(), loopback: OnceLock::new() }
    }

    /// The trust given to an authority.
    pub fn trust(&self, authority: &str) -> Trust {
        host::trust(authority, &self.insecure)
    }

    /// Sends the request and follows redirects.
    ///
    /// # Errors
    /// `Connection` if no answer came, `Protocol` for redirects that cannot be followed.
    pub fn get(&self, request: &Get<'_>) -> Result<Answer, Setback> {
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let same = host::same_origin(request.url, &url);
            let authorization = request.authorization.filter(|_| same);
            let response = self.hop(&url, request, authorization)?;
            if !is_redirect(response.status()) {
                return Ok(Answer { response, url });
            }
            url = self.next(&url, &response)?;
            finish(response);
        }
        Err(protocol(request.url, "too many redirects".to_owned()).into())
    }

    fn hop(&self, url: &Uri, request: &Get<'_>, authorization: Option<&str>) -> Result<Response<Body>, Setback> {
        let mut builder = self.agent(url).get(url).header(header::ACCEPT, request.accept);
        if let Some(value) = authorization {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        if request.offset > 0 {
            builder = builder.header(header::RANGE, format!("bytes={}-", request.offset));
        }
        builder.call().map_err(|error| setback(url, &error))
    }

    /// Where a redirect leads.
    fn next(&self, url: &Uri, response: &Response<Body>) -> Result<Uri, Error> {
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| protocol(url, "redirect without a location".to_owned()))?;
        let next = host::resolve(url, location).ok_or_else(|| protocol(url, format!("redirect to {location:?}")))?;
        if url.scheme_str() == Some("https") && self.is_exposed(&next) {
            let cause = format!("redirect from https to {}", origin(&next));
            return Err(protocol(url, cause));
        }
        Ok(next)
    }

    /// Whether asking this URL sends and receives in the clear without the user having agreed.
    pub fn is_exposed(&self, url: &Uri) -> bool {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        url.scheme_str() != Some("https") && self.trust(authority) == Trust::Verified
    }

    fn agent(&self, url: &Uri) -> &Agent {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        match self.trust(authority) {
            Trust::Verified => self.verified.get_or_init(|| {
                let tls = TlsConfig::builder().root_certs(crate::roots::load());
                agent(tls, Proxy::try_from_env())
            }),
            Trust::Insecure => self.unverified.get_or_init(|| {
                let tls = TlsConfig::builder().disable_verification(true);
                agent(tls, Proxy::try_from_env())
            }),
            Trust::Loopback => self.loopback.get_or_init(|| {
                let tls = TlsConfig::builder().disable_verification(true);
                agent(tls, None)
            }),
        }
    }
}

fn agent(tls: ureq::tls::TlsConfigBuilder, proxy: Option<Proxy>) -> Agent {
    // Named here because ureq is built without a default: its own would be a second feature.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let silence = Some(Duration::from_secs(SILENCE_SECONDS));
    Agent::config_builder()
        .tls_config(tls.unversioned_rustls_crypto_provider(provider).build())
        .proxy(proxy)
        .user_agent(concat!("brig/", env!("CARGO_PKG_VERSION")))
        // Blobs are verified as they are stored: a transfer coding would change their bytes.
        .accept_encoding("identity")
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS)))
        .timeout_recv_response(silence)
        .timeout_per_read(silence)
        .timeout_per_write(silence)
        .build()
        .new_agent()
}

/// Reads the rest of a short answer that nobody wants, so that its connection can serve again.
pub fn finish(response: Response<Body>) {
    // If it fails, the connection is closed: the next request opens another.
    let _ = io::copy(&mut response.into_body().into_reader().take(SHORT_BYTES), &mut io::sink());
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

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
            "add its CA to the system's store (update-ca-certificates), or name it in BRIG_INSECURE_REGISTRIES or give --tls-verify=false",
        ),
        other => (other.to_string(), CHECK_NETWORK),
    };
    (cause, remedy, Again::Never)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn plain_http_is_recognised() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Uri = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        let verified = agent(TlsConfig::builder().root_certs(crate::roots::load()), None);
        let error = verified.get(&url).call().map_err(|error| setback(&url, &error)).unwrap_err();
        server.join().unwrap();
        assert_eq!(error.again, Again::Never);
        let text = error.error.to_string();
        assert!(text.contains("server gave HTTP response to HTTPS client; to use it without encryption"), "{text}");
    }

    #[test]
    fn certificates_come_with_a_remedy() {
        let error = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let (cause, remedy, again) = explain_tls(&error);
        assert_eq!(cause, "its certificate is not valid: UnknownIssuer");
        assert!(remedy.contains("BRIG_INSECURE_REGISTRIES"));
        assert_eq!(again, Again::Never);
    }

    #[test]
    fn redirects_stay_encrypted() {
        let transport = Transport::new(vec!["plain.lan".to_owned()]);
        let next = |location: &str| {
            let response = Response::builder().header("location", location).body(Body::builder().data("")).unwrap();
            transport.next(&"https://reg.io/v2/x".parse().unwrap(), &response).map(|uri| uri.to_string())
        };
        assert_eq!(next("https://cdn.io/x?sig=1").unwrap(), "https://cdn.io/x?sig=1");
        assert_eq!(next("http://plain.lan/x").unwrap(), "http://plain.lan/x");
        let text = next("http://cdn.io/x?sig=secret").unwrap_err().to_string();
        assert_eq!(text, "unexpected answer from registry reg.io: redirect from https to http://cdn.io");
    }
}
