//! The bytes of a blob as one `Read`, however often the connection breaks: a broken transfer goes
//! on at the byte where it stopped (RFC 9110 section 14, `Range`). `layers`, `pull` and `blobs` read from it.
//! Whether the bytes are the right ones is checked by those, who hash them anyway.

use std::io::{self, Read};

use spec::image::Descriptor;
use ureq::BodyReader;
use ureq::http::{Response, StatusCode, header};

use crate::Error;
use crate::client::{Ask, Client};
use crate::retry::{self, Again};

/// A transfer that moved this many bytes since it last broke starts to count anew.
const PROGRESS_BYTES: u64 = 64 * 1024;

/// A blob being downloaded. An `io::Error` from `read` holds an `Error`.
pub struct Blob<'a> {
    client: &'a Client<'a>,
    descriptor: &'a Descriptor,
    path: String,
    what: String,
    body: Option<BodyReader<'static>>,
    offset: u64,
    /// Breaks in a row, and where the last one was.
    breaks: u32,
    broken_at: u64,
}

impl<'a> Blob<'a> {
    /// From a byte on. Asks for nothing before the first `read`.
    pub fn from(client: &'a Client<'a>, descriptor: &'a Descriptor, offset: u64) -> Blob<'a> {
        Blob {
            client,
            descriptor,
            path: format!("blobs/{}", descriptor.digest),
            what: format!("blob {}", descriptor.digest),
            body: None,
            offset,
            breaks: 0,
            broken_at: offset,
        }
    }

    /// Starts a transfer at `offset`; `None` if it broke before that point.
    fn open(&self) -> Result<Option<BodyReader<'static>>, Error> {
        let ask = Ask { offset: self.offset, ..Ask::get(&self.what, &self.path, "*/*") };
        let response = self.client.open(&ask)?;
        let (start, length) = (first_byte(&response), content_length(&response));
        let size = self.descriptor.size;
        if start > self.offset || length.is_some_and(|length| start.saturating_add(length) != size) {
            let total = length.map_or_else(|| "unknown".to_owned(), |length| start.saturating_add(length).to_string());
            let cause = format!("{} has {total} bytes, not {size} as its manifest says", self.what);
            return Err(self.client.protocol(cause));
        }
        let mut body = response.into_body().into_reader();
        // A registry without ranges begins anew: what is here already is thrown away.
        let known = self.offset - start;
        let skipped = io::copy(&mut (&mut body).take(known), &mut io::sink());
        Ok(skipped.is_ok_and(|count| count == known).then_some(body))
    }

    fn cut_short(&self, cause: &str) -> Error {
        Error::Unavailable {
            host: self.client.authority().to_owned(),
            cause: format!("{} broke off at byte {} of {}: {cause}", self.what, self.offset, self.descriptor.size),
        }
    }

    /// Notes a break; waits before the next try or gives up.
    fn broken(&mut self, cause: &str) -> Result<(), Error> {
        self.body = None;
        if self.offset - self.broken_at >= PROGRESS_BYTES {
            self.breaks = 0;
        }
        self.breaks += 1;
        self.broken_at = self.offset;
        match retry::wait_before(Again::Backoff, self.breaks) {
            Some(wait) => {
                std::thread::sleep(wait);
                Ok(())
            }
            None => Err(self.cut_short(cause)),
        }
    }

    /// The connection serves again only when the transport has seen the end of the answer.
    fn release_at_end(&mut self) {
        if self.offset == self.descriptor.size
            && let Some(mut body) = self.body.take()
        {
            // All bytes are here: what comes instead of the end does not matter.
            let _ = body.read(&mut [0]);
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            if self.body.is_none() {
                self.body = self.open()?;
            }
            let cause = match self.body.as_mut().map(|body| body.read(buffer)) {
                Some(Ok(count)) if count > 0 => {
                    self.offset += count as u64;
                    self.release_at_end();
                    return Ok(count);
                }
                Some(Err(error)) => error.to_string(),
                Some(Ok(_)) | None => "the connection was closed".to_owned(),
            };
            self.broken(&cause)?;
        }
    }
}

impl Read for Blob<'_> {
    /// Ends after as many bytes as the descriptor says, whatever more the registry would send.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.descriptor.size.saturating_sub(self.offset);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        self.fill(&mut buffer[..length]).map_err(io::Error::other)
    }
}

/// Where the body starts within the blob: nonzero for 206 with `Content-Range: bytes N-…`. One
/// that cannot be read is taken to be past every offset, so that it is refused.
fn first_byte<T>(response: &Response<T>) -> u64 {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return 0;
    }
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range
        .and_then(|text| text.trim().strip_prefix("bytes"))
        .and_then(|text| text.trim_start().split('-').next())
        .and_then(|first| first.parse().ok())
        .unwrap_or(u64::MAX)
}

fn content_length<T>(response: &Response<T>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
