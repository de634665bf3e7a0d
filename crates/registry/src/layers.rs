//! All layers of an image, a few at a time: each thread takes the next one, downloads it and feeds
//! it to the store, which verifies and unpacks while bytes arrive. `pull` calls it. Progress goes
//! through a channel to the caller's thread, so that the caller's callback need not be `Send`.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use image::Ingest;
use spec::Digest;
use spec::image::Descriptor;

use crate::Error;
use crate::blob::Blob;
use crate::client::Client;
use crate::progress::{Progress, Step};

/// Layers at once unless told otherwise: as docker. More only share the same line.
pub const AT_ONCE: usize = 3;
/// Shortest time between two reports of a download.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A layer: its blob and the digest of what it unpacks to.
pub struct Layer<'a> {
    pub blob: &'a Descriptor,
    pub diff_id: &'a Digest,
}

/// What a thread has to say about layer number `.0`.
type Event = (usize, Step);

/// Brings all `layers` into the store, `at_once` at a time. The first failure stops the others.
pub fn fetch(
    client: &Client<'_>,
    ingest: &Ingest,
    layers: &[Layer<'_>],
    at_once: usize,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let wanted = wanted(ingest, layers, progress)?;
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (sender, events) = mpsc::channel::<Event>();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.min(wanted.len()))
            .map(|_| {
                let sender = sender.clone();
                let (next, stop, wanted) = (&next, &stop, &wanted);
                scope.spawn(move || work(client, ingest, wanted, next, stop, &sender))
            })
            .collect();
        // The channel ends when the last thread does.
        drop(sender);
        for (index, step) in events {
            progress(Progress::Layer { digest: &wanted[index].blob.digest, step });
        }
        let mut outcome = Ok(());
        for worker in workers {
            let result = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // Those stopped because of another's failure report nothing of their own.
            if outcome.is_ok() {
                outcome = result;
            }
        }
        outcome
    })
}

/// The layers that have to be fetched, each once even if the image has it twice.
fn wanted<'a>(
    ingest: &Ingest,
    layers: &'a [Layer<'a>],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<&'a Layer<'a>>, Error> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for layer in layers.iter().filter(|layer| seen.insert(&layer.blob.digest)) {
        let present = ingest.has_layer(layer.blob, layer.diff_id)?;
        let step = if present { Step::AlreadyExists } else { Step::Waiting };
        progress(Progress::Layer { digest: &layer.blob.digest, step });
        if !present {
            wanted.push(layer);
        }
    }
    Ok(wanted)
}

/// One thread: takes layers until there are none or one has failed.
fn work(
    client: &Client<'_>,
    ingest: &Ingest,
    layers: &[&Layer<'_>],
    next: &AtomicUsize,
    stop: &AtomicBool,
    events: &Sender<Event>,
) -> Result<(), Error> {
    while !stop.load(Ordering::Relaxed) {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(layer) = layers.get(index) else { break };
        let mut source = Metered {
            blob: Blob::new(client, layer.blob),
            index,
            read: 0,
            total: layer.blob.size,
            reported: None,
            stop,
            events,
        };
        if let Err(error) = ingest.layer(&mut source, layer.blob, Some(layer.diff_id)) {
            let first = !stop.swap(true, Ordering::Relaxed);
            // A failed transfer says more than the store's "cannot read".
            let error = source.blob.take_error().unwrap_or_else(|| error.into());
            return if first { Err(error) } else { Ok(()) };
        }
        report(events, index, Step::Complete);
    }
    Ok(())
}

/// The receiver lives as long as the scope: sending cannot fail in a way that matters.
fn report(events: &Sender<Event>, index: usize, step: Step) {
    let _ = events.send((index, step));
}

/// A blob that reports how far it is and ends when another layer failed.
struct Metered<'a> {
    blob: Blob<'a>,
    index: usize,
    read: u64,
    total: u64,
    reported: Option<Instant>,
    stop: &'a AtomicBool,
    events: &'a Sender<Event>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
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
            report(self.events, self.index, Step::Downloading { current: self.read, total: self.total });
        }
        if last {
            report(self.events, self.index, Step::Extracting);
        }
        Ok(count)
    }
}
