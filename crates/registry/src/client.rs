//! One repository on one registry: `GET` below `/v2/<repository>/` with the scheme found out, the
//! login done, hiccups retried and refusals turned into `Error`. `manifest` and `blob` call it,
//! from several threads at once. What the bytes mean is theirs.

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use spec::Reference;
use ureq::Body;
use ureq::http::{HeaderMap, Response, StatusCode, Uri};

use crate::Error;
use crate::credentials::{self, Credentials};
use crate::host;
use crate::retry::{self, Again, Setback};
use crate::transport::{self, Answer, Get, Transport};
use crate::{answer, auth, challenge};

/// A registry as seen from one pull.
pub struct Client {
    transport: Transport,
    /// Host and port that serve the API.
    authority: String,
    /// As in URLs: `library/busybox`.
    repository: String,
    /// As users write it: `busybox`.
    familiar: String,
    credentials: Credentials,
    credentials_file: Option<PathBuf>,
    /// Found with the first answer.
    scheme: OnceLock<&'static str>,
    /// The last header that was accepted.
    authorization: Mutex<Option<String>>,
}

/// What to get.
pub struct Ask<'a> {
    /// For errors: "manifest for busybox:latest".
    pub what: &'a str,
    /// Below `/v2/<repository>/`.
    pub path: &'a str,
    pub accept: &'a str,
    /// First byte wanted.
    pub offset: u64,
}

impl Client {
    /// Reads the credentials; asks nothing yet. `credentials_file`: where to find them instead of
    /// docker's usual place.
    pub fn new(reference: &Reference, insecure: &[String], credentials_file: Option<PathBuf>) -> Result<Client, Error> {
        let credentials_file = credentials_file.or_else(credentials::default_file);
        let credentials = match &credentials_file {
            Some(file) => credentials::lookup(file, reference.registry())?,
            None => Credentials::None,
        };
        let authority = host::api_authority(reference.registry()).to_owned();
        if !host::is_authority(&authority) {
            let cause = "this is no address and port".to_owned();
            return Err(Error::Connection { host: authority, cause, remedy: "check the name of the image" });
        }
        let mut insecure = insecure.to_vec();
        // What was told of docker.io is meant for the host that serves it.
        if insecure.iter().any(|name| name == reference.registry()) {
            insecure.push(authority.clone());
        }
        Ok(Client {
            transport: Transport::new(insecure),
            authority,
            repository: reference.repository().to_owned(),
            familiar: reference.familiar_name(),
            credentials,
            credentials_file,
            scheme: OnceLock::new(),
            authorization: Mutex::new(None),
        })
    }

    /// Host and port of the API, for errors.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Opens a 200 or 206 answer; every other status is an error.
    pub fn open(&self, ask: &Ask<'_>) -> Result<Response<Body>, Error> {
        retry::run(|| self.attempt(ask))
    }

    /// Like `open`, and reads the whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// Also `Protocol` if there are more bytes.
    pub fn read(&self, ask: &Ask<'_>, limit: u64) -> Result<(HeaderMap, Vec<u8>), Error> {
        retry::run(|| {
            let (head, body) = self.attempt(ask)?.into_parts();
            let mut bytes = Vec::new();
            let read = body.into_reader().take(limit + 1).read_to_end(&mut bytes);
            read.map_err(|error| transport::setback(&self.url("https", ""), &ureq::Error::from(error)))?;
            if bytes.len() as u64 > limit {
                let cause = format!("{} is larger than {} MiB", ask.what, limit >> 20);
                return Err(self.protocol(cause).into());
            }
            Ok((head.headers, bytes))
        })
    }

    /// An error that blames the registry.
    pub fn protocol(&self, cause: String) -> Error {
        Error::Protocol { host: self.authority.clone(), cause }
    }

    /// One exchange. The first finds out whether the registry speaks HTTPS.
    fn attempt(&self, ask: &Ask<'_>) -> Result<Response<Body>, Setback> {
        let known = self.scheme.get();
        let schemes = match known {
            Some(scheme) => std::slice::from_ref(scheme),
            None => self.transport.trust(&self.authority).schemes(),
        };
        let mut rest = schemes.iter();
        let mut scheme = rest.next().copied().unwrap_or("https");
        let answer = loop {
            match (self.logged_in(scheme, ask), rest.next()) {
                (Err(Setback { error: Error::Connection { .. }, .. }), Some(next)) => scheme = next,
                // Who has answered before is only away for a moment, whatever the reason.
                (Err(Setback { error: error @ Error::Connection { .. }, .. }), None) if known.is_some() => {
                    return Err(Setback { error, again: Again::Backoff });
                }
                (outcome, _) => break outcome?,
            }
        };
        // Another thread may have been first; it found the same.
        let _ = self.scheme.set(scheme);
        let status = answer.response.status();
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer.response),
            _ => Err(self.refused(ask, answer)),
        }
    }

    /// Asks; when the registry wants a login, logs in and asks once more. A challenge by another
    /// host (that of a redirect) is not answered: it would get the registry's credentials.
    fn logged_in(&self, scheme: &str, ask: &Ask<'_>) -> Result<Answer, Setback> {
        let url = self.url(scheme, ask.path);
        let request = Get { url: &url, accept: ask.accept, authorization: None, offset: ask.offset };
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = self.transport.get(&Get { authorization: known.as_deref(), ..request })?;
        if answer.response.status() != StatusCode::UNAUTHORIZED || !host::same_origin(&url, &answer.url) {
            return Ok(answer);
        }
        let challenges = challenge::of_headers(answer.response.headers());
        let fresh = auth::authorization(&self.transport, &challenges, &self.repository, &self.credentials)
            .map_err(|setback| self.in_familiar_words(setback))?;
        let Some(fresh) = fresh.filter(|fresh| Some(fresh) != known.as_ref()) else {
            return Ok(answer);
        };
        transport::finish(answer.response);
        let answer = self.transport.get(&Get { authorization: Some(&fresh), ..request })?;
        if answer.response.status() != StatusCode::UNAUTHORIZED {
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        }
        Ok(answer)
    }

    fn url(&self, scheme: &str, path: &str) -> Uri {
        let text = format!("{scheme}://{}/v2/{}/{path}", self.authority, self.repository);
        text.parse().expect("the host was checked, and a repository and a digest have only characters of a path")
    }

    fn refused(&self, ask: &Ask<'_>, answer: Answer) -> Setback {
        let status = answer.response.status();
        let again = retry::after_status(status, answer.response.headers());
        let refusal = answer::refusal(answer.response);
        let cause = refusal.cause;
        let error = match (status.as_u16(), refusal.code.as_str()) {
            (401 | 403, _) | (_, "DENIED" | "UNAUTHORIZED") => {
                Error::Unauthorized { repository: self.familiar.clone(), hint: self.login_hint(), cause }
            }
            (404, "NAME_UNKNOWN") => Error::NotFound { what: format!("repository {}", self.familiar), cause },
            (404, _) => Error::NotFound { what: ask.what.to_owned(), cause },
            (429 | 500.., _) => Error::Unavailable { host: self.authority.clone(), cause },
            _ => self.protocol(format!("{} for {}", cause, ask.what)),
        };
        Setback { error, again }
    }

    /// Errors of the token server name the repository as the user did.
    fn in_familiar_words(&self, mut setback: Setback) -> Setback {
        if let Error::Unauthorized { repository, hint, .. } = &mut setback.error {
            repository.clone_from(&self.familiar);
            *hint = self.login_hint();
        }
        setback
    }

    /// Which credentials were tried and where others would be looked for.
    fn login_hint(&self) -> String {
        let file = self
            .credentials_file
            .as_ref()
            .map_or_else(|| "$DOCKER_CONFIG/config.json".to_owned(), |file| file.display().to_string());
        match &self.credentials {
            Credentials::Basic(_) => format!("the user in {file} was refused"),
            Credentials::None => format!("no user for it in {file}"),
            Credentials::Helper(name) => {
                format!("{file} leaves it to docker-credential-{name}, which brig does not ask; add an auth entry")
            }
        }
    }
}
