//! Connections that break in the middle of a blob.

use std::sync::atomic::{AtomicUsize, Ordering};

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
