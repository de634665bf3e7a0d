//! Blobs on their way to a registry (distribution-spec 1.1, "Pushing Blobs"): asked for, mounted from another
//! repository, or sent in chunks. A chunk stays in memory until the registry has it, so that a broken upload goes
//! on where it stopped; when the registry has forgotten it, it starts anew. `push`, `copy` and `blob_put` call it.
//!
//! ```text
//! HEAD ─ there? ─ yes ─► done
//!   └─► POST ?mount= ─ 201 ─► done
//!         └─ 202 ─► PATCH … PATCH ─► PUT ?digest= ─► done
//!                    └─ broken ─► GET (how far?) ─► rest of the chunk, or from the start
//! ```

use std::io::{self, Read};

use image::blob::Hasher;
use spec::Digest;
use spec::digest::Algorithm;
use spec::image::Descriptor;
use ureq::http::{HeaderMap, Method, StatusCode, Uri, header};

use crate::Error;
use crate::client::{Ask, Client};
use crate::host;
use crate::retry::{self, Again, Setback};
use crate::transport;

/// Bytes of a chunk: large enough that round trips do not count, small enough to be kept several times.
const CHUNK_BYTES: usize = 16 << 20;
/// A registry that wants larger chunks than this cannot be served from memory.
const CHUNK_BYTES_MAX: usize = 256 << 20;
/// How often an upload begins anew before it is given up.
const STARTS: u32 = 4;
const OCTETS: &str = "application/octet-stream";

/// Opens the bytes of a blob from their start; the same bytes each time.
pub type Source<'a> = dyn FnMut() -> Result<Box<dyn Read + Send + 'a>, Error> + 'a;

/// Whether the repository has a blob.
pub fn exists(client: &Client<'_>, digest: &Digest) -> Result<bool, Error> {
    let (what, path) = (format!("blob {digest}"), format!("blobs/{digest}"));
    match client.send(&Ask::new(&Method::HEAD, &what, &path)) {
        Ok(_) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Has the registry take a blob from another of its repositories. `false`: it does not want to, for whatever reason.
pub fn mount(client: &Client<'_>, digest: &Digest, from: &str) -> Result<bool, Error> {
    client.also_pull_from(from);
    let path = format!("blobs/uploads/?mount={digest}&from={from}");
    let what = format!("blob {digest}");
    let ask = Ask { body: Some(&[]), ..Ask::new(&Method::POST, &what, &path) };
    match client.send(&ask) {
        Ok(answer) if answer.response.status() == StatusCode::CREATED => Ok(true),
        Ok(answer) => {
            // An upload has begun instead. It is not used, so that there is one way to begin.
            if let Ok(upload) = Upload::of(client, &what, answer) {
                upload.cancel();
            }
            Ok(false)
        }
        Err(Error::NotFound { .. } | Error::Unauthorized { .. } | Error::Protocol { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends a blob, whether or not the registry has it. With `expected`, other bytes than that are an error before the
/// registry is told that the blob is whole. `progress` gets the bytes that the registry has so far.
pub fn send(
    client: &Client<'_>,
    expected: Option<&Descriptor>,
    source: &mut Source<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(Digest, u64), Error> {
    let what = expected.map_or_else(|| "new blob".to_owned(), |descriptor| format!("blob {}", descriptor.digest));
    let mut starts = 1;
    loop {
        match send_from_start(client, &what, expected, source, progress) {
            Err(Interrupted::Forgotten(_)) if starts < STARTS => starts += 1,
            Err(Interrupted::Forgotten(error) | Interrupted::Failed(error)) => return Err(error),
            Ok(sent) => return Ok(sent),
        }
    }
}

/// Why an upload ended.
enum Interrupted {
    /// The registry knows nothing of it any more: from the start.
    Forgotten(Error),
    Failed(Error),
}

impl From<Error> for Interrupted {
    fn from(error: Error) -> Interrupted {
        Interrupted::Failed(error)
    }
}

fn send_from_start(
    client: &Client<'_>,
    what: &str,
    expected: Option<&Descriptor>,
    source: &mut Source<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(Digest, u64), Interrupted> {
    let mut bytes = source()?;
    let mut upload = Upload::begin(client, what)?;
    let mut hasher = Hasher::new(expected.map_or(Algorithm::Sha256, |descriptor| descriptor.digest.algorithm()));
    let mut chunk = Vec::new();
    loop {
        let is_last = fill(&mut bytes, &mut chunk, upload.chunk_bytes).map_err(|error| unreadable(what, error))?;
        hasher.update(&chunk);
        if let Some(expected) = expected
            && upload.sent + chunk.len() as u64 > expected.size
        {
            upload.cancel();
            return Err(wrong(expected, "more bytes than it should").into());
        }
        if is_last && upload.sent == 0 {
            break;
        }
        upload.patch(&chunk)?;
        progress(upload.sent);
        if is_last {
            chunk.clear();
            break;
        }
    }
    let size = upload.sent + chunk.len() as u64;
    let digest = hasher.finish();
    if let Some(expected) = expected.filter(|expected| expected.digest != digest || expected.size != size) {
        upload.cancel();
        let (expected, actual) = (expected.digest.to_string(), digest.to_string());
        return Err(Error::Digest { what: what.to_owned(), expected, actual }.into());
    }
    upload.finish(&digest, &chunk)?;
    progress(size);
    Ok((digest, size))
}

/// Fills `chunk` anew; `true` if that was the end.
fn fill(bytes: &mut dyn Read, chunk: &mut Vec<u8>, size: usize) -> io::Result<bool> {
    chunk.clear();
    bytes.take(size as u64).read_to_end(chunk)?;
    Ok(chunk.len() < size)
}

/// A reader of ours may carry a registry's error.
fn unreadable(what: &str, error: io::Error) -> Error {
    let cause = error.to_string();
    error.downcast::<Error>().unwrap_or(Error::Stream { what: format!("cannot read {what}"), cause })
}

fn wrong(expected: &Descriptor, cause: &str) -> Error {
    Error::Stream { what: format!("blob {}", expected.digest), cause: format!("it has {cause}") }
}

/// An upload under way at a URL that changes with every answer.
struct Upload<'a> {
    client: &'a Client<'a>,
    what: &'a str,
    url: Uri,
    /// Bytes that the registry has.
    sent: u64,
    chunk_bytes: usize,
}

impl<'a> Upload<'a> {
    fn begin(client: &'a Client<'_>, what: &'a str) -> Result<Upload<'a>, Error> {
        let ask = Ask { body: Some(&[]), ..Ask::new(&Method::POST, what, "blobs/uploads/") };
        let answer = client.send(&ask)?;
        Upload::of(client, what, answer)
    }

    /// The upload that an answer speaks of.
    fn of(client: &'a Client<'_>, what: &'a str, answer: transport::Answer) -> Result<Upload<'a>, Error> {
        let headers = answer.response.headers().clone();
        transport::finish(answer.response);
        let minimum = headers.get("oci-chunk-min-length").and_then(|value| value.to_str().ok());
        let minimum = minimum.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if minimum > CHUNK_BYTES_MAX {
            return Err(client.protocol(format!("it wants chunks of {} MiB", minimum >> 20)));
        }
        let url = location(client, &headers, &answer.url)?;
        let url = url.ok_or_else(|| client.protocol("it gave no place to upload to".to_owned()))?;
        Ok(Upload { client, what, url, sent: 0, chunk_bytes: CHUNK_BYTES.max(minimum) })
    }

    /// Sends bytes until the registry has them all.
    fn patch(&mut self, chunk: &[u8]) -> Result<(), Interrupted> {
        let start = self.sent;
        let mut failures = 0;
        while self.sent < start + chunk.len() as u64 {
            // The difference is at most a chunk's length.
            let rest = &chunk[(self.sent - start) as usize..];
            let range = format!("{}-{}", self.sent, self.sent + rest.len() as u64 - 1);
            let ask = Ask {
                content_type: Some(OCTETS),
                content_range: Some(&range),
                body: Some(rest),
                ..Ask::new(&Method::PATCH, self.what, "")
            };
            let before = self.sent;
            match self.client.attempt_at(&self.url, &ask) {
                Ok(answer) => self.advance(answer, before + rest.len() as u64)?,
                Err(setback) => {
                    failures += 1;
                    self.recover(setback, failures)?;
                }
            }
            if self.sent < start || self.sent > start + chunk.len() as u64 {
                let cause = format!("an upload that was at byte {before} is now at {}", self.sent);
                return Err(Interrupted::Forgotten(self.client.protocol(cause)));
            }
            if self.sent > before {
                failures = 0;
            } else if failures == 0 {
                return Err(self.client.protocol("it took none of the bytes that were sent".to_owned()).into());
            }
        }
        Ok(())
    }

    /// Takes over place and progress; `default` if the answer does not say how far it is.
    fn advance(&mut self, answer: transport::Answer, default: u64) -> Result<(), Error> {
        let headers = answer.response.headers().clone();
        transport::finish(answer.response);
        self.sent = received(&headers).unwrap_or(default);
        if let Some(url) = location(self.client, &headers, &answer.url)? {
            self.url = url;
        }
        Ok(())
    }

    /// After a failure: waits, then asks how far the upload is.
    fn recover(&mut self, setback: Setback, failures: u32) -> Result<(), Interrupted> {
        let again = match setback.error {
            Error::Connection { .. } => Again::Backoff,
            // An upload that is gone is not found.
            Error::NotFound { .. } => return Err(Interrupted::Forgotten(setback.error)),
            _ => setback.again,
        };
        match retry::wait_before(again, failures) {
            Some(wait) => std::thread::sleep(wait),
            None => return Err(setback.error.into()),
        }
        let ask = Ask::get(self.what, "", "*/*");
        match self.client.send_to(&self.url.clone(), &ask) {
            Ok(answer) => Ok(self.advance(answer, 0)?),
            Err(Error::NotFound { .. } | Error::Protocol { .. }) => Err(Interrupted::Forgotten(setback.error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Closes the upload with its last bytes.
    fn finish(self, digest: &Digest, last: &[u8]) -> Result<(), Interrupted> {
        let separator = if self.url.query().is_some() { '&' } else { '?' };
        let url: Uri = format!("{}{separator}digest={digest}", self.url)
            .parse()
            .map_err(|_| self.client.protocol("its place to upload to makes no URL".to_owned()))?;
        let ask = Ask { content_type: Some(OCTETS), body: Some(last), ..Ask::new(&Method::PUT, self.what, "") };
        let error = match self.client.attempt_at(&url, &ask) {
            Ok(answer) => {
                transport::finish(answer.response);
                return Ok(());
            }
            Err(setback) => setback,
        };
        let may_pass =
            matches!(error.error, Error::Connection { .. } | Error::NotFound { .. }) || error.again != Again::Never;
        if !may_pass {
            return Err(error.error.into());
        }
        // The answer is lost, perhaps not the blob.
        match exists(self.client, digest) {
            Ok(true) => Ok(()),
            _ => Err(Interrupted::Forgotten(error.error)),
        }
    }

    /// Tells the registry that nothing more comes. It finds out by itself if it does not hear.
    fn cancel(&self) {
        let _ = self.client.attempt_at(&self.url, &Ask::new(&Method::DELETE, self.what, ""));
    }
}

/// `Range: 0-N`: how many bytes the registry has. `0-0` also stands for none, and is taken for that: one byte
/// sent twice is refused and found out about.
fn received(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::RANGE)?.to_str().ok()?;
    let last: u64 = range.trim().trim_start_matches("bytes=").strip_prefix("0-")?.parse().ok()?;
    Some(if last == 0 { 0 } else { last.saturating_add(1) })
}

fn location(client: &Client<'_>, headers: &HeaderMap, url: &Uri) -> Result<Option<Uri>, Error> {
    let Some(text) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let place = host::resolve(url, text).ok_or_else(|| client.protocol(format!("place to upload to {text:?}")))?;
    client.session().transport.check_stays_encrypted(url, &place)?;
    Ok(Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read() {
        let check = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            received(&headers)
        };
        assert_eq!(check("0-99"), Some(100));
        assert_eq!(check("bytes=0-99"), Some(100));
        assert_eq!(check("0-0"), Some(0));
        for text in ["", "5-9", "0-", "x", "0-99999999999999999999"] {
            assert_eq!(check(text), None, "{text}");
        }
    }
}
