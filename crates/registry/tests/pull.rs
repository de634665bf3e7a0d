//! Pulling from a registry that follows a script: what happens when it is well, slow to give,
//! wrong, or broken. The store is a real one in a temporary directory.

mod scripted;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use registry::{Error, Progress, PullOptions, Pulled, Step};
use scripted::fixture::{self, Fixture, NAME};
use scripted::{Reply, Request, Server};
use spec::Reference;
use spec::image::media_type;

/// A store that goes with the test.
struct Place {
    path: PathBuf,
}

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("brig-registry-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Place { path }
    }

    fn store(&self) -> image::Store {
        image::Store::open(&self.path.join("root")).expect("a store opens in an empty directory")
    }

    fn options(&self) -> PullOptions {
        // Not the user's own, whatever this test runs as.
        PullOptions { credentials_file: Some(self.path.join("config.json")), ..PullOptions::default() }
    }

    fn log_in(&self, registry: &str) {
        // user:secret
        let text = format!(r#"{{"auths":{{"{registry}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#);
        std::fs::write(self.path.join("config.json"), text).expect("the temporary directory is writable");
    }

    fn pull(&self, server: &Server) -> Result<Pulled, Error> {
        self.pull_as(&format!("{}/{NAME}", server.authority), &self.options())
    }

    fn pull_as(&self, name: &str, options: &PullOptions) -> Result<Pulled, Error> {
        let reference = Reference::parse(name).expect("tests use valid names");
        registry::pull(&self.store(), &reference, options, &mut |_| ())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// Pulls what `script` serves in place of an image with one layer; gives the error's text.
fn failure(script: impl Fn(&Fixture, &Request) -> Reply + Send + Sync + 'static) -> (Error, Server) {
    let image = Fixture::new(&[1000]);
    let server = Server::start(move |request| script(&image, request));
    let place = Place::new();
    let error = place.pull(&server).expect_err("the script breaks the pull");
    let name = format!("{}/{NAME}:latest", server.authority);
    assert!(place.store().resolve(&name).is_err(), "no half-made image after {error}");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    (error, server)
}

#[test]
fn an_image_arrives_whole() {
    let image = Fixture::new(&[10, 200_000, 3000, 1]);
    let digest = image.digest();
    let blobs: Vec<_> = image.manifest.layers.iter().map(|layer| layer.digest.clone()).collect();
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let reference = Reference::parse(&format!("{}/{NAME}", server.authority)).unwrap();
    let mut steps = Vec::new();
    let mut begun = 0;
    let mut note = |event: Progress<'_>| match event {
        Progress::Begin => begun += 1,
        Progress::Layer { digest, step } => steps.push((digest.clone(), step)),
    };
    let pulled = registry::pull(&place.store(), &reference, &place.options(), &mut note).unwrap();
    assert_eq!(begun, 1);
    assert!(!pulled.already_present);
    assert_eq!(pulled.digest, digest);
    assert_eq!(pulled.image.manifest_digest, digest);
    for blob in blobs {
        let of_layer: Vec<_> = steps.iter().filter(|(d, _)| *d == blob).map(|(_, step)| *step).collect();
        assert_eq!(of_layer.first(), Some(&Step::Waiting));
        assert!(of_layer.contains(&Step::Extracting));
        assert_eq!(of_layer.last(), Some(&Step::Complete));
    }
    let layers = pulled.image.layers(&place.store());
    let sizes: Vec<_> = [3, 2, 1, 0]
        .iter()
        .zip(&layers)
        .map(|(n, path)| path.join(format!("layer{n}")).metadata().unwrap().len())
        .collect();
    assert_eq!(sizes, [1, 3000, 200_000, 10], "layers are given top first");
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let image = Fixture::new(&[10, 20]);
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    assert!(!place.pull(&server).unwrap().already_present);
    let blobs = server.count("/blobs/");
    assert!(place.pull(&server).unwrap().already_present);
    assert_eq!(server.count("/blobs/"), blobs);
}

#[test]
fn shared_layers_are_fetched_once() {
    let (first, second) = (Fixture::new(&[500]), Fixture::new(&[500, 700]));
    let shared = first.layer_path(0);
    let serve_second = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.path.contains("/manifests/") && serve_second.fetch_add(1, Ordering::SeqCst) == 1
            || request.path.contains("/blobs/") && !first.blobs.keys().any(|digest| request.path.ends_with(digest))
        {
            return second.reply(request);
        }
        first.reply(request)
    });
    let place = Place::new();
    place.pull(&server).unwrap();
    let pulled = place.pull(&server).unwrap();
    assert_eq!(pulled.image.layers(&place.store()).len(), 2);
    assert_eq!(server.count(&shared), 1);
}

#[test]
fn a_layer_used_twice_is_fetched_once() {
    let image = Fixture::new(&[50, 60, 50]);
    // Same size, other name: make the third the first.
    let mut config: spec::image::ImageConfig =
        spec::image::ImageConfig::parse(&image.blobs[image.manifest.config.digest.as_str()]).unwrap();
    config.rootfs.diff_ids[2] = config.rootfs.diff_ids[0].clone();
    let bytes = config.to_bytes();
    let descriptor = spec::image::Descriptor::new(media_type::OCI_CONFIG, fixture::sha256(&bytes), bytes.len() as u64);
    let mut image = image.edit(|manifest| {
        manifest.layers[2] = manifest.layers[0].clone();
        manifest.config = descriptor.clone();
    });
    image.blobs.insert(descriptor.digest.to_string(), bytes);
    let path = image.layer_path(0);
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let pulled = place.pull(&server).unwrap();
    assert_eq!(pulled.image.layers(&place.store()).len(), 3);
    assert_eq!(server.count(&path), 1);
}

/// A registry that wants a token, which its `/token` gives for `password`, or to anyone.
fn guarded(image: Fixture, password: Option<&'static str>) -> Server {
    Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        if let Some(query) = request.path.strip_prefix("/token?") {
            assert_eq!(query, format!("service=here&scope=repository:{NAME}:pull"));
            return match password {
                Some(password) if request.header("authorization") != Some(password) => {
                    Reply::error(401, "UNAUTHORIZED", "incorrect username or password")
                }
                _ => Reply::new(200, r#"{"token":"ticket","expires_in":60}"#),
            };
        }
        if request.header("authorization") != Some("Bearer ticket") {
            let challenge =
                format!("Bearer realm=\"http://{host}/token\",service=\"here\",scope=\"repository:{NAME}:pull\"");
            return Reply::error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge);
        }
        image.reply(request)
    })
}

#[test]
fn a_token_is_fetched_once_without_a_password() {
    let server = guarded(Fixture::new(&[10, 20]), None);
    Place::new().pull(&server).unwrap();
    assert_eq!(server.count("/token"), 1);
    assert_eq!(server.count("/manifests/"), 2);
}

#[test]
fn a_token_is_fetched_with_the_stored_password() {
    let server = guarded(Fixture::new(&[10]), Some(BASIC));
    let place = Place::new();
    place.log_in(&server.authority);
    place.pull(&server).unwrap();
    let leaked = server
        .requests()
        .iter()
        .any(|request| !request.path.starts_with("/token") && request.header("authorization") == Some(BASIC));
    assert!(!leaked, "the password is for the token server only");
}

#[test]
fn a_refused_password_is_reported() {
    let server = guarded(Fixture::new(&[10]), Some("Basic other"));
    let place = Place::new();
    place.log_in(&server.authority);
    let error = place.pull(&server).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("pull access denied for {}/{NAME},", server.authority)), "{text}");
    assert!(text.contains("was refused") && text.ends_with("unauthorized: incorrect username or password"), "{text}");
}

#[test]
fn an_expired_token_is_renewed() {
    let image = Fixture::new(&[10, 20, 30]);
    let tickets = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let now = tickets.load(Ordering::SeqCst);
        if request.path.starts_with("/token") {
            let ticket = tickets.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::new(200, format!(r#"{{"access_token":"ticket{ticket}"}}"#));
        }
        // The first ticket is good for the manifest alone.
        let good = request.header("authorization").is_some_and(|value| value.starts_with("Bearer ticket"))
            && (now > 1 || request.path.contains("/manifests/"));
        if good {
            return image.reply(request);
        }
        let host = request.header("host").unwrap_or_default();
        Reply::error(401, "UNAUTHORIZED", "").with("www-authenticate", format!("Bearer realm=\"http://{host}/token\""))
    });
    Place::new().pull(&server).unwrap();
}

#[test]
fn basic_login() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| match request.header("authorization") {
        Some(BASIC) => image.reply(request),
        _ => Reply::error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    let error = place.pull(&server).unwrap_err().to_string();
    assert!(error.contains("may require 'docker login' (no user for it in /"), "{error}");
    place.log_in(&server.authority);
    place.pull(&server).unwrap();
}

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
    let error = place.pull_as(&format!("{gone}/x"), &place.options()).unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot reach registry {gone}: ")), "{error}");
}

#[test]
fn redirects_do_not_carry_the_login() {
    let image = Fixture::new(&[4000]);
    let (path, blobs) = (image.layer_path(0), image.blobs.clone());
    let storage = Server::start(move |request| {
        assert_eq!(request.header("authorization"), None);
        let digest = request.path.trim_start_matches("/storage/");
        Reply::new(200, blobs[digest].clone())
    });
    let elsewhere = storage.authority.clone();
    let registry = Server::start(move |request| match request.header("authorization") {
        Some(BASIC) if request.path.contains("/blobs/") => {
            let digest = request.path.rsplit('/').next().unwrap_or_default();
            Reply::new(307, "moved").with("location", format!("http://{elsewhere}/storage/{digest}"))
        }
        Some(BASIC) => image.reply(request),
        _ => Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    place.log_in(&registry.authority);
    place.pull(&registry).unwrap();
    assert_eq!(registry.count(&path), 1);
    assert_eq!(storage.requests().len(), 2, "configuration and layer");
}

#[test]
fn redirects_on_the_same_host_keep_the_login_and_end() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| match request.header("authorization") {
        Some(BASIC) => match request.path.strip_prefix("/there") {
            None => Reply::new(302, "").with("location", format!("/there{}", request.path)),
            Some(_) => {
                let inner = request.at(request.path.trim_start_matches("/there"));
                image.reply(&inner)
            }
        },
        _ => Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    place.log_in(&server.authority);
    place.pull(&server).unwrap();
    let (error, _) = failure(|_, request| Reply::new(302, "").with("location", request.path.clone()));
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[test]
fn a_login_asked_for_by_another_host_gets_none() {
    let thief = Server::start(|request| {
        assert_eq!(request.header("authorization"), None);
        Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\"")
    });
    let there = thief.authority.clone();
    let server = Server::start(move |_| Reply::new(302, "").with("location", format!("http://{there}/x")));
    let place = Place::new();
    place.log_in(&server.authority);
    let error = place.pull(&server).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert_eq!(thief.requests().len(), 1);
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
fn what_is_asked_for_by_digest_has_it() {
    let image = Fixture::new(&[10]);
    let digest = image.digest();
    let other = Fixture::new(&[11]);
    let honest = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let pulled = place.pull_as(&format!("{}/{NAME}@{digest}", honest.authority), &place.options()).unwrap();
    assert_eq!(pulled.digest, digest);
    let liar = Server::start(move |request| match request.path.contains("/manifests/") {
        true => fixture::manifest_reply(media_type::OCI_MANIFEST, &other.manifest_bytes),
        false => other.reply(request),
    });
    let error = place.pull_as(&format!("{}/{NAME}@{digest}", liar.authority), &place.options()).unwrap_err();
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
        assert!(error.to_string().contains("digest") || which == "layer", "{which}: {error}");
    }
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

#[test]
fn an_index_is_searched_for_the_platform() {
    let (arm, amd) = (Fixture::for_architecture(&[10], "arm64"), Fixture::new(&[20]));
    let (arm_digest, amd_digest) = (arm.digest(), amd.digest());
    let index = fixture::index(&[("linux/arm64", &arm), ("linux/amd64", &amd)]);
    let index_digest = fixture::sha256(&index);
    let server = Server::start(move |request| {
        if request.path.ends_with("/manifests/latest") {
            return fixture::manifest_reply(media_type::OCI_INDEX, &index);
        }
        let from_arm = request.path.ends_with(arm.digest().as_str())
            || arm.blobs.keys().any(|digest| request.path.ends_with(digest));
        if from_arm { arm.reply(request) } else { amd.reply(request) }
    });
    let name = format!("{}/{NAME}", server.authority);
    for (platform, expected) in [("linux/arm64", arm_digest), ("linux/amd64", amd_digest)] {
        let place = Place::new();
        let options = PullOptions { platform: Some(platform.parse().unwrap()), ..place.options() };
        let pulled = place.pull_as(&name, &options).unwrap();
        assert_eq!(pulled.image.manifest_digest, expected);
        assert_eq!(pulled.digest, index_digest);
    }
    let place = Place::new();
    let options = PullOptions { platform: Some("linux/s390x".parse().unwrap()), ..place.options() };
    let error = place.pull_as(&name, &options).unwrap_err();
    assert!(matches!(error, Error::Platform { .. }), "{error}");
    assert!(error.to_string().ends_with("--platform one of: linux/arm64/v8, linux/amd64"), "{error}");
}

#[test]
fn a_lone_manifest_must_fit_the_platform_asked_for() {
    let image = Fixture::for_architecture(&[10], "s390x");
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let options = PullOptions { platform: Some("linux/amd64".parse().unwrap()), ..place.options() };
    let name = format!("{}/{NAME}", server.authority);
    let error = place.pull_as(&name, &options).unwrap_err().to_string();
    assert!(error.ends_with("it is for linux/s390x, not linux/amd64"), "{error}");
}

#[test]
fn documents_that_are_no_images() {
    let (error, _) = failure(|_, _| Reply::new(200, vec![b' '; (4 << 20) + 1]));
    assert!(error.to_string().contains("is larger than 4 MiB"), "{error}");
    let schema1 = r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#;
    let (error, _) = failure(move |_, _| {
        Reply::new(200, schema1)
            .with("content-type", media_type::DOCKER_SCHEMA1)
            .with("docker-content-digest", format!("sha256:{}", "0".repeat(64)))
    });
    assert!(error.to_string().contains("outdated schema 1"), "{error}");
    let (error, _) = failure(|_, _| Reply::new(200, "<html>Log in to the hotel's network</html>"));
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
