//! Connections that break in the middle of a blob.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use registry::Error;

use crate::fixture::{self, Fixture};
use crate::place::{Place, failure};
use crate::scripted::{Reply, Server};

/// Serves the layer in pieces of `piece` bytes; `ranges`: whether it honours them.
fn in_pieces(piece: usize, ranges: bool) -> Server {
    let image = Fixture::new(&[300_000]);
    let path = image.layer_path(0);
    let served = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.path != path {
            return image.reply(request);
        }
        if ranges {
            return image.reply(request).cut_after(piece);
        }
        let times = served.fetch_add(1, Ordering::SeqCst) + 1;
        Reply::new(200, image.blob(request)).cut_after(times * piece)
    })
}

#[test]
fn broken_transfers_go_on_where_they_stopped() {
    let server = in_pieces(100_000, true);
    Place::new().pull(&server).unwrap();
    let ranges: Vec<_> = server.requests().iter().filter_map(fixture::first_byte).collect();
    assert_eq!(ranges, [100_000, 200_000, 300_000]);
}

#[test]
fn broken_transfers_start_anew_where_ranges_are_unknown() {
    let server = in_pieces(120_000, false);
    Place::new().pull(&server).unwrap();
}

#[test]
fn a_transfer_that_gets_nowhere_ends() {
    let (error, server) = failure(|image, request| match request.path == image.layer_path(0) {
        true => Reply::new(200, image.blob(request)).cut_after(100),
        false => image.reply(request),
    });
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("broke off at byte 100 of"), "{error}");
    assert_eq!(server.count("/blobs/"), 1 + 5);
}

#[test]
fn ranges_that_skip_bytes_are_refused() {
    let (error, _) = failure(|image, request| {
        if request.path != image.layer_path(0) {
            return image.reply(request);
        }
        let blob = image.blob(request);
        match fixture::first_byte(request) {
            None => Reply::new(200, blob).cut_after(100),
            Some(_) => Reply::new(206, &blob[200..]).with("content-range", "bytes 200-*/*"),
        }
    });
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

/// As after a kill: what has come stays in the store, and only the rest is asked for.
#[test]
fn a_later_pull_goes_on_where_an_earlier_one_was_interrupted() {
    const SIZE: usize = 3_000_000;
    let image = Fixture::new(&[SIZE, 10]);
    let (path, large) = (image.layer_path(0), image.layer_path(0));
    let is_dead = Arc::new(AtomicBool::new(true));
    let dead = Arc::clone(&is_dead);
    let server = Server::start(move |request| match request.path == path && dead.load(Ordering::SeqCst) {
        true if request.header("range").is_none() => image.reply(request).cut_after(2_000_000),
        true => Reply::error(404, "BLOB_UNKNOWN", "gone"),
        false => image.reply(request),
    });
    let place = Place::new();
    place.pull(&server).unwrap_err();
    is_dead.store(false, Ordering::SeqCst);
    let before = server.requests().len();
    let pulled = place.pull(&server).unwrap();
    assert_eq!(pulled.image.size(&place.store()), SIZE as u64 + 10);
    let requests = server.requests();
    let later: Vec<_> = requests[before..].iter().filter(|request| request.path == large).collect();
    assert_eq!(later.iter().filter_map(|request| fixture::first_byte(request)).collect::<Vec<_>>(), [2_000_000]);
    assert_eq!(later.len(), 1);
}
