//! A file from a web server, for `import`: with the connections, certificates, time limits and redirects of registries
//! (what the files say of a host holds here too), but without their login. Only `http` and `https`; a user in the URL is
//! sent to that origin alone.

use std::io::{self, Read};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::BodyReader;
use ureq::http::{Method, Uri, header};

use crate::Error;
use crate::host;
use crate::retry::{self, Again, Setback};
use crate::session::Session;
use crate::transport::{Answer, Request};

/// A file on its way. Reading it fails if the connection breaks: bytes that are missing are never taken for the end.
pub struct Download {
    body: BodyReader<'static>,
    shown: String,
    length: Option<u64>,
}

impl Download {
    /// Bytes, if the server says how many.
    pub fn length(&self) -> Option<u64> {
        self.length
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer).map_err(|error| {
            let cause = format!("the transfer broke off: {error}; try again");
            io::Error::other(Error::Stream { what: self.shown.clone(), cause })
        })
    }
}

/// Whether `text` is what [`download`] takes rather than a file's name.
pub fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Asks for the file; the bytes come as they are read.
///
/// # Errors
/// `NotFound`; `Stream` for everything else that is wrong with the URL, the way or the answer; `Configuration` if the
/// certificates for the host cannot be read.
pub fn download(session: &Session, url: &str) -> Result<Download, Error> {
    let target = Target::parse(url)?;
    let headers = [(header::ACCEPT, header::HeaderValue::from_static("*/*"))];
    let authorization = target.user.as_ref().map(|user| format!("Basic {user}"));
    let request = Request {
        method: &Method::GET,
        url: &target.url,
        headers: &headers,
        authorization: authorization.as_deref(),
        body: None,
    };
    let answer = retry::run(|| judge(&target, session.transport.send(&request)?));
    let answer = answer.map_err(|error| match error {
        Error::Connection { cause, remedy, .. } => target.failed(format!("{cause}; {remedy}")),
        Error::Protocol { cause, .. } => target.failed(cause),
        other => other,
    })?;
    let length = answer.response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
    Ok(Download { body: answer.response.into_body().into_reader(), shown: target.shown, length })
}

fn judge(target: &Target, answer: Answer) -> Result<Answer, Setback> {
    let status = answer.response.status();
    if status.is_success() {
        return Ok(answer);
    }
    let again = retry::after_status(status, answer.response.headers());
    let error = match status.as_u16() {
        404 | 410 => Error::NotFound { what: target.shown.clone(), cause: format!("HTTP {status}") },
        401 | 403 => target.failed(format!("HTTP {status}; if it needs a user, write https://NAME:PASSWORD@…")),
        _ => target.failed(format!("HTTP {status}")),
    };
    let again = if status.is_server_error() || status.as_u16() == 429 { again } else { Again::Never };
    Err(Setback { error, again })
}

/// A URL taken apart.
struct Target {
    /// Without user and fragment.
    url: Uri,
    /// base64 of `name:password`.
    user: Option<String>,
    /// For messages: without the query, which can hold a signature.
    shown: String,
}

impl Target {
    fn parse(text: &str) -> Result<Target, Error> {
        let bad = |cause: &str| Error::Stream { what: "URL".to_owned(), cause: cause.to_owned() };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("it does not start with http:// or https://"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        if !host::is_authority(authority) {
            return Err(bad(&format!("{authority:?} is no host")));
        }
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let plain = format!("{}://{authority}{slash}{path}", scheme.to_ascii_lowercase());
        let shown = plain.split('?').next().unwrap_or_default().to_owned();
        let url: Uri =
            plain.parse().map_err(|_| bad(&format!("{shown} has characters that must be written as %XX")))?;
        let user = match user.map(unescape) {
            Some(None) => return Err(bad("the name or password in it is not escaped rightly (%XX)")),
            Some(Some(user)) => Some(BASE64_STANDARD.encode(user)),
            None => None,
        };
        Ok(Target { url, user, shown })
    }

    fn failed(&self, cause: String) -> Error {
        Error::Stream { what: self.shown.clone(), cause }
    }
}

/// The bytes that `%XX` stand for (RFC 3986 section 2.1); `None` where two digits are missing.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) -> (String, Option<Vec<u8>>, String) {
        let target = Target::parse(text).unwrap();
        let user = target.user.map(|user| BASE64_STANDARD.decode(user).unwrap());
        (target.url.to_string(), user, target.shown)
    }

    #[test]
    fn users_and_signatures_are_not_shown() {
        let (url, user, shown) = check("HTTPS://ann:a%40b@h.lan:8443/x.tar?sig=1#top");
        assert_eq!((url.as_str(), shown.as_str()), ("https://h.lan:8443/x.tar?sig=1", "https://h.lan:8443/x.tar"));
        assert_eq!(user.as_deref(), Some(&b"ann:a@b"[..]));
        assert_eq!(check("http://h?x").0, "http://h/?x");
    }

    #[test]
    fn what_is_no_url() {
        for text in ["http://", "http://:80/x", "http://h/a b", "http://a%4:b@h/x", "http://h:99999/"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        for (text, expected) in [("http://x", true), ("HTTPS://x", true), ("ftp://x", false), ("x.tar", false)] {
            assert_eq!(is_url(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(http://)?[a%@:/?#é ]{0,12}", any in ".*") {
            let _ = (Target::parse(&text), unescape(&any), is_url(&any));
        }
    }
}
