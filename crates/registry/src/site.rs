//! One machine that serves a repository: URLs, the login there, whether it has been given up. `client`
//! goes through its sites; nothing else knows that there may be several.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ureq::http::{StatusCode, Uri};

use crate::Error;
use crate::client::{Ask, Client, no_address};
use crate::credentials::Credentials;
use crate::host;
use crate::hosts::Endpoint;
use crate::retry::Setback;
use crate::session::Session;
use crate::transport::{self, Answer, Request};
use crate::{auth, challenge};

/// See the module.
pub struct Site {
    endpoint: Endpoint,
    /// The user that was given on the command line is meant for it.
    takes_given: bool,
    /// The last header that was accepted.
    authorization: Mutex<Option<String>>,
    /// It could not be reached: this operation does not try it again.
    gone: AtomicBool,
}

impl Site {
    /// The place of `registry`, as users name it; its mirrors and stand-ins have other names.
    ///
    /// # Errors
    /// `Connection` if the name cannot be part of a URL.
    pub fn new(endpoint: Endpoint, registry: &str) -> Result<Site, Error> {
        if !host::is_authority(&endpoint.authority) {
            return Err(no_address(&endpoint.authority));
        }
        let takes_given = endpoint.authority.eq_ignore_ascii_case(host::api_authority(registry));
        Ok(Site { endpoint, takes_given, authorization: Mutex::default(), gone: AtomicBool::new(false) })
    }

    pub fn authority(&self) -> &str {
        &self.endpoint.authority
    }

    /// The repository as this site calls it.
    pub fn repository(&self) -> &str {
        &self.endpoint.repository
    }

    /// Whether a mirror comes into question.
    pub fn serves(&self, names: bool) -> bool {
        let serves = self.endpoint.serves;
        let fits = if names { serves.tags } else { serves.digests };
        fits && !self.gone.load(Ordering::Relaxed)
    }

    /// It cannot be reached.
    pub fn give_up(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// The URL of a path below the repository.
    pub fn url(&self, scheme: &str, path: &str) -> Uri {
        let Endpoint { authority, root, repository, namespace, .. } = &self.endpoint;
        let slash = if repository.is_empty() { "" } else { "/" };
        let mut text = format!("{scheme}://{authority}{root}/{repository}{slash}{path}");
        if let Some(namespace) = namespace {
            text.push_str(if path.contains('?') { "&ns=" } else { "?ns=" });
            text.push_str(namespace);
        }
        text.parse().expect(
            "the host was checked, and repositories, digests and encoded queries have only characters of a path",
        )
    }

    /// Who we are here.
    pub fn credentials(&self, session: &Session) -> Result<Credentials, Error> {
        match session.given() {
            Some(given) if self.takes_given => Ok(given.clone()),
            _ => session.credentials(&self.endpoint.authority, &self.endpoint.repository),
        }
    }

    /// Asks; when the registry wants a login, logs in and asks once more. A challenge by another
    /// host (that of a redirect) is not answered: it would get the registry's credentials.
    pub fn exchange(&self, client: &Client<'_>, url: &Uri, ask: &Ask<'_>) -> Result<Answer, Setback> {
        let session = client.session();
        let headers = ask.headers(&self.endpoint)?;
        // An upload may lead elsewhere: only this site's own origin sees the login.
        let scheme = session.transport.scheme(self.authority()).or(url.scheme_str()).unwrap_or("https");
        let own = host::same_origin(url, &self.url(scheme, ""));
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|_| own);
        let request =
            Request { method: ask.method, url, headers: &headers, authorization: known.as_deref(), body: ask.body };
        let answer = session.transport.send(&request)?;
        let challenged = answer.response.status() == StatusCode::UNAUTHORIZED;
        if !challenged || !own || !host::same_origin(url, &answer.url) {
            return Ok(answer);
        }
        let challenges = challenge::of_headers(answer.response.headers());
        let credentials = self.credentials(session)?;
        let fresh = auth::authorization(session, &challenges, &self.scopes(client), &credentials, known.as_deref())
            .map_err(|setback| client.in_familiar_words(setback))?;
        let Some(fresh) = fresh.filter(|fresh| Some(fresh) != known.as_ref()) else {
            return Ok(answer);
        };
        transport::finish(answer.response);
        let answer = session.transport.send(&Request { authorization: Some(&fresh), ..request })?;
        if answer.response.status() != StatusCode::UNAUTHORIZED {
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        }
        Ok(answer)
    }

    /// What tokens must allow here. A registry as a whole has no scope but the challenged one.
    fn scopes(&self, client: &Client<'_>) -> Vec<String> {
        if self.endpoint.repository.is_empty() {
            return Vec::new();
        }
        let own = format!("repository:{}:{}", self.endpoint.repository, client.purpose().actions());
        std::iter::once(own).chain(client.scopes()).collect()
    }
}
