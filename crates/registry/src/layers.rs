//! All layers of an image, a few at a time: each thread takes the next one, downloads it and feeds
//! it to the store, which verifies and unpacks while bytes arrive and keeps what has come for the case that the
//! download is interrupted. `pull` calls it.

use std::collections::HashSet;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use image::Ingest;
use spec::Digest;
use spec::image::Descriptor;

use crate::Error;
use crate::blob::Blob;
use crate::client::Client;
use crate::progress::{Progress, Step};
use crate::workers::{self, Reporter};

/// Shortest time between two reports of a transfer.
pub const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A layer: its blob and the digest of what it unpacks to.
pub struct Layer<'a> {
    pub blob: &'a Descriptor,
    pub diff_id: &'a Digest,
}

/// What a thread has to say about a layer.
type Event = (Digest, Step);

/// Brings all `layers` into the store, `at_once` at a time. The first failure stops the others. Gives those that were
/// fetched: of these it is certain that the blob unpacks to what it should, of others only their manifest says so.
pub fn fetch<'a>(
    client: &Client<'_>,
    ingest: &Ingest,
    layers: &'a [Layer<'a>],
    at_once: Option<NonZeroUsize>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<&'a Layer<'a>>, Error> {
    let wanted = wanted(ingest, layers, progress)?;
    let work = |layer: &&Layer<'_>, reporter: &Reporter<'_, Event>| bring(client, ingest, layer, reporter);
    workers::run(&wanted, at_once, work, |(digest, step)| progress(Progress::Layer { digest: &digest, step }))?;
    Ok(wanted)
}

/// The layers that have to be fetched, each once even if the image has it twice.
fn wanted<'a>(
    ingest: &Ingest,
    layers: &'a [Layer<'a>],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<&'a Layer<'a>>, Error> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for layer in layers.iter().filter(|layer| seen.insert((&layer.blob.digest, layer.diff_id))) {
        let present = ingest.has_layer(layer.blob, layer.diff_id)?;
        let step = if present { Step::AlreadyExists } else { Step::Waiting };
        progress(Progress::Layer { digest: &layer.blob.digest, step });
        if !present {
            wanted.push(layer);
        }
    }
    Ok(wanted)
}

fn bring(client: &Client<'_>, ingest: &Ingest, layer: &Layer<'_>, reporter: &Reporter<'_, Event>) -> Result<(), Error> {
    let digest = &layer.blob.digest;
    let source = |offset: u64| Metered {
        blob: Blob::from(client, layer.blob, offset),
        digest,
        read: offset,
        total: layer.blob.size,
        reported: None,
        reporter,
    };
    ingest.resume_layer(layer.blob, layer.diff_id, source)?;
    reporter.report((digest.clone(), Step::Complete));
    Ok(())
}

/// A blob that reports how far it is and ends when another layer failed.
struct Metered<'a> {
    blob: Blob<'a>,
    digest: &'a Digest,
    read: u64,
    total: u64,
    reported: Option<Instant>,
    reporter: &'a Reporter<'a, Event>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.reporter.is_stopped() {
            return Err(io::Error::other("another layer failed"));
        }
        let count = self.blob.read(buffer)?;
        if count == 0 {
            return Ok(0);
        }
        self.read += count as u64;
        let last = self.read == self.total;
        if last || self.reported.is_none_or(|then| then.elapsed() >= REPORT_EVERY) {
            self.reported = Some(Instant::now());
            let step = Step::Downloading { current: self.read, total: self.total };
            self.reporter.report((self.digest.clone(), step));
        }
        if last {
            self.reporter.report((self.digest.clone(), Step::Extracting));
        }
        Ok(count)
    }
}
