//! One request over HTTP: connections by machine, time limits, redirects. `client` and `auth` call it.
//! It knows nothing of registries; it makes sure that an `Authorization` header only ever reaches
//! the origin it was meant for, that a redirect does not leave HTTPS, and that one with a body is
//! repeated only where the answer means that (307, 308).

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::Body;
use ureq::http::{self, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};

use crate::Error;
use crate::agents::Agents;
use crate::failure::{SILENCE_SECONDS, origin, protocol, setback};
use crate::host;
use crate::hosts::{Hosts, Security};
use crate::retry::Setback;

const REDIRECTS_MAX: usize = 10;
/// Reading so much costs less than a new connection.
const SHORT_BYTES: u64 = 64 * 1024;
/// Time for the answer to an upload: some registries copy the blob before they say that they have it.
const UPLOAD_SECONDS: u64 = 600;

/// Connections to any number of hosts, shared between threads.
pub struct Transport {
    hosts: Arc<Hosts>,
    insecure: Vec<String>,
    agents: Agents,
    /// The scheme that an authority answered to.
    schemes: Mutex<HashMap<String, &'static str>>,
}

/// A request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a Method,
    pub url: &'a Uri,
    pub headers: &'a [(HeaderName, HeaderValue)],
    pub authorization: Option<&'a str>,
    /// `None` for methods without one.
    pub body: Option<&'a [u8]>,
}

/// An answer of any status but a redirect, and the URL that gave it.
pub struct Answer {
    pub response: Response<Body>,
    pub url: Uri,
}

impl Transport {
    /// `insecure`: registries (`host[:port]`) that need no valid certificate.
    pub fn new(hosts: Hosts, insecure: Vec<String>) -> Transport {
        Transport { hosts: Arc::new(hosts), insecure, agents: Agents::default(), schemes: Mutex::default() }
    }

    /// One with the same configuration and no connections.
    pub fn like(&self) -> Transport {
        let (hosts, insecure) = (Arc::clone(&self.hosts), self.insecure.clone());
        Transport { hosts, insecure, agents: Agents::default(), schemes: Mutex::default() }
    }

    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// How to talk to an authority.
    pub fn security(&self, authority: &str) -> Security {
        self.hosts.security(authority, &self.insecure)
    }

    /// The scheme that `authority` has answered to.
    pub fn scheme(&self, authority: &str) -> Option<&'static str> {
        self.schemes.lock().unwrap_or_else(PoisonError::into_inner).get(authority).copied()
    }

    /// Remembers which scheme works.
    pub fn set_scheme(&self, authority: &str, scheme: &'static str) {
        self.schemes.lock().unwrap_or_else(PoisonError::into_inner).insert(authority.to_owned(), scheme);
    }

    /// Sends the request and follows redirects.
    ///
    /// # Errors
    /// `Connection` if no answer came, `Protocol` for redirects that cannot be followed.
    pub fn send(&self, request: &Request<'_>) -> Result<Answer, Setback> {
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let same = host::same_origin(request.url, &url);
            let response = self.hop(&url, request, same)?;
            if !is_redirect(response.status()) {
                return Ok(Answer { response, url });
            }
            let keeps_method = matches!(response.status().as_u16(), 307 | 308);
            if request.body.is_some() && !keeps_method {
                let cause = format!("{} answered with a redirect ({})", request.method, response.status());
                return Err(protocol(&url, cause).into());
            }
            url = self.next(&url, &response)?;
            finish(response);
        }
        Err(protocol(request.url, "too many redirects".to_owned()).into())
    }

    /// `own`: whether it goes to the origin that was asked, which alone gets its headers.
    fn hop(&self, url: &Uri, request: &Request<'_>, own: bool) -> Result<Response<Body>, Setback> {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let agent = self.agents.get(authority, &self.security(authority))?;
        let mut builder = http::Request::builder().method(request.method.clone()).uri(url.clone());
        for (name, value) in request.headers.iter().filter(|(name, _)| own || is_about_content(name)) {
            builder = builder.header(name, value);
        }
        if let Some(value) = request.authorization.filter(|_| own) {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        let bad = |error: http::Error| protocol(url, format!("this cannot be asked: {error}"));
        let answer = match request.body {
            None => {
                let request = agent.configure_request(builder.body(()).map_err(bad)?);
                agent.run(request.timeout_recv_response(Some(Duration::from_secs(SILENCE_SECONDS))).build())
            }
            Some(body) => {
                let request = agent.configure_request(builder.body(body).map_err(bad)?);
                agent.run(request.timeout_recv_response(Some(Duration::from_secs(UPLOAD_SECONDS))).build())
            }
        };
        answer.map_err(|error| setback(url, &error))
    }

    /// Where a redirect leads.
    fn next(&self, url: &Uri, response: &Response<Body>) -> Result<Uri, Error> {
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| protocol(url, "redirect without a location".to_owned()))?;
        let next = host::resolve(url, location).ok_or_else(|| protocol(url, format!("redirect to {location:?}")))?;
        self.check_stays_encrypted(url, &next)?;
        Ok(next)
    }

    /// What was begun over HTTPS goes on over HTTPS.
    pub fn check_stays_encrypted(&self, url: &Uri, next: &Uri) -> Result<(), Error> {
        if url.scheme_str() == Some("https") && self.is_exposed(next) {
            return Err(protocol(url, format!("redirect from https to {}", origin(next))));
        }
        Ok(())
    }

    /// Whether asking this URL sends and receives in the clear without the user having agreed.
    pub fn is_exposed(&self, url: &Uri) -> bool {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        url.scheme_str() != Some("https") && !self.security(authority).schemes.contains(&"http")
    }
}

/// Headers that say which bytes are wanted or sent. All others (an administrator's own, for one
/// mirror) may be secrets.
fn is_about_content(name: &HeaderName) -> bool {
    [header::ACCEPT, header::RANGE, header::CONTENT_TYPE, header::CONTENT_RANGE].contains(name)
}

/// Reads the rest of a short answer that nobody wants, so that its connection can serve again.
pub fn finish(response: Response<Body>) {
    // If it fails, the connection is closed: the next request opens another.
    let _ = io::copy(&mut response.into_body().into_reader().take(SHORT_BYTES), &mut io::sink());
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;
    use crate::hosts::Sources;
    use crate::retry::Again;

    fn transport(insecure: &str) -> Transport {
        Transport::new(Hosts::load(&Sources::none()).unwrap(), vec![insecure.to_owned()])
    }

    #[test]
    fn plain_http_is_recognised() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Uri = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        let request = Request { method: &Method::GET, url: &url, headers: &[], authorization: None, body: None };
        let Err(error) = transport("").send(&request) else { panic!("this is no TLS") };
        server.join().unwrap();
        assert_eq!(error.again, Again::Never);
        let text = error.error.to_string();
        assert!(text.contains("server gave HTTP response to HTTPS client; to use it without encryption"), "{text}");
    }

    #[test]
    fn redirects_stay_encrypted() {
        let transport = transport("plain.lan");
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
