//! One repository, wherever it is served: requests below `/v2/<repository>/` to the mirrors and the
//! registry itself, with the scheme found out, the login done, hiccups retried and refusals turned into
//! `Error`. All operations call it, from several threads at once. What the bytes mean is theirs.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use spec::Reference;
use ureq::Body;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};

use crate::Error;
use crate::answer;
use crate::failure;
use crate::hosts::{Endpoint, Serves};
use crate::retry::{self, Again, Setback};
use crate::session::Session;
use crate::site::Site;
use crate::transport::Answer;

/// What a client is for: the actions its tokens must allow, the machines that come into question,
/// and the word in refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Pull,
    Push,
    Delete,
}

impl Purpose {
    pub fn actions(self) -> &'static str {
        match self {
            Purpose::Pull => "pull",
            Purpose::Push => "pull,push",
            Purpose::Delete => "pull,delete",
        }
    }

    /// The word of docker's "pull access denied".
    pub fn word(self) -> &'static str {
        match self {
            Purpose::Pull => "pull",
            Purpose::Push => "push",
            Purpose::Delete => "delete",
        }
    }
}

/// A repository as seen from one operation.
pub struct Client<'s> {
    session: &'s Session,
    purpose: Purpose,
    sites: Vec<Site>,
    /// As users write it: `busybox`.
    familiar: String,
    /// Scopes that tokens need beside this repository's.
    scopes: Mutex<Vec<String>>,
}

/// What to ask.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub method: &'a Method,
    /// For errors: "manifest for busybox:latest".
    pub what: &'a str,
    /// Below `/v2/<repository>/`; with its query.
    pub path: &'a str,
    pub accept: &'a str,
    /// First byte wanted; nonzero sends `Range`.
    pub offset: u64,
    pub content_type: Option<&'a str>,
    /// `first-last` of the bytes sent.
    pub content_range: Option<&'a str>,
    /// `None` for methods without one.
    pub body: Option<&'a [u8]>,
}

impl<'a> Ask<'a> {
    /// A `GET`.
    pub fn get(what: &'a str, path: &'a str, accept: &'a str) -> Ask<'a> {
        Ask { method: &Method::GET, what, path, accept, offset: 0, content_type: None, content_range: None, body: None }
    }

    /// A request of another method.
    pub fn new(method: &'a Method, what: &'a str, path: &'a str) -> Ask<'a> {
        Ask { method, ..Ask::get(what, path, "*/*") }
    }

    /// Whether the answer depends on what a tag means, or on the registry as a whole.
    fn is_about_names(&self) -> bool {
        match self.path.strip_prefix("manifests/") {
            Some(name) => !name.contains(':'),
            None => !self.path.starts_with("blobs/"),
        }
    }

    /// The headers that go with every attempt.
    pub fn headers(&self, endpoint: &Endpoint) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let bad = |what: &str| Error::Protocol {
            host: endpoint.authority.clone(),
            cause: format!("{what} makes no header of a request"),
        };
        let mut headers = Vec::new();
        let mut add = |name: HeaderName, value: &str| {
            HeaderValue::from_str(value).map(|value| headers.push((name, value))).map_err(|_| bad(value))
        };
        add(header::ACCEPT, self.accept)?;
        if self.offset > 0 {
            add(header::RANGE, &format!("bytes={}-", self.offset))?;
        }
        if let Some(kind) = self.content_type {
            add(header::CONTENT_TYPE, kind)?;
        }
        if let Some(range) = self.content_range {
            add(header::CONTENT_RANGE, range)?;
        }
        for (name, value) in &endpoint.headers {
            add(name.parse().map_err(|_| bad(name))?, value)?;
        }
        Ok(headers)
    }
}

impl<'s> Client<'s> {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// `Blocked` and `Configuration`, by what the files say of this name.
    pub fn new(session: &'s Session, reference: &Reference, purpose: Purpose) -> Result<Client<'s>, Error> {
        let mut endpoints = session.transport.hosts().endpoints(reference)?;
        if purpose != Purpose::Pull {
            endpoints.retain(|endpoint| endpoint.serves.pushes);
            // Containerd's files may name several: the first that may be written is meant.
            endpoints.truncate(1);
        }
        Client::with(session, endpoints, reference.registry(), reference.familiar_name(), purpose)
    }

    /// A registry as a whole: paths are below `/v2/`.
    pub fn of_registry(session: &'s Session, registry: &str) -> Result<Client<'s>, Error> {
        let reference = Reference::parse(&format!("{registry}/x")).map_err(|_| no_address(registry))?;
        let mut endpoints = session.transport.hosts().endpoints(&reference)?;
        endpoints.retain(|endpoint| endpoint.serves.pushes);
        endpoints.iter_mut().for_each(|endpoint| endpoint.repository.clear());
        endpoints.truncate(1);
        // What the registry is moved to is asked for the login itself.
        let home = endpoints.first().map_or_else(|| registry.to_owned(), |endpoint| endpoint.authority.clone());
        Client::with(session, endpoints, &home, registry.to_owned(), Purpose::Pull)
    }

    /// An API that is no registry's: paths are below `root`.
    pub fn of_api(session: &'s Session, host: &str, root: &str, familiar: &str) -> Result<Client<'s>, Error> {
        let endpoint = Endpoint {
            authority: host.to_owned(),
            root: root.to_owned(),
            repository: String::new(),
            namespace: None,
            headers: Vec::new(),
            serves: Serves::READS,
        };
        Client::with(session, vec![endpoint], host, familiar.to_owned(), Purpose::Pull)
    }

    fn with(
        session: &'s Session,
        endpoints: Vec<Endpoint>,
        registry: &str,
        familiar: String,
        purpose: Purpose,
    ) -> Result<Client<'s>, Error> {
        let mut sites = Vec::new();
        for endpoint in endpoints {
            sites.push(Site::new(endpoint, registry)?);
        }
        if sites.is_empty() {
            let what = format!("{} {familiar}", purpose.word());
            return Err(Error::Unsupported {
                what,
                cause: "the configuration names no host that allows it".to_owned(),
            });
        }
        Ok(Client { session, purpose, sites, familiar, scopes: Mutex::default() })
    }

    pub fn session(&self) -> &'s Session {
        self.session
    }

    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The registry itself or what stands for it.
    pub fn home(&self) -> &Site {
        // `with` refuses an empty list.
        &self.sites[self.sites.len() - 1]
    }

    /// Host and port of the registry itself, for errors.
    pub fn authority(&self) -> &str {
        self.home().authority()
    }

    /// Tokens are to allow reading another repository too (for a mount).
    pub fn also_pull_from(&self, repository: &str) {
        let scope = format!("repository:{repository}:pull");
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }

    pub fn scopes(&self) -> Vec<String> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks until there is an answer of success (2xx); every other status is an error.
    pub fn send(&self, ask: &Ask<'_>) -> Result<Answer, Error> {
        retry::run(|| self.attempt(ask))
    }

    /// Like `send`, at a URL that the registry gave (for an upload or a further page) instead of at a
    /// path. It must not be a way out of HTTPS.
    pub fn send_to(&self, url: &Uri, ask: &Ask<'_>) -> Result<Answer, Error> {
        retry::run(|| self.attempt_at(url, ask))
    }

    /// Like `send_to`, once.
    pub fn attempt_at(&self, url: &Uri, ask: &Ask<'_>) -> Result<Answer, Setback> {
        let answer = self.home().exchange(self, url, ask)?;
        self.judge(ask, answer)
    }

    /// Opens a blob or document; the answer has status 200 or 206.
    pub fn open(&self, ask: &Ask<'_>) -> Result<Response<Body>, Error> {
        let response = self.send(ask)?.response;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            status => Err(self.protocol(format!("HTTP {status} for {}", ask.what))),
        }
    }

    /// Like `send`, and reads the whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// Also `Protocol` if there are more bytes.
    pub fn read(&self, ask: &Ask<'_>, limit: u64) -> Result<(HeaderMap, Vec<u8>), Error> {
        retry::run(|| self.body(ask, self.attempt(ask)?, limit).map(|(head, bytes, _)| (head, bytes)))
    }

    /// Like `read`, at a URL that the registry gave.
    pub fn read_at(&self, url: &Uri, ask: &Ask<'_>, limit: u64) -> Result<(HeaderMap, Vec<u8>, Uri), Error> {
        retry::run(|| self.body(ask, self.attempt_at(url, ask)?, limit))
    }

    /// Reads the whole body of an answer, at most `limit` bytes.
    pub fn bytes(&self, ask: &Ask<'_>, answer: Answer, limit: u64) -> Result<Vec<u8>, Error> {
        self.body(ask, answer, limit).map(|(_, bytes, _)| bytes).map_err(|setback| setback.error)
    }

    fn body(&self, ask: &Ask<'_>, answer: Answer, limit: u64) -> Result<(HeaderMap, Vec<u8>, Uri), Setback> {
        let (head, body) = answer.response.into_parts();
        let mut bytes = Vec::new();
        let read = body.into_reader().take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| failure::setback(&answer.url, &ureq::Error::from(error)))?;
        if bytes.len() as u64 > limit {
            let cause = format!("{} is larger than {} MiB", ask.what, limit >> 20);
            return Err(self.protocol(cause).into());
        }
        Ok((head.headers, bytes, answer.url))
    }

    /// An error that blames the registry.
    pub fn protocol(&self, cause: String) -> Error {
        Error::Protocol { host: self.authority().to_owned(), cause }
    }

    /// One round: the mirrors that serve this, then the registry itself. When a mirror refuses or does not answer, the next
    /// one may do; what the registry says is what the user hears. An answer that turns out wrong later ends the round.
    fn attempt(&self, ask: &Ask<'_>) -> Result<Answer, Setback> {
        let (home, mirrors) = self.sites.split_last().unwrap_or_else(|| unreachable!("there is a home"));
        for mirror in mirrors.iter().filter(|site| site.serves(ask.is_about_names())) {
            match self.attempt_on(mirror, ask) {
                Ok(answer) => return Ok(answer),
                Err(Setback { error: Error::Connection { .. }, .. }) => mirror.give_up(),
                Err(_) => {}
            }
        }
        self.attempt_on(home, ask)
    }

    /// One exchange with a site. The first finds out whether it speaks HTTPS.
    fn attempt_on(&self, site: &Site, ask: &Ask<'_>) -> Result<Answer, Setback> {
        let transport = &self.session.transport;
        let known = transport.scheme(site.authority());
        let security = transport.security(site.authority());
        let schemes = match &known {
            Some(scheme) => std::slice::from_ref(scheme),
            None => security.schemes,
        };
        let mut rest = schemes.iter();
        let mut scheme = rest.next().copied().unwrap_or("https");
        let answer = loop {
            match (site.exchange(self, &site.url(scheme, ask.path), ask), rest.next()) {
                (Err(Setback { error: Error::Connection { .. }, .. }), Some(next)) => scheme = next,
                // Who has answered before is only away for a moment, whatever the reason.
                (Err(Setback { error: error @ Error::Connection { .. }, .. }), None) if known.is_some() => {
                    return Err(Setback { error, again: Again::Backoff });
                }
                (outcome, _) => break outcome?,
            }
        };
        transport.set_scheme(site.authority(), scheme);
        self.judge(ask, answer)
    }

    fn judge(&self, ask: &Ask<'_>, answer: Answer) -> Result<Answer, Setback> {
        let status = answer.response.status();
        if status.is_success() {
            return Ok(answer);
        }
        let again = retry::after_status(status, answer.response.headers());
        let host = answer.url.authority().map_or_else(|| "?".to_owned(), ToString::to_string);
        let refusal = answer::refusal(answer.response);
        let cause = refusal.cause;
        let error = match (status.as_u16(), refusal.code.as_str()) {
            (401 | 403, _) | (_, "DENIED" | "UNAUTHORIZED") => self.unauthorized(cause),
            (404, "NAME_UNKNOWN") => Error::NotFound { what: format!("repository {}", self.familiar), cause },
            (404, _) => Error::NotFound { what: ask.what.to_owned(), cause },
            (429 | 500.., _) => Error::Unavailable { host, cause },
            _ => Error::Protocol { host, cause: format!("{cause} for {}", ask.what) },
        };
        Err(Setback { error, again })
    }

    fn unauthorized(&self, cause: String) -> Error {
        let (action, repository) = (self.purpose.word(), self.familiar.clone());
        let credentials = self.home().credentials(self.session);
        let hint = credentials.map_or_else(|error| error.to_string(), |credentials| credentials.hint());
        Error::Unauthorized { action, repository, hint, cause }
    }

    /// Errors of the token server name the repository as the user did.
    pub fn in_familiar_words(&self, setback: Setback) -> Setback {
        match setback.error {
            Error::Unauthorized { cause, .. } => Setback { error: self.unauthorized(cause), ..setback },
            _ => setback,
        }
    }
}

/// The error for a name that no URL can hold.
pub fn no_address(host: &str) -> Error {
    let cause = "this is no address and port".to_owned();
    Error::Connection { host: host.to_owned(), cause, remedy: "check the name of the image" }
}
