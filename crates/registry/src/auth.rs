//! From a challenge to the value of an `Authorization` header: Basic, or a Bearer token fetched
//! from the realm that the registry names (distribution's token specification). `client` calls it
//! after a 401. Refresh tokens (`identitytoken`) are not used.

use std::fmt::Write;
use std::io::Read;

use serde::Deserialize;
use ureq::http::{StatusCode, Uri};

use crate::Error;
use crate::answer;
use crate::challenge::Challenge;
use crate::credentials::Credentials;
use crate::retry::{self, Setback};
use crate::transport::{self, Get, Transport};

/// Tokens are some KiB; anything larger is no token.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    /// The OAuth 2 name of the same.
    #[serde(default)]
    access_token: String,
}

/// Answers one of `challenges` for pulling from `repository`. `Ok(None)` means that there is
/// nothing to answer with: no known scheme, or Basic without credentials.
pub fn authorization(
    transport: &Transport,
    challenges: &[Challenge],
    repository: &str,
    credentials: &Credentials,
) -> Result<Option<String>, Setback> {
    let basic = match credentials {
        Credentials::Basic(pair) => Some(format!("Basic {pair}")),
        Credentials::None | Credentials::Helper(_) => None,
    };
    if let Some(bearer) = challenges.iter().find(|challenge| challenge.scheme == "bearer") {
        return token(transport, bearer, repository, basic.as_deref()).map(Some);
    }
    Ok(basic.filter(|_| challenges.iter().any(|challenge| challenge.scheme == "basic")))
}

fn token(
    transport: &Transport,
    challenge: &Challenge,
    repository: &str,
    basic: Option<&str>,
) -> Result<String, Setback> {
    let url = token_url(challenge, repository)?;
    if basic.is_some() && transport.is_exposed(&url) {
        let cause = format!("wants the password at {}, without encryption", transport::origin(&url));
        return Err(transport::protocol(&url, cause).into());
    }
    let request = Get { url: &url, accept: "application/json", authorization: basic, offset: 0 };
    let response = transport.get(&request)?.response;
    let status = response.status();
    if status != StatusCode::OK {
        let again = retry::after_status(status, response.headers());
        let cause = answer::refusal(response).cause;
        return Err(Setback { error: refused(&url, repository, basic.is_some(), status, cause), again });
    }
    let mut body = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(TOKEN_BYTES_MAX)
        .read_to_end(&mut body)
        .map_err(|error| transport::setback(&url, &ureq::Error::from(error)))?;
    let token: Token = serde_json::from_slice(&body)
        .map_err(|error| transport::protocol(&url, format!("its token cannot be read: {error}")))?;
    let text = if token.token.is_empty() { token.access_token } else { token.token };
    // A line break would end the header and begin another.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(transport::protocol(&url, "it gave no token".to_owned()).into());
    }
    Ok(format!("Bearer {text}"))
}

/// What a refusal by the token server means for the pull.
fn refused(url: &Uri, repository: &str, with_password: bool, status: StatusCode, cause: String) -> Error {
    match status.as_u16() {
        400..=403 if with_password => Error::Unauthorized {
            repository: repository.to_owned(),
            hint: "the stored user name and password were refused".to_owned(),
            cause,
        },
        400..=403 => Error::Unauthorized {
            repository: repository.to_owned(),
            hint: "no user name and password are stored".to_owned(),
            cause,
        },
        429 | 500.. => Error::Unavailable { host: url.host().unwrap_or("?").to_owned(), cause },
        _ => transport::protocol(url, format!("no token: {cause}")),
    }
}

/// The realm with its query: service and scopes as challenged, one parameter per scope.
fn token_url(challenge: &Challenge, repository: &str) -> Result<Uri, Error> {
    let bad = || Error::Protocol {
        host: challenge.parameter("service").unwrap_or("?").to_owned(),
        cause: "its login challenge names no realm to ask for a token".to_owned(),
    };
    let realm = challenge.parameter("realm").ok_or_else(bad)?;
    let mut url = realm.split('#').next().unwrap_or_default().to_owned();
    let own = format!("repository:{repository}:pull");
    let scopes = challenge.parameter("scope").filter(|scope| !scope.trim().is_empty()).unwrap_or(&own);
    let service = challenge.parameter("service").map(|service| ("service", service));
    let scopes = scopes.split_whitespace().map(|scope| ("scope", scope));
    for (name, value) in service.into_iter().chain(scopes) {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        push_encoded(&mut url, value);
    }
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let usable = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if usable { Ok(uri) } else { Err(bad()) }
}

/// Percent-encodes a value of a query (RFC 3986 section 3.4); `:`, `/` and `,` may stay as they are.
fn push_encoded(url: &mut String, value: &str) {
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

    fn url(header: &str) -> String {
        token_url(&challenge::parse(header)[0], "library/x").map_or_else(|e| e.to_string(), |uri| uri.to_string())
    }

    #[test]
    fn the_realm_is_asked_for_what_was_challenged() {
        assert_eq!(
            url(r#"Bearer realm="https://auth.io/token",service="reg ä",scope="repository:a:pull repository:b:pull""#),
            "https://auth.io/token?service=reg%20%C3%A4&scope=repository:a:pull&scope=repository:b:pull"
        );
        assert_eq!(
            url(r#"Bearer realm="https://auth.io/token?x=1""#),
            "https://auth.io/token?x=1&scope=repository:library/x:pull"
        );
    }

    #[test]
    fn realms_must_be_urls() {
        for header in ["Bearer", "Bearer realm=\"/token\"", "Bearer realm=\"file:///x\"", "Bearer realm=\"\""] {
            assert!(url(header).contains("names no realm"), "{header}");
        }
    }
}
