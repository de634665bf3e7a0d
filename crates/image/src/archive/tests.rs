//! What is saved can be loaded, here and by skopeo; what others write is understood.

use super::*;
use crate::blob;
use crate::testing::{Scratch, add_image, layer_file, tar_of};
use spec::digest::Algorithm;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

fn store(scratch: &Scratch) -> Store {
    Store::open(scratch.path()).unwrap()
}

fn saved(store: &Store, names: &[&str], format: Format) -> Vec<u8> {
    let images: Vec<Image> = names.iter().map(|name| store.resolve(name).unwrap()).collect();
    let images: Vec<Saved<'_>> = images.iter().map(|image| Saved { image, names: &image.names }).collect();
    let mut bytes = Vec::new();
    save(store, &images, format, &mut bytes).unwrap();
    bytes
}

fn load_bytes(bytes: &[u8], store: &Store) -> Result<Vec<String>> {
    let loaded = load(store, Input::Stream(&mut &*bytes), None, |_| Ok::<_, Error>(()))?;
    Ok(loaded.iter().map(|one| one.names.iter().map(Reference::familiar).collect::<Vec<_>>().join(",")).collect())
}

/// `manifest.json` and what it names, as docker before version 25 wrote it.
fn old_docker(layers: &[(&str, Vec<u8>)], paths: &[&str], diff_ids: &[&Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = diff_ids.iter().map(|l| format!("\"{}\"", blob::digest_of(Algorithm::Sha256, l))).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    );
    let paths: Vec<String> = paths.iter().map(|path| format!("{path:?}")).collect();
    let manifest = format!(r#"[{{"Config":"c.json","RepoTags":["old:1","old:2"],"Layers":[{}]}}]"#, paths.join(","));
    let mut entries: Vec<(&str, &[u8])> = layers.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
    entries.push(("c.json", config.as_bytes()));
    entries.push(("manifest.json", manifest.as_bytes()));
    tar_of(&entries)
}

#[test]
fn both_formats_come_back() {
    let scratch = Scratch::new("save");
    let from = store(&scratch);
    let a = add_image(&from, "a", &[("shared", b"1")], &[("x", b"2")]);
    from.tag(&a, &Reference::parse("localhost:5000/a:v1").unwrap()).unwrap();
    add_image(&from, "b:2", &[("shared", b"1")], &[("y", b"3")]);
    for format in [Format::Docker, Format::Oci] {
        let archive = saved(&from, &["a", "b:2"], format);
        assert_eq!(archive, saved(&from, &["a", "b:2"], format), "{format:?}: equal images give equal archives");
        let gzipped = {
            let mut writer = crate::compress::GzipWriter::new(Vec::new());
            writer.write_all(&archive).unwrap();
            writer.finish().unwrap()
        };
        for bytes in [&archive, &gzipped] {
            let scratch = Scratch::new("load");
            let to = store(&scratch);
            assert_eq!(load_bytes(bytes, &to).unwrap(), ["a:latest,localhost:5000/a:v1", "b:2"], "{format:?}");
            let back = to.resolve("localhost:5000/a:v1").unwrap();
            assert_eq!(back.id, a.id);
            assert_eq!(layer_file(&to, &back, 0, "x").unwrap(), b"2");
            assert!(saved(&to, &["a", "b:2"], format) == archive, "and from there again the same");
            assert_eq!(load_bytes(bytes, &to).unwrap().len(), 2, "a second time");
            assert_eq!(to.list().unwrap().len(), 2);
        }
    }
}

#[test]
fn old_docker_archives_with_links_between_layers() {
    let scratch = Scratch::new("old");
    let (one, two) = (tar_of(&[("x", b"1")]), tar_of(&[("y", b"2")]));
    let layers =
        [("aa/layer.tar", one.clone()), ("cc/layer.tar -> ../aa/layer.tar", Vec::new()), ("bb/layer.tar", two.clone())];
    let archive = old_docker(&layers, &["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"], &[&one, &two, &one]);
    let to = store(&scratch);
    assert_eq!(load_bytes(&archive, &to).unwrap(), ["old:1,old:2"]);
    let path = scratch.path().join("archive");
    std::fs::write(&path, &archive).unwrap();
    let platform = Platform::host();
    let loaded = load(&to, Input::File(File::open(&path).unwrap()), Some(&platform), |form| {
        assert_eq!(form, Format::Docker);
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(loaded[0].image.config.rootfs.diff_ids.len(), 3);
    assert_eq!(to.list().unwrap().len(), 1);
}

#[test]
fn load_brings_what_is_missing_or_known_to_be_damaged() {
    let from_scratch = Scratch::new("mend-from");
    let from = store(&from_scratch);
    add_image(&from, "old:1", &[("x", &[7; 100_000])], &[]);
    let layer = tar_of(&[("x", &[7; 100_000])]);
    for archive in [saved(&from, &["old:1"], Format::Docker), old_docker(&[("l", layer.clone())], &["l"], &[&layer])] {
        let scratch = Scratch::new("mend");
        let to = store(&scratch);
        load_bytes(&archive, &to).unwrap();
        let image = to.resolve("old:1").unwrap();
        let diff_id = &image.config.rootfs.diff_ids[0];
        let home = scratch.path().join("layers").join(diff_id.hex());
        let damages = || to.check(&mut |_, _, _| (), &|| Ok(Vec::new())).unwrap().damages;
        std::fs::remove_dir_all(&home).unwrap();
        let error = to.stack(std::slice::from_ref(diff_id), None).unwrap_err().to_string();
        assert!(error.contains("is missing") && error.contains("load its image again"), "{error}");
        load_bytes(&archive, &to).unwrap();
        assert!(damages().is_empty());
        // A directory stays as it is: containers would lose its files.
        let path = home.join("image.erofs");
        let Ok(whole) = std::fs::read(&path) else { continue };
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        load_bytes(&archive, &to).unwrap();
        assert!(damages().is_empty(), "its own record tells that it is cut");
        let mut changed = whole.clone();
        let at = whole.windows(64).position(|part| part == [7; 64]).unwrap();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        load_bytes(&archive, &to).unwrap();
        assert_eq!(damages().len(), 1, "nobody has looked");
        to.mark_damaged(diff_id).unwrap();
        load_bytes(&archive, &to).unwrap();
        assert!(damages().is_empty() && std::fs::read(&path).unwrap() == whole);
    }
}

#[test]
fn a_digest_that_an_archive_claims_must_be_the_images_own() {
    let scratch = Scratch::new("claims");
    let from = store(&scratch);
    let image = add_image(&from, "a:1", &[("x", b"1")], &[]);
    let name = Reference::parse("a:1").unwrap();
    let plain = saved(&from, &["a:1"], Format::Oci);
    for (digest, is_own) in [(image.manifest_digest.clone(), true), (image.id.clone(), false)] {
        let claimed = name.with_digest(digest);
        let claimed = claimed.to_string();
        // The index is one document of the archive: made anew with the other name.
        let index = from_archive(&plain, "index.json");
        let index = String::from_utf8(index).unwrap().replace("docker.io/library/a:1", &claimed);
        let mut entries: Vec<(String, Vec<u8>)> = vec![("index.json".to_owned(), index.into_bytes())];
        let blobs = [&image.manifest_digest, &image.id].into_iter().chain(&image.config.rootfs.diff_ids);
        entries.extend(blobs.map(|blob| (oci::blob_name(blob), from_archive(&plain, &oci::blob_name(blob)))));
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
        let scratch = Scratch::new("claimed");
        let to = store(&scratch);
        let loaded = load_bytes(&tar_of(&entries), &to);
        assert_eq!(loaded.is_ok(), is_own, "{loaded:?}");
        assert_eq!(to.resolve(&claimed).is_ok(), is_own);
    }
}

/// A part of an archive.
fn from_archive(archive: &[u8], name: &str) -> Vec<u8> {
    let mut child = Command::new("tar").args(["-xOf", "-", name]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let child = child.as_mut().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // tar may end before it has read everything.
        scope.spawn(move || drop(stdin.write_all(archive)));
        let mut bytes = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(child.wait().unwrap().success(), "{name}");
        bytes
    })
}

#[test]
fn broken_archives() {
    let layer = tar_of(&[("x", b"1")]);
    let other = tar_of(&[("x", b"2")]);
    let with = |paths: &[&str], ids: &[&Vec<u8>]| old_docker(&[("l", layer.clone())], paths, ids);
    let cut = with(&["l"], &[&layer]);
    for (archive, why) in [
        (tar_of(&[("etc/passwd", b"")]), "use import"),
        (tar_of(&[("manifest.json", b"nonsense")]), "bad manifest.json"),
        (tar_of(&[("manifest.json", br#"[{"Config":"../c","Layers":[]}]"#)]), "lacks \"../c\""),
        (tar_of(&[("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)]), "no image for"),
        (tar_of(&[("manifest.json -> manifest.json", b"")]), "use import"),
        (with(&["nope"], &[&layer]), "lacks \"nope\""),
        (with(&["l"], &[&other]), "does not have the content it should"),
        (with(&["l", "l"], &[&layer]), "2 layers for a configuration with 1"),
        (cut[..700].to_vec(), "in the middle"),
        (b"hello".to_vec(), "in the middle"),
        (b"BZh91AY&SY".to_vec(), "bzip2"),
    ] {
        let scratch = Scratch::new("broken");
        let to = store(&scratch);
        let error = load_bytes(&archive, &to).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert!(to.list().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(scratch.path().join("layers")).unwrap().count(), 0, "{why}");
    }
}

#[test]
fn a_blob_that_is_not_what_it_says() {
    let scratch = Scratch::new("tampered");
    let from = store(&scratch);
    add_image(&from, "a", &[("x", b"1")], &[]);
    let mut archive = saved(&from, &["a"], Format::Oci);
    let in_layer = archive.windows(5).rposition(|window| window == b"ustar").unwrap();
    archive[in_layer - 100] ^= 1;
    let scratch = Scratch::new("tampered-to");
    let error = load_bytes(&archive, &store(&scratch)).unwrap_err().to_string();
    assert!(error.contains("less than") || error.contains("content it should"), "{error}");
}

/// Skips where skopeo is not installed.
#[test]
fn skopeo_reads_and_writes_the_same() {
    let scratch = Scratch::new("skopeo");
    let from = store(&scratch).keeping_blobs();
    let image = add_image(&from, "a", &[("x", b"1")], &[("y", b"2")]);
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let copy = |source: &str, target: &str| {
        Command::new("skopeo").args(["copy", "-q", "--insecure-policy", source, target]).output()
    };
    let store_name = format!("oci:{}:a:latest", from.images_path().display());
    let Ok(output) = copy(&store_name, &format!("docker-archive:{}:from/skopeo:1", path("d.tar"))) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = copy(&store_name, &format!("oci-archive:{}:from/skopeo:2", path("o.tar"))).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = Scratch::new("skopeo-to");
    let to = store(&target);
    for (file, name) in [("d.tar", "from/skopeo:1"), ("o.tar", "from/skopeo:2")] {
        let bytes = std::fs::read(path(file)).unwrap();
        assert_eq!(load_bytes(&bytes, &to).unwrap(), [name]);
        assert_eq!(to.resolve(name).unwrap().config.rootfs, image.config.rootfs);
    }
    for (format, kind) in [(Format::Docker, "docker-archive"), (Format::Oci, "oci-archive")] {
        std::fs::write(path("ours.tar"), saved(&from, &["a"], format)).unwrap();
        let output =
            Command::new("skopeo").args(["inspect", &format!("{kind}:{}", path("ours.tar"))]).output().unwrap();
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
