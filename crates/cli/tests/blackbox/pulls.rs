//! `pull`: from Debian's docker-registry, filled by skopeo, and from registries that answer
//! badly.

use crate::harness::image::{
    INDEX, Image, MANIFEST, architecture, busybox_tar, digest, gzip_layer, plain_layer, zstd_layer,
};
use crate::harness::registry::{DockerRegistry, TestRegistry};
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;
use crate::harness::{Brig, process::tool};

fn small(text: &str) -> Image {
    let tar = Tar::new().file("text", 0o644, text.as_bytes()).finish();
    Image::new(&serde_json::json!({"Cmd": ["cat", "/text"]}), vec![gzip_layer(busybox_tar()), gzip_layer(&tar)])
}

#[test]
fn from_a_real_registry() {
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let path = brig.write("image.tar", small("pulled\n").oci_archive("x"));
    let reference = format!("{}/team/app:v1", registry.address);
    tool(
        "skopeo",
        &["copy", "-q", "--dest-tls-verify=false", &format!("oci-archive:{path}:x"), &format!("docker://{reference}")],
    );
    let output = brig.ok(&format!("pull {reference}"));
    assert!(output.contains("Digest: sha256:") && output.ends_with(&reference), "{output}");
    assert!(output.contains(&format!("Status: Downloaded newer image for {reference}")), "{output}");
    assert_eq!(brig.ok(&format!("run --rm {reference}")), "pulled");
    assert!(brig.ok(&format!("pull {reference}")).contains(&format!("Status: Image is up to date for {reference}")));
    assert_eq!(brig.ok(&format!("pull -q {reference}")), reference);
    let pinned = brig.ok(&format!("inspect -f '{{{{index .RepoDigests 0}}}}' {reference}"));
    brig.ok(&format!("rmi {reference}"));
    brig.run(&format!("rmi {pinned}"));
    assert_eq!(brig.ok(&format!("run --rm {pinned}")), "pulled", "run pulls what is missing, by digest too");
    brig.fails(&format!("pull {}/team/app:nosuch", registry.address), 1, "not found");
    brig.run(&format!("run --rm {}/no/such true", registry.address)).expect(125).says("not found");
}

#[test]
fn compression_and_platforms() {
    let brig = Brig::empty();
    let registry = TestRegistry::start();
    let tar = Tar::new().file("text", 0o644, b"zstd\n").finish();
    if !is_docker() {
        let image = Image::new(
            &serde_json::json!({"Cmd": ["cat", "/text"]}),
            vec![zstd_layer(busybox_tar()), zstd_layer(&tar)],
        );
        let reference = registry.add("zstd", "latest", &image);
        brig.ok(&format!("pull {reference}"));
        assert_eq!(brig.ok(&format!("run --rm {reference}")), "zstd");
    }
    let plain =
        Image::new(&serde_json::json!({"Cmd": ["cat", "/text"]}), vec![plain_layer(busybox_tar()), plain_layer(&tar)]);
    let reference = registry.add("plain", "latest", &plain);
    assert_eq!(brig.ok(&format!("run --rm {reference}")), "zstd");
    // An index: the manifest for this machine is taken, others are not asked for.
    let ours = small("ours\n");
    registry.add("multi", "ours", &ours);
    let other = digest(b"another architecture");
    let entry = |digest: &str, size: usize, arch: &str| serde_json::json!({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": arch}});
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        entry(&other, 10, "s390x"), entry(&digest(&ours.manifest), ours.manifest.len(), architecture())]});
    registry.answer("/v2/multi/manifests/latest", 200, INDEX, index.to_string().as_bytes());
    let pinned = format!("/v2/multi/manifests/{}", digest(index.to_string().as_bytes()));
    registry.answer(&pinned, 200, INDEX, index.to_string().as_bytes());
    let run = brig.run(&format!("run --rm {}/multi", registry.address));
    assert_eq!(run.text(), "ours", "{} {:?}", run.stderr, registry.requests());
    assert!(!registry.requests().iter().any(|request| request.contains(&other)));
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(&other, 10, "s390x")]});
    registry.answer("/v2/alien/manifests/latest", 200, INDEX, index.to_string().as_bytes());
    brig.fails(&format!("pull {}/alien", registry.address), 1, "no matching manifest for linux/");
}

#[test]
fn layers_that_are_there_are_not_fetched_again() {
    let brig = Brig::empty();
    let registry = TestRegistry::start();
    let first = registry.add("one", "latest", &small("one\n"));
    brig.ok(&format!("pull {first}"));
    let before = registry.requests().len();
    let image = small("two\n");
    let second = registry.add("two", "latest", &image);
    brig.ok(&format!("pull {second}"));
    let base = digest(&image.layers[0].blob);
    assert!(
        !registry.requests()[before..].iter().any(|request| request.starts_with("GET") && request.contains(&base)),
        "{:?}",
        registry.requests()
    );
    assert_eq!(brig.ok(&format!("run --rm {second}")), "two");
    let before = registry.requests().len();
    brig.ok(&format!("run --rm --pull always {second}"));
    assert!(registry.requests().len() > before, "--pull always asks");
}

/// A pull that must fail, say why (docker in words of its own), and leave nothing.
#[track_caller]
fn check_refused(brig: &Brig, reference: &str, words: &str) {
    brig.fails(&format!("pull {reference}"), 1, if is_docker() { "" } else { words });
    assert_eq!(brig.ok("images -aq"), "", "{reference}");
    let mut left = Vec::new();
    if !is_docker() {
        let layers = std::fs::read_dir(brig.root().join("layers")).into_iter().flatten().flatten();
        left.extend(layers.map(|entry| entry.file_name()));
    }
    assert!(left.len() <= 1, "layers left by a failed pull: {left:?}");
}

#[test]
fn answers_that_lie_are_refused() {
    let brig = Brig::empty();
    let registry = TestRegistry::start();
    let image = small("x\n");
    let layer = digest(&image.layers[1].blob);
    let fresh = |name: &str| registry.add(name, "latest", &image);

    let reference = fresh("wrong-layer");
    registry
        .change(&format!("/v2/wrong-layer/blobs/{layer}"), |answer| *answer.body.last_mut().expect("not empty") ^= 1);
    check_refused(&brig, &reference, "does not match its digest");

    let reference = fresh("wrong-config");
    registry.change(&format!("/v2/wrong-config/blobs/{}", digest(&image.config)), |answer| answer.body[1] ^= 1);
    check_refused(&brig, &reference, "does not match its digest");

    let reference = fresh("cut");
    registry.change(&format!("/v2/cut/blobs/{layer}"), |answer| answer.cut = Some(20));
    check_refused(&brig, &reference, "broke off at byte 20");

    let reference = fresh("missing-layer");
    registry.change(&format!("/v2/missing-layer/blobs/{layer}"), |answer| answer.status = 404);
    check_refused(&brig, &reference, "404");

    let reference = fresh("broken");
    registry
        .change("/v2/broken/manifests/latest", |answer| answer.body = b"{\"schemaVersion\": 2, \"layers\": 7".to_vec());
    check_refused(&brig, &reference, "cannot be read");

    let reference = fresh("failing");
    registry.change("/v2/failing/manifests/latest", |answer| answer.status = 500);
    check_refused(&brig, &reference, "500");

    let pinned = format!("{}/pinned@{}", registry.address, digest(b"something else"));
    registry.answer(&format!("/v2/pinned/manifests/{}", digest(b"something else")), 200, MANIFEST, &image.manifest);
    check_refused(&brig, &pinned, "does not match its digest");

    // Compressed data that is not what the config promises.
    let mut lying = small("x\n");
    let tar = Tar::new().file("text", 0o644, b"other").finish();
    lying.layers[1].diff_id = digest(&tar);
    let config = Image::new(&serde_json::json!({}), lying.layers);
    let reference = registry.add("wrong-diff-id", "latest", &config);
    check_refused(&brig, &reference, "does not match its digest");
}

#[test]
fn a_missing_image_is_announced_before_the_registry_is_asked() {
    let brig = Brig::empty();
    for (line, code, announced) in [
        ("run --rm 127.0.0.1:1/x true", 125, "127.0.0.1:1/x:latest"),
        ("run --rm 127.0.0.1:1/x:tag true", 125, "127.0.0.1:1/x:tag"),
        ("create 127.0.0.1:1/x true", 1, "127.0.0.1:1/x:latest"),
        ("run --rm -q 127.0.0.1:1/x true", 125, ""),
        ("run --rm --pull always 127.0.0.1:1/x true", 125, ""),
        ("run --rm --pull never 127.0.0.1:1/x true", 125, ""),
        ("run --rm X true", 125, ""),
    ] {
        let output = brig.run(line).expect(code);
        let first = output.stderr.lines().next().unwrap_or_default();
        match announced {
            "" => assert!(!output.stderr.contains("Unable to find"), "{line}: {}", output.stderr),
            name => assert_eq!(first, format!("Unable to find image '{name}' locally"), "{line}"),
        }
    }
}

#[test]
fn unreachable_registries_are_named() {
    let brig = Brig::empty();
    check_refused(&brig, "127.0.0.1:1/x", "127.0.0.1:1");
    let registry = TestRegistry::start();
    registry.answer(
        "/v2/",
        401,
        "application/json",
        b"{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}",
    );
    registry.answer(
        "/v2/secret/manifests/latest",
        401,
        "application/json",
        b"{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}",
    );
    check_refused(&brig, &format!("{}/secret", registry.address), "authentication required");
}
