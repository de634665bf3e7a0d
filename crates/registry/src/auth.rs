//! From a challenge to the value of an `Authorization` header: Basic, or a Bearer token fetched
//! from the realm that the registry names (distribution's token specification), with a password, a
//! refresh token (its OAuth 2 form) or nothing. `client` calls it after a 401.

use std::fmt::Write;
use std::io::Read;
use std::time::Instant;

use serde::Deserialize;
use ureq::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use crate::Error;
use crate::answer;
use crate::challenge::Challenge;
use crate::credentials::{Credentials, Secret};
use crate::failure;
use crate::retry::{self, Setback};
use crate::scope;
use crate::session::Session;
use crate::transport::Request;

/// Tokens are some KiB; anything larger is no token.
const TOKEN_BYTES_MAX: u64 = 1 << 20;
/// How the client calls itself where a name is asked for.
const CLIENT: &str = "brig";

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    /// The OAuth 2 name of the same.
    #[serde(default)]
    access_token: String,
    /// Seconds.
    expires_in: Option<u64>,
}

/// Answers one of `challenges`; `scopes` are those that are needed beside the challenged ones,
/// `refused` the header that has just not been accepted. `Ok(None)` means that there is nothing to
/// answer with: no known scheme, or Basic without credentials.
///
/// # Errors
/// `Unauthorized` with an empty repository, which the caller knows better.
pub fn authorization(
    session: &Session,
    challenges: &[Challenge],
    scopes: &[String],
    credentials: &Credentials,
    refused: Option<&str>,
) -> Result<Option<String>, Setback> {
    if let Secret::Bearer(token) = &credentials.secret {
        return Ok(Some(format!("Bearer {token}")));
    }
    if let Some(bearer) = challenges.iter().find(|challenge| challenge.scheme == "bearer") {
        let ticket = Ticket::new(bearer, scopes)?;
        return ticket.redeem(session, credentials, refused).map(Some);
    }
    let basic = challenges.iter().any(|challenge| challenge.scheme == "basic");
    Ok(match &credentials.secret {
        Secret::Basic(pair) if basic => Some(format!("Basic {pair}")),
        _ => None,
    })
}

/// What a token is asked for with.
struct Ticket<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scopes: Vec<String>,
}

impl<'a> Ticket<'a> {
    fn new(challenge: &'a Challenge, scopes: &[String]) -> Result<Ticket<'a>, Error> {
        let service = challenge.parameter("service");
        let challenged = challenge.parameter("scope").unwrap_or_default().split_whitespace().map(str::to_owned);
        let scopes = scope::merge(challenged.chain(scopes.iter().cloned()));
        let realm = challenge.parameter("realm").unwrap_or_default().split('#').next().unwrap_or_default();
        let usable = realm
            .parse::<Uri>()
            .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if !usable {
            let cause = "its login challenge names no realm to ask for a token".to_owned();
            return Err(Error::Protocol { host: service.unwrap_or("?").to_owned(), cause });
        }
        Ok(Ticket { realm, service, scopes })
    }

    /// A token that is known, or a new one.
    fn redeem(&self, session: &Session, credentials: &Credentials, refused: Option<&str>) -> Result<String, Setback> {
        let key = format!(
            "{}\n{}\n{}\n{}",
            self.realm,
            self.service.unwrap_or_default(),
            self.scopes.join(" "),
            identity(credentials)
        );
        if let Some(token) = session.tokens.get(&key) {
            let header = format!("Bearer {token}");
            if refused != Some(header.as_str()) {
                return Ok(header);
            }
            session.tokens.drop(&key);
        }
        let asked = Instant::now();
        let (token, seconds) = match &credentials.secret {
            Secret::Identity(refresh) => self.exchange(session, refresh)?,
            Secret::Basic(pair) => self.fetch(session, Some(&format!("Basic {pair}")))?,
            Secret::None | Secret::Bearer(_) => self.fetch(session, None)?,
        };
        session.tokens.put(key, token.clone(), asked, seconds);
        Ok(format!("Bearer {token}"))
    }

    /// `GET` of the realm, with a password or as nobody.
    fn fetch(&self, session: &Session, basic: Option<&str>) -> Result<(String, Option<u64>), Setback> {
        let mut url = self.realm.to_owned();
        for (name, value) in self.parameters() {
            url.push(if url.contains('?') { '&' } else { '?' });
            push_pair(&mut url, name, value);
        }
        let url = parse(&url)?;
        let headers = [(header::ACCEPT, HeaderValue::from_static("application/json"))];
        let request = Request { method: &Method::GET, url: &url, headers: &headers, authorization: basic, body: None };
        ask(session, &request, basic.is_some())
    }

    /// `POST` to the realm with a refresh token (distribution's "OAuth2 Token Authentication").
    fn exchange(&self, session: &Session, refresh: &str) -> Result<(String, Option<u64>), Setback> {
        let mut form = String::new();
        let grant = [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", refresh)];
        let service = self.service.map(|service| ("service", service));
        let scopes = self.scopes.join(" ");
        let scope = (!scopes.is_empty()).then_some(("scope", scopes.as_str()));
        for (name, value) in grant.into_iter().chain(service).chain(scope) {
            if !form.is_empty() {
                form.push('&');
            }
            push_pair(&mut form, name, value);
        }
        let url = parse(self.realm)?;
        let headers: [(HeaderName, HeaderValue); 2] = [
            (header::ACCEPT, HeaderValue::from_static("application/json")),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ];
        let body = Some(form.as_bytes());
        let request = Request { method: &Method::POST, url: &url, headers: &headers, authorization: None, body };
        ask(session, &request, true)
    }

    fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let service = self.service.map(|service| ("service", service));
        service.into_iter().chain(self.scopes.iter().map(|scope| ("scope", scope.as_str())))
    }
}

/// Tells credentials apart in the key of a token.
fn identity(credentials: &Credentials) -> &str {
    match &credentials.secret {
        Secret::None => "",
        Secret::Basic(text) | Secret::Identity(text) | Secret::Bearer(text) => text,
    }
}

/// Asks a token server. `secret`: whether a password or refresh token goes along.
fn ask(session: &Session, request: &Request<'_>, secret: bool) -> Result<(String, Option<u64>), Setback> {
    let url = request.url;
    if secret && session.transport.is_exposed(url) {
        let cause = format!("wants the password at {}, without encryption", failure::origin(url));
        return Err(failure::protocol(url, cause).into());
    }
    let response = session.transport.send(request)?.response;
    let status = response.status();
    if status != StatusCode::OK {
        let again = retry::after_status(status, response.headers());
        let cause = answer::refusal(response).cause;
        return Err(Setback { error: refused(url, status, cause), again });
    }
    let mut body = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(TOKEN_BYTES_MAX)
        .read_to_end(&mut body)
        .map_err(|error| failure::setback(url, &ureq::Error::from(error)))?;
    let token: Token = serde_json::from_slice(&body)
        .map_err(|error| failure::protocol(url, format!("its token cannot be read: {error}")))?;
    let text = if token.token.is_empty() { token.access_token } else { token.token };
    // A line break would end the header and begin another.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(failure::protocol(url, "it gave no token".to_owned()).into());
    }
    Ok((text, token.expires_in))
}

/// What a refusal by the token server means.
fn refused(url: &Uri, status: StatusCode, cause: String) -> Error {
    match status.as_u16() {
        400..=403 => Error::Unauthorized { action: "", repository: String::new(), hint: String::new(), cause },
        429 | 500.. => Error::Unavailable { host: url.host().unwrap_or("?").to_owned(), cause },
        _ => failure::protocol(url, format!("no token: {cause}")),
    }
}

fn parse(url: &str) -> Result<Uri, Error> {
    let cause = || "its login challenge makes no URL to ask for a token".to_owned();
    url.parse().map_err(|_| Error::Protocol { host: "?".to_owned(), cause: cause() })
}

/// `name=value`.
fn push_pair(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push('=');
    push_encoded(text, value);
}

/// Percent-encodes a value of a query (RFC 3986 section 3.4); `:`, `/` and `,` may stay as they are.
pub fn push_encoded(url: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge;

    fn url(header: &str, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let challenges = challenge::parse(header);
        let ticket = match Ticket::new(&challenges[0], &scopes) {
            Ok(ticket) => ticket,
            Err(error) => return error.to_string(),
        };
        let mut url = ticket.realm.to_owned();
        for (name, value) in ticket.parameters() {
            url.push('&');
            push_pair(&mut url, name, value);
        }
        url
    }

    #[test]
    fn the_realm_is_asked_for_what_was_challenged() {
        assert_eq!(
            url(
                r#"Bearer realm="https://auth.io/token",service="reg ä",scope="repository:a:pull repository:b:pull""#,
                &[]
            ),
            "https://auth.io/token&service=reg%20%C3%A4&scope=repository:a:pull&scope=repository:b:pull"
        );
        assert_eq!(
            url(r#"Bearer realm="https://auth.io/token?x=1""#, &["repository:library/x:pull"]),
            "https://auth.io/token?x=1&scope=repository:library/x:pull"
        );
        assert_eq!(
            url(
                r#"Bearer realm="https://auth.io/t",scope="repository:x:pull""#,
                &["repository:x:pull,push", "repository:y:pull"]
            ),
            "https://auth.io/t&scope=repository:x:pull,push&scope=repository:y:pull"
        );
    }

    #[test]
    fn realms_must_be_urls() {
        for header in ["Bearer", "Bearer realm=\"/token\"", "Bearer realm=\"file:///x\"", "Bearer realm=\"\""] {
            assert!(url(header, &[]).contains("names no realm"), "{header}");
        }
    }
}
