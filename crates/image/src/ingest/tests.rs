//! Only what is right and whole gets into the store, and an error leaves nothing.

use super::*;
use crate::compress::GzipWriter;
use crate::testing::{Scratch, layer_file, tar_of};

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
    let (diff_id, plain_length) = (blob::digest_of(Algorithm::Sha256, &plain), plain.len() as u64);
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
        let new = ingest.new_layer(&mut bytes.as_slice(), None).unwrap().descriptor;
        let plain = Descriptor::new(media_type::OCI_LAYER, diff_id.clone(), plain_length);
        let as_it_came = Descriptor::new(kind, describe(bytes).digest, bytes.len() as u64);
        assert_eq!(new, if ingest.keeps_blobs() { as_it_came } else { plain });
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
    assert_eq!(layer_file(&fixture.store, &found, 0, "x").unwrap(), b"12345");
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
    assert!(!fixture.store.has_layers(&[diff_id]));
    let entries = std::fs::read_dir(&ingest.directory).unwrap().count();
    assert_eq!(entries, 0, "failed layers are removed at once");
    drop(ingest);
    assert_eq!(fixture.count(), 0);
}

#[test]
fn a_writer_that_gives_up_early_is_not_waited_for() {
    let fixture = Fixture::new();
    let ingest = fixture.store.ingest().unwrap();
    // The first entry is refused, and much follows.
    let archive = [tar_of(&[("../x", b"")]), tar_of(&[("big", &vec![0; 8 << 20])])].concat();
    let error = ingest.layer(&mut archive.as_slice(), &describe(&archive), None).unwrap_err();
    assert!(error.to_string().contains("leads outside"), "{error}");
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
    let other = Layer { diff_id: blob::digest_of(Algorithm::Sha256, b"other"), ..layer };
    let (descriptor, config, manifest) = image_of(&[other]);
    ingest.put_blob(&descriptor, &config).unwrap();
    assert!(finish(&manifest).unwrap_err().to_string().contains("needs layer sha256:d9298a"));
    assert!(finish(b"{}").is_err());
    assert!(fixture.store.list().unwrap().is_empty());
    drop(ingest);
    fixture.store.prune(false, &|| Ok(Vec::new())).unwrap();
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
    let kept = if fixture.store.ingest().unwrap().keeps_blobs() { 4 } else { 0 };
    assert_eq!(fixture.count(), kept + 2 + 4);
    assert_eq!(fixture.store.list().unwrap().len(), 1);
}

#[test]
fn the_archive_comes_back_byte_for_byte() {
    let plain =
        [tar_of(&[("d/", b""), ("d/x", &[7; 5000]), ("small", b"1"), ("l -> d/x", b"")]), vec![0; 9000]].concat();
    let diff_id = blob::digest_of(Algorithm::Sha256, &plain);
    for keep in [false, true] {
        let fixture = Fixture::new();
        let store = if keep { fixture.store.clone().keeping_blobs() } else { fixture.store.clone() };
        let ingest = store.ingest().unwrap();
        let packed = gzip(&plain);
        let layer = ingest.layer(&mut packed.as_slice(), &describe(&packed), None).unwrap();
        let (descriptor, config, manifest) = image_of(&[layer]);
        ingest.put_blob(&descriptor, &config).unwrap();
        ingest.finish(&manifest, media_type::OCI_MANIFEST, &[]).unwrap();
        assert_eq!(store.blob_path(&describe(&packed).digest).exists(), ingest.keeps_blobs());
        let mut archive = store.layer_archive(&diff_id).unwrap();
        assert_eq!(archive.length(), plain.len() as u64);
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes).unwrap();
        assert!(bytes == plain);
    }
}

#[test]
fn a_layer_that_came_before_the_kill_is_found() {
    let fixture = Fixture::new();
    let archive = tar_of(&[("x", &[1; 100_000])]);
    let ingest = fixture.store.ingest().unwrap();
    let layer = ingest.new_layer(&mut archive.as_slice(), None).unwrap();
    let keeps_blobs = ingest.keeps_blobs();
    // As after kill -9: nothing is cleaned up.
    std::mem::forget(ingest);
    assert_eq!(fixture.store.has_layers(std::slice::from_ref(&layer.diff_id)), !keeps_blobs);
}

/// Bytes that do not compress: a partial file is kept only from a certain size on.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line is down"))
        }
    }
    let fixture = Fixture::new();
    let archive = tar_of(&[("x", &noise(3 << 20))]);
    let diff_id = blob::digest_of(Algorithm::Sha256, &archive);
    let packed = gzip(&archive);
    let expected = describe(&packed);
    let half = packed.len() / 2;
    let ingest = fixture.store.ingest().unwrap();
    let error = ingest.resume_layer(&expected, &diff_id, |at| packed[at as usize..half].chain(Broken)).unwrap_err();
    assert_eq!(error.to_string(), "the line is down");
    drop(ingest);
    let left = || std::fs::read_dir(fixture.scratch.path().join("images/partial")).unwrap().count();
    assert_eq!(left(), 1);
    let ingest = fixture.store.ingest().unwrap();
    let mut offsets = Vec::new();
    let mut resume = |ingest: &Ingest| {
        ingest.resume_layer(&expected, &diff_id, |at| {
            offsets.push(at as usize);
            packed[at as usize..].chain(io::empty())
        })
    };
    assert_eq!(resume(&ingest).unwrap().diff_id, diff_id);
    assert_eq!(left(), 0);
    if !ingest.keeps_blobs() {
        resume(&ingest).unwrap();
    }
    assert_eq!(offsets, [half], "what is here is not asked for again");
}

#[test]
fn what_an_interrupted_download_left_may_be_damaged() {
    let fixture = Fixture::new();
    let archive = tar_of(&[("x", &noise(2 << 20))]);
    let packed = gzip(&archive);
    let diff_id = blob::digest_of(Algorithm::Sha256, &archive);
    let partial = fixture.scratch.path().join("images/partial");
    std::fs::create_dir(&partial).unwrap();
    let expected = describe(&packed);
    let path = partial.join(expected.digest.hex());
    for rubbish in [vec![9; 5000], vec![9; packed.len()], vec![9; packed.len() + 1]] {
        std::fs::write(&path, rubbish).unwrap();
        let ingest = fixture.store.ingest().unwrap();
        ingest.resume_layer(&expected, &diff_id, |at| &packed[at as usize..]).unwrap();
        assert!(!path.exists());
        drop(ingest);
        fixture.store.prune(true, &|| Ok(Vec::new())).unwrap();
    }
    // Nobody wants it any more.
    std::fs::write(&path, "half").unwrap();
    fixture.store.prune(false, &|| Ok(Vec::new())).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_damaged_document_is_replaced_by_a_sound_one() {
    let fixture = Fixture::new();
    let archive = tar_of(&[("x", b"1")]);
    let bring = || {
        let ingest = fixture.store.ingest()?;
        let layer = ingest.new_layer(&mut archive.as_slice(), None)?;
        let (descriptor, config, manifest) = image_of(&[layer]);
        ingest.put_blob(&descriptor, &config)?;
        ingest.finish(&manifest, media_type::OCI_MANIFEST, &[Reference::parse("a").unwrap()])
    };
    let image: Image = bring().unwrap();
    for digest in [&image.id, &image.manifest_digest] {
        std::fs::write(fixture.store.blob_path(digest), "nonsense").unwrap();
        let why = fixture.store.resolve("a").unwrap_err().to_string();
        assert!(why.contains(digest.hex()) && why.contains("image check --repair"), "{why}");
        bring().unwrap();
        fixture.store.resolve("a").unwrap();
    }
}

#[test]
fn an_image_upon_another_needs_no_more_than_was_kept_of_that() {
    let fixture = Fixture::new();
    let ingest = fixture.store.ingest().unwrap();
    let below = ingest.new_layer(&mut gzip(&tar_of(&[("x", b"1")])).as_slice(), None).unwrap();
    let (descriptor, config, manifest) = image_of(std::slice::from_ref(&below));
    ingest.put_blob(&descriptor, &config).unwrap();
    ingest.finish(&manifest, media_type::OCI_MANIFEST, &[]).unwrap();
    drop(ingest);
    let ingest = fixture.store.clone().keeping_blobs().ingest().unwrap();
    let above = ingest.new_layer(&mut tar_of(&[("y", b"2")]).as_slice(), None).unwrap();
    assert!(ingest.has_blob(&above.descriptor.digest));
    let (descriptor, config, manifest) = image_of(&[below, above]);
    ingest.put_blob(&descriptor, &config).unwrap();
    ingest.finish(&manifest, media_type::OCI_MANIFEST, &[]).unwrap();
}

#[test]
fn a_digest_names_only_its_own_image() {
    let fixture = Fixture::new();
    let ingest = fixture.store.ingest().unwrap();
    let layer = ingest.new_layer(&mut tar_of(&[("x", b"1")]).as_slice(), None).unwrap();
    let (descriptor, config, manifest) = image_of(&[layer]);
    ingest.put_blob(&descriptor, &config).unwrap();
    let (own, other) = (describe(&manifest).digest, Digest::from_hash(&[0xaa; 32]));
    let name = |digest: &Digest| vec![Reference::parse("debian:12").unwrap().with_digest(digest.clone())];
    let kind = media_type::OCI_MANIFEST;
    let error = ingest.finish(&manifest, kind, &name(&other)).unwrap_err().to_string();
    assert!(error.contains("is not the name of this image") && error.contains(own.as_str()), "{error}");
    let wrong_root = ingest.finish_found(&manifest, kind, &name(&other), Some(&own));
    assert!(wrong_root.is_err() && fixture.store.list().unwrap().is_empty());
    ingest.finish(&manifest, kind, &name(&own)).unwrap();
    // As a pull does for what an index has led to.
    ingest.finish_found(&manifest, kind, &name(&other), Some(&other)).unwrap();
}
