//! Only what is right and whole gets into the store, and an error leaves nothing.

use super::*;
use crate::compress::GzipWriter;
use crate::testing::{Scratch, tar_of};

struct Fixture {
    scratch: Scratch,
    store: Store,
}

impl Fixture {
    fn new() -> Fixture {
        let scratch = Scratch::new("ingest");
        let store = Store::open(scratch.path()).unwrap();
        Fixture { scratch, store }
    }

    /// Files and directories in the places where images are.
    fn count(&self) -> usize {
        let count = |path: &str| std::fs::read_dir(self.scratch.path().join(path)).unwrap().count();
        count("images/blobs/sha256") + count("layers")
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzipWriter::new(Vec::new());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn describe(bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type::OCI_LAYER_GZIP, blob::digest_of(Algorithm::Sha256, bytes), bytes.len() as u64)
}

/// A configuration and manifest for layers.
fn image_of(layers: &[Layer]) -> (Descriptor, Vec<u8>, Vec<u8>) {
    let mut config = ImageConfig::default();
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = config.to_bytes();
    let descriptor = Descriptor { media_type: media_type::OCI_CONFIG.to_owned(), ..describe(&config) };
    let manifest = Manifest::new(descriptor.clone(), layers.iter().map(|layer| layer.descriptor.clone()).collect());
    (descriptor, config, manifest.to_bytes())
}

#[test]
fn gzip_zstd_and_plain() {
    let fixture = Fixture::new();
    let plain = tar_of(&[("x", b"12345"), ("d/", b"")]);
    let diff_id = blob::digest_of(Algorithm::Sha256, &plain);
    let ingest = fixture.store.ingest().unwrap();
    let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
    let mut layers = Vec::new();
    for (bytes, kind) in [
        (&gzip(&plain), media_type::OCI_LAYER_GZIP),
        (&zstd, media_type::OCI_LAYER_ZSTD),
        (&plain, media_type::OCI_LAYER),
    ] {
        let layer = ingest.layer(&mut bytes.as_slice(), &describe(bytes), Some(&diff_id)).unwrap();
        assert_eq!((&layer.diff_id, layer.size), (&diff_id, 5));
        assert_eq!(ingest.new_layer(&mut bytes.as_slice(), None).unwrap().descriptor.media_type, kind);
        layers.push(layer);
    }
    let (descriptor, config, manifest) = image_of(&layers[..1]);
    ingest.put_blob(&descriptor, &config).unwrap();
    let name = Reference::parse("a/b:c").unwrap();
    let image = ingest.finish(&manifest, media_type::OCI_MANIFEST, std::slice::from_ref(&name)).unwrap();
    drop(ingest);
    assert_eq!(image.names, [name]);
    assert_eq!(image.size(&fixture.store), 5);
    let found = fixture.store.resolve("a/b:c").unwrap();
    assert_eq!(std::fs::read(found.layers(&fixture.store)[0].join("x")).unwrap(), b"12345");
    assert!(std::fs::read_dir(fixture.scratch.path().join("layers")).unwrap().count() == 1, "no temporary directory");
}

#[test]
fn wrong_content_is_refused_and_leaves_nothing() {
    let fixture = Fixture::new();
    let plain = tar_of(&[("x", &[1; 100_000])]);
    let good = gzip(&plain);
    let other = blob::digest_of(Algorithm::Sha256, b"other");
    let diff_id = blob::digest_of(Algorithm::Sha256, &plain);
    let expected = describe(&good);
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let evil = gzip(&tar_of(&[("../x", b"")]));
    let ingest = fixture.store.ingest().unwrap();
    let layer = |bytes: &[u8], expected: &Descriptor, diff_id: &Digest| {
        ingest.layer(&mut &*bytes, expected, Some(diff_id)).map(|_| ()).map_err(|e| e.to_string())
    };
    for (bytes, expected, diff_id, why) in [
        (&flipped[..], &expected, &diff_id, "does not have the content it should"),
        (&good[..good.len() - 5], &expected, &diff_id, "less than"),
        (&[&good[..], b"more"].concat(), &expected, &diff_id, "more than"),
        (&good[..], &expected, &other, "does not have the content it should"),
        (&evil[..], &describe(&evil), &diff_id, "leads outside"),
        (&good[..50], &describe(&good[..50]), &diff_id, "cannot be decompressed"),
    ] {
        let error = layer(bytes, expected, diff_id).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
    let entries = std::fs::read_dir(&ingest.directory).unwrap().count();
    assert_eq!(entries, 0, "failed layers are removed at once");
    drop(ingest);
    assert_eq!(fixture.count(), 0);
}

#[test]
fn the_callers_errors_pass_through() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line is down"))
        }
    }
    let fixture = Fixture::new();
    let ingest = fixture.store.ingest().unwrap();
    let half = gzip(&tar_of(&[("x", &[1; 100_000])]));
    let error = ingest.layer(&mut half[..60].chain(Broken), &describe(&half), None).unwrap_err();
    assert!(matches!(error, Error::Stream(_)) && error.to_string() == "the line is down", "{error}");
}

#[test]
fn an_incomplete_image_is_no_image() {
    let fixture = Fixture::new();
    let ingest = fixture.store.ingest().unwrap();
    let layer = ingest.new_layer(&mut tar_of(&[("x", b"1")]).as_slice(), None).unwrap();
    let (descriptor, config, manifest) = image_of(std::slice::from_ref(&layer));
    let name = Reference::parse("a").unwrap();
    let finish = |manifest: &[u8]| ingest.finish(manifest, media_type::OCI_MANIFEST, std::slice::from_ref(&name));
    assert!(finish(&manifest).unwrap_err().to_string().contains("has not come"));
    ingest.put_blob(&descriptor, &config).unwrap();
    let too_many = Manifest::new(descriptor.clone(), vec![layer.descriptor.clone(); 2]).to_bytes();
    assert!(finish(&too_many).unwrap_err().to_string().contains("has 2 layers, its configuration 1"));
    assert!(finish(b"{}").is_err());
    assert!(fixture.store.list().unwrap().is_empty());
    drop(ingest);
    assert_eq!(fixture.count(), 0);
}

#[test]
fn several_at_once_and_the_same_twice() {
    let fixture = Fixture::new();
    let archives: Vec<Vec<u8>> = (0..4).map(|n| tar_of(&[(&format!("file{n}"), &[n; 70_000])])).collect();
    let pull = || {
        let ingest = fixture.store.ingest().unwrap();
        let layers: Vec<Layer> = std::thread::scope(|scope| {
            let take = |archive: &Vec<u8>| ingest.new_layer(&mut archive.as_slice(), None).unwrap();
            let workers: Vec<_> = archives.iter().map(|archive| scope.spawn(move || take(archive))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        let (descriptor, config, manifest) = image_of(&layers);
        ingest.put_blob(&descriptor, &config).unwrap();
        ingest.finish(&manifest, media_type::OCI_MANIFEST, &[Reference::parse("a").unwrap()]).unwrap()
    };
    let first = pull();
    assert_eq!(pull().id, first.id);
    assert_eq!(fixture.count(), 4 + 2 + 4);
    assert_eq!(fixture.store.list().unwrap().len(), 1);
}
