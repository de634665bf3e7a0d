//! Lists that come in pages: a registry names the next one with `Link: <url>; rel="next"`
//! (distribution-spec 1.1, "Listing Tags"; RFC 8288). A registry cannot make the list endless.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use ureq::http::{HeaderMap, Uri, header};

use crate::Error;
use crate::client::{Ask, Client};
use crate::host;

/// Largest page, in bytes.
const PAGE_BYTES_MAX: u64 = 8 << 20;
/// Most pages: with the usual hundred entries on each that is a million.
const PAGES_MAX: usize = 10_000;

/// Reads all pages that start at a path and gives each to `take`, until it wants no more (`false`).
pub fn read<T: DeserializeOwned>(
    client: &Client<'_>,
    what: &str,
    path: &str,
    accept: &str,
    mut take: impl FnMut(T, &HeaderMap) -> bool,
) -> Result<(), Error> {
    let ask = Ask::get(what, path, accept);
    let answer = client.send(&ask)?;
    let (mut headers, mut url) = (answer.response.headers().clone(), answer.url.clone());
    let mut bytes = client.bytes(&ask, answer, PAGE_BYTES_MAX)?;
    let mut seen = HashSet::from([url.to_string()]);
    loop {
        let page = serde_json::from_slice(&bytes)
            .map_err(|error| client.protocol(format!("{what} cannot be read: {error}")))?;
        if !take(page, &headers) {
            return Ok(());
        }
        let Some(next) = next(&headers, &url) else { return Ok(()) };
        client.session().transport.check_stays_encrypted(&url, &next)?;
        if !seen.insert(next.to_string()) || seen.len() > PAGES_MAX {
            return Err(client.protocol(format!("{what} has no end")));
        }
        (headers, bytes, url) = client.read_at(&next, &ask, PAGE_BYTES_MAX)?;
    }
}

/// The URL of the next page.
fn next(headers: &HeaderMap, url: &Uri) -> Option<Uri> {
    let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    for link in links.flat_map(|value| value.split(',')) {
        let Some((target, parameters)) = link.trim().strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
            continue;
        };
        let is_next =
            parameters.split(';').filter_map(|parameter| parameter.trim().split_once('=')).any(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
            });
        if is_next {
            return host::resolve(url, target);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_next_page() {
        let check = |link: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, link.parse().unwrap());
            next(&headers, &"https://reg.io/v2/_catalog?n=2".parse().unwrap()).map(|uri| uri.to_string())
        };
        assert_eq!(check(r#"</v2/_catalog?last=b&n=2>; rel="next""#).unwrap(), "https://reg.io/v2/_catalog?last=b&n=2");
        assert_eq!(check(r#"<https://other.io/x>; rel=prev, <?x=1>; REL=next"#).unwrap(), "https://reg.io/v2/?x=1");
        assert_eq!(check(r#"</x>; rel="prev""#), None);
        assert_eq!(check("nonsense"), None);
    }
}
