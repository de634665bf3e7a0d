//! Registries that refuse, fail, or send other bytes than they should: the error says so and the
//! store holds no trace.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Error, PullOptions};
use spec::image::media_type;

use crate::fixture::{self, Fixture, NAME};
use crate::place::{Place, failure};
use crate::scripted::{Reply, Server};

#[test]
fn refusals_have_dockers_words() {
    let (error, server) = failure(|_, _| Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    let expected =
        format!("manifest for {}/{NAME}:latest not found: manifest unknown: manifest unknown", server.authority);
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, Error::NotFound { .. }));
    let (error, server) = failure(|_, _| Reply::error(404, "NAME_UNKNOWN", "repository name not known to registry"));
    let expected = format!(
        "repository {}/{NAME} not found: name unknown: repository name not known to registry",
        server.authority
    );
    assert_eq!(error.to_string(), expected);
    let (error, _) = failure(|_, _| Reply::error(403, "DENIED", "requested access to the resource is denied"));
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(error.to_string().ends_with(": denied: requested access to the resource is denied"), "{error}");
    let (error, _) = failure(|_, _| Reply::new(418, "teapot"));
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[test]
fn a_missing_blob_is_named() {
    let (error, _) = failure(|image, request| match request.path == image.layer_path(0) {
        true => Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        false => image.reply(request),
    });
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().starts_with("blob sha256:"), "{error}");
}

#[test]
fn hiccups_are_sat_out() {
    let image = Fixture::new(&[10]);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::error(503, "UNAVAILABLE", "starting"),
        1 => Reply::error(429, "TOOMANYREQUESTS", "slow down").with("retry-after", "0"),
        2 => image.reply(request).cut_after(20),
        _ => image.reply(request),
    });
    Place::new().pull(&server).unwrap();
    assert_eq!(server.count("/manifests/"), 4);
}

#[test]
fn quotas_and_outages_end_the_pull() {
    let (error, server) =
        failure(|_, _| Reply::error(429, "TOOMANYREQUESTS", "pull rate limit").with("retry-after", "21600"));
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("toomanyrequests: pull rate limit"), "{error}");
    assert_eq!(server.requests().len(), 1);
    let (error, server) = failure(|_, _| Reply::new(500, "").with("retry-after", "0"));
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn nobody_there() {
    let gone = Server::start(|_| Reply::hang_up()).authority.clone();
    let place = Place::new();
    let error = place.pull_as(&format!("{gone}/x"), &PullOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot reach registry {gone}: ")), "{error}");
    // RFC 6761: no such host exists anywhere.
    let error = place.pull_as("brig.invalid/x", &PullOptions::default()).unwrap_err();
    let expected =
        "cannot reach registry brig.invalid: host not found; check its name, /etc/resolv.conf and the network";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn names_of_no_host() {
    let place = Place::new();
    for registry in ["reg.lan:99999", "[:]:5000"] {
        let error = place.pull_as(&format!("{registry}/x"), &PullOptions::default()).unwrap_err().to_string();
        assert!(error.contains("this is no address and port; check the name"), "{error}");
    }
}

#[test]
fn altered_manifests_are_refused() {
    let (error, _) = failure(|image, request| match request.path.contains("/manifests/") {
        true => Reply::new(200, image.manifest_bytes.clone())
            .with("docker-content-digest", format!("sha256:{}", "0".repeat(64))),
        false => image.reply(request),
    });
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

#[test]
fn altered_blobs_are_refused() {
    for which in ["config", "layer"] {
        let (error, _) = failure(move |image, request| {
            let path = match which {
                "config" => format!("/v2/{NAME}/blobs/{}", image.manifest.config.digest),
                _ => image.layer_path(0),
            };
            if request.path != path {
                return image.reply(request);
            }
            let mut bytes = image.blob(request);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Reply::new(200, bytes)
        });
        assert!(matches!(error, Error::Digest { .. }), "{which}: {error}");
    }
}

#[test]
fn what_is_asked_for_by_digest_has_it() {
    let image = Fixture::new(&[10]);
    let digest = image.digest();
    let other = Fixture::new(&[11]);
    let honest = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let pulled = place.pull_as(&format!("{}/{NAME}@{digest}", honest.authority), &PullOptions::default()).unwrap();
    assert_eq!(pulled.digest, digest);
    let liar = Server::start(move |request| match request.path.contains("/manifests/") {
        true => fixture::manifest_reply(media_type::OCI_MANIFEST, &other.manifest_bytes),
        false => other.reply(request),
    });
    let error = place.pull_as(&format!("{}/{NAME}@{digest}", liar.authority), &PullOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

#[test]
fn wrong_sizes_are_refused() {
    for change in [-1, 1] {
        let image = Fixture::new(&[1000]).edit(|manifest| {
            manifest.layers[0].size = manifest.layers[0].size.wrapping_add_signed(change);
        });
        let server = Server::start(move |request| image.reply(request));
        let error = Place::new().pull(&server).unwrap_err();
        assert!(error.to_string().contains("as its manifest says"), "{error}");
    }
}

#[test]
fn documents_that_are_no_images() {
    let (error, _) = failure(|_, _| Reply::new(200, vec![b' '; (4 << 20) + 1]));
    assert!(error.to_string().contains("is larger than 4 MiB"), "{error}");
    let schema1 = r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#;
    let (error, _) = failure(move |_, _| {
        Reply::new(200, schema1)
            .with("content-type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
            .with("docker-content-digest", format!("sha256:{}", "0".repeat(64)))
    });
    assert!(error.to_string().contains("outdated schema 1"), "{error}");
    let (error, _) = failure(|_, _| Reply::new(200, "<html>Log in to the hotel's network</html>"));
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
