//! Pulling when all is well: whole images, only what is missing, the right platform.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Error, Progress, PullOptions, Step};
use spec::image::{Descriptor, ImageConfig, media_type};
use spec::{Digest, Reference};

use crate::fixture::{self, Fixture, NAME};
use crate::place::Place;
use crate::scripted::Server;

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
    let pulled =
        registry::pull(&place.session(), &place.store(), &reference, &PullOptions::default(), &mut note).unwrap();
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
    assert_eq!(pulled.image.size(&place.store()), 10 + 200_000 + 3000 + 1);
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let image = Fixture::new(&[10, 20]);
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    assert!(!place.pull(&server).unwrap().already_present);
    let blobs = server.count("/blobs/");
    let again = place.pull(&server).unwrap();
    assert!(again.already_present);
    assert_eq!(server.count("/blobs/"), blobs);
    let names: Vec<String> = again.image.names.iter().map(ToString::to_string).collect();
    let name = format!("{}/{NAME}", server.authority);
    assert_eq!(names, [format!("{name}:latest"), format!("{name}@{}", again.digest)]);
}

#[test]
fn a_lost_layer_is_fetched_again() {
    let image = Fixture::new(&[10, 20]);
    let path = image.layer_path(1);
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let layer = place.layer(&place.pull(&server).unwrap().image, 1);
    std::fs::remove_dir_all(&layer).unwrap();
    let again = place.pull(&server).unwrap();
    assert!(again.already_present);
    assert!(layer.exists());
    assert_eq!(server.count(&path), 2);
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
    assert_eq!(pulled.image.size(&place.store()), 500 + 700);
    assert_eq!(server.count(&shared), 1);
}

#[test]
fn a_layer_used_twice_is_fetched_once() {
    let image = Fixture::new(&[50, 60, 50]);
    // Same size, other name: make the third the first.
    let mut config = ImageConfig::parse(&image.blobs[image.manifest.config.digest.as_str()]).unwrap();
    config.rootfs.diff_ids[2] = config.rootfs.diff_ids[0].clone();
    let bytes = config.to_bytes();
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, fixture::sha256(&bytes), bytes.len() as u64);
    let mut image = image.edit(|manifest| {
        manifest.layers[2] = manifest.layers[0].clone();
        manifest.config = descriptor.clone();
    });
    image.blobs.insert(descriptor.digest.to_string(), bytes);
    let path = image.layer_path(0);
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let pulled = place.pull(&server).unwrap();
    assert_eq!(pulled.image.size(&place.store()), 50 + 60 + 50);
    assert_eq!(server.count(&path), 1);
}

#[test]
fn loopback_may_have_any_certificate() {
    let image = Fixture::new(&[100_000, 10]);
    let server = Server::start_tls(move |request| image.reply(request));
    Place::new().pull(&server).unwrap();
    assert_eq!(server.count("/manifests/"), 1);
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
        let options = PullOptions { platform: Some(platform.parse().unwrap()), ..PullOptions::default() };
        let pulled = place.pull_as(&name, &options).unwrap();
        assert_eq!(pulled.image.manifest_digest, expected);
        assert_eq!(pulled.digest, index_digest);
    }
    let place = Place::new();
    let options = PullOptions { platform: Some("linux/s390x".parse().unwrap()), ..PullOptions::default() };
    let error = place.pull_as(&name, &options).unwrap_err();
    assert!(matches!(error, Error::Platform { .. }), "{error}");
    assert!(error.to_string().ends_with("--platform one of: linux/arm64/v8, linux/amd64"), "{error}");
}

#[test]
fn a_lone_manifest_must_fit_the_platform_asked_for() {
    let image = Fixture::for_architecture(&[10], "s390x");
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let options = PullOptions { platform: Some("linux/amd64".parse().unwrap()), ..PullOptions::default() };
    let name = format!("{}/{NAME}", server.authority);
    let error = place.pull_as(&name, &options).unwrap_err().to_string();
    assert!(error.ends_with("it is for linux/s390x, not linux/amd64"), "{error}");
}

#[test]
fn a_manifest_of_an_index_by_its_digest() {
    let (here, other) = (Fixture::new(&[10]), Fixture::for_architecture(&[20], "s390x"));
    let index = fixture::index(&[("linux/amd64", &here), ("linux/s390x", &other)]);
    let memory = crate::memory::Memory::default();
    memory.put_image(NAME, "one", &here);
    memory.put_image(NAME, "two", &other);
    let digest = memory.put_manifest(NAME, "latest", media_type::OCI_INDEX, &index);
    let server = Server::start(move |request| memory.reply(request));
    let place = Place::new();
    let name = format!("{}/{NAME}@{digest}", server.authority);
    let with = |manifest: Digest| PullOptions { manifest: Some(manifest), ..PullOptions::default() };
    let pulled = place.pull_as(&name, &with(other.digest())).unwrap();
    assert_eq!((&pulled.image.manifest_digest, &pulled.digest), (&other.digest(), &digest));
    assert_eq!(pulled.image.names[0].digest(), Some(&digest), "it is called as what led to it");
    let error = place.pull_as(&name, &with(Digest::from_hash(&[1; 32]))).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
