//! The image policy (docs/policy.md) as users meet it: what `pull`, `pull -a` and `image copy` say and leave behind.
//! Which signatures count is tested in the crate `registry`.

use crate::harness::Brig;
use crate::harness::image::{Image, MANIFEST, digest, gzip_layer};
use crate::harness::process::tool;
use crate::harness::registry::TestRegistry;
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

fn image(text: &str) -> Image {
    Image::new(&serde_json::json!({}), vec![gzip_layer(&Tar::new().file("text", 0o644, text.as_bytes()).finish())])
}

/// Signs `image`, served as `name`, with a key made by openssl, in cosign's form; the public key's file.
fn sign(brig: &Brig, registry: &TestRegistry, name: &str, image: &Image) -> String {
    let at = |file: &str| brig.dir.join(file).display().to_string();
    let openssl = |line: &str| tool("openssl", &line.split(' ').collect::<Vec<_>>());
    openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {}", at("key.pem")));
    openssl(&format!("ec -in {} -pubout -out {}", at("key.pem"), at("team.pub")));
    let (host, digest_of) = (&registry.address, digest(&image.manifest));
    let payload = serde_json::json!({"critical": {
        "identity": {"docker-reference": format!("{host}/{name}")},
        "image": {"docker-manifest-digest": digest_of}, "type": "cosign container image signature",
    }, "optional": null});
    let payload = payload.to_string().into_bytes();
    let file = brig.write("payload", &payload);
    openssl(&format!("dgst -sha256 -sign {} -out {} {file}", at("key.pem"), at("signature")));
    let signature = openssl(&format!("base64 -A -in {}", at("signature")));
    let blob = |kind: &str, bytes: &[u8]| {
        registry.answer(&format!("/v2/{name}/blobs/{}", digest(bytes)), 200, "application/octet-stream", bytes);
        serde_json::json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
    };
    let mut layer = blob("application/vnd.dev.cosign.simplesigning.v1+json", &payload);
    layer["annotations"] = serde_json::json!({"dev.cosignproject.cosign/signature": signature});
    let config = blob("application/vnd.oci.image.config.v1+json", b"{}");
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let tag = format!("{}.sig", digest_of.replace(':', "-"));
    registry.answer(&format!("/v2/{name}/manifests/{tag}"), 200, MANIFEST, manifest.to_string().as_bytes());
    at("team.pub")
}

#[test]
fn who_signed_is_said_and_kept() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = TestRegistry::start();
    let (signed, unsigned) = (image("signed"), image("unsigned"));
    let name = registry.add("team/app", "v1", &signed);
    registry.add("team/app", "v2", &unsigned);
    let key = sign(&brig, &registry, "team/app", &signed);
    let rule = format!(
        "default = \"reject\"\n[[rule]]\nimages = [\"{}/team\"]\npolicy = \"cosign\"\nkeys = [\"team.pub\"]\n",
        registry.address
    );
    let policy = brig.write("policy.toml", rule);
    let run = |line: &str| brig.command(line).env("BRIG_POLICY", &policy).send(b"");
    let digest_of = digest(&signed.manifest);
    let line = format!("Signature: {digest_of} signed by {key}");
    let pulled = run(&format!("pull {name}")).expect(0).text();
    assert!(pulled.lines().any(|one| one == line), "{pulled}");
    assert_eq!(brig.inspect(&name, "{{.Signed.Digest}} {{index .Signed.By 0}}"), format!("{digest_of} {key}"));
    assert_eq!(run(&format!("pull -q {name}")).expect(0).text(), name);
    // Without a policy nobody asks, and nothing is said.
    let other = registry.add("other", "v1", &image("other"));
    assert!(!brig.ok(&format!("pull {other}")).contains("Signature"));
    assert!(!brig.ok(&format!("inspect {other}")).contains("Signed"));
    // All tags: the one that is refused is left out, told of, and makes the exit code 1.
    registry.answer("/v2/team/app/tags/list", 200, "application/json", br#"{"name":"team/app","tags":["v2","v1"]}"#);
    brig.ok(&format!("rmi {name}"));
    let repository = name.trim_end_matches(":v1");
    let all = run(&format!("pull -a {repository}")).expect(1);
    let all = all.says(&format!("{repository}:v2 is refused by the rule for "));
    let all = all.says(&format!("the image policy refuses 1 of 2 tags of {repository}: v2"));
    assert!(all.text().contains(&format!("v1: {line}")), "{}", all.text());
    assert_eq!(brig.ok(&format!("images --format '{{{{.Tag}}}}' {repository}")), "v1");
}

#[test]
fn copies_from_a_registry_are_asked_about() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let (registry, target) = (TestRegistry::start(), TestRegistry::start());
    let name = registry.add("app", "v1", &image("x"));
    let policy = brig.write("policy.toml", "default = \"reject\"\n");
    for to in [
        format!("docker://{}/app:v1", target.address),
        "oci:layout:v1".to_owned(),
        "dir:directory".to_owned(),
        "oci-archive:o.tar".to_owned(),
        "docker-archive:d.tar".to_owned(),
        "brig:app:v1".to_owned(),
    ] {
        let line = format!("image copy -q docker://{name} {to}");
        let refused = brig.command(&line).env("BRIG_POLICY", &policy).send(b"").expect(1);
        refused.says(&format!("{name} is refused by the default rule in {policy}"));
    }
    for left in ["layout", "directory", "o.tar", "d.tar"] {
        assert!(!brig.dir.join(left).exists(), "{left}");
    }
    assert_eq!(brig.ok("images -q"), "");
    assert_eq!(target.requests(), Vec::<String>::new());
}

/// What comes from files: by its path, or by podman's transport.
#[test]
fn files_are_asked_about_too() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    brig.mkdir("good");
    let archive = brig.write("good/in.tar", image("x").oci_archive("a:1"));
    let tree = brig.write("good/tree.tar", Tar::new().file("x", 0o644, b"x").finish());
    brig.ok(&format!("image copy -q oci-archive:{archive} oci:good/layout:v1"));
    std::os::unix::fs::symlink("good/in.tar", brig.dir.join("link.tar")).expect("a new name");
    let lines = [
        format!("load -i {archive}"),
        "load -i link.tar".to_owned(),
        format!("import {tree} tree"),
        format!("image copy -q oci-archive:{archive} brig:b:1"),
        "image copy -q oci:good/layout:v1 dir:out".to_owned(),
    ];
    let good = brig.dir.join("good").display().to_string();
    let with = |policy: &str, line: &str| brig.command(line).env("BRIG_POLICY", policy).send(b"");
    let reject = brig.write("reject.toml", "default = \"reject\"\n");
    let paths = brig
        .write("paths.toml", format!("default = \"reject\"\n[[rule]]\nimages = [\"{good}\"]\npolicy = \"accept\"\n"));
    for line in &lines {
        with(&reject, line).expect(1).says(&format!(" is refused by the default rule in {reject}"));
        assert!(!brig.dir.join("out").exists() && brig.ok("images -q").is_empty(), "{line}");
    }
    for line in &lines {
        with(&paths, line).expect(0);
    }
    // A pipe lies nowhere; what is redirected does.
    let tar = std::fs::read(&tree).expect("it is there");
    let refused = brig.command("import - piped").env("BRIG_POLICY", &paths).send(&tar).expect(1);
    refused.says("tarball from a stream is refused by the default rule");
    let redirected = format!("BRIG_POLICY={paths} {} import - redirected <{tree}", brig.shell_words());
    tool("sh", &["-c", &redirected]);
    // Podman's file, from the user's directory.
    brig.mkdir("config/containers");
    let podman =
        r#"{"default":[{"type":"reject"}],"transports":{"docker-archive":{"":[{"type":"insecureAcceptAnything"}]}}}"#;
    brig.write("config/containers/policy.json", podman);
    let config = brig.dir.join("config").display().to_string();
    let refused = brig.command(&lines[0]).env("XDG_CONFIG_HOME", &config).send(b"").expect(1);
    refused.says(&format!("oci-archive:{archive} is refused by the default rule"));
    brig.command(&format!("image copy -q docker-archive:{archive} brig:c:1"))
        .env("XDG_CONFIG_HOME", &config)
        .send(b"")
        .expect(0);
}
