//! `history`, `manifest`, `system df` and `prune`, and the commands of the group `image`: on images made here, with
//! docker-registry and skopeo where another tool has to agree.

use crate::harness::Brig;
use crate::harness::image::{Image, architecture, digest, gzip, gzip_layer, plain_layer, zstd};
use crate::harness::process::tool;
use crate::harness::registry::DockerRegistry;
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

fn layer(name: &str, size: usize) -> Vec<u8> {
    Tar::new().file(name, 0o644, &vec![b'x'; size]).finish()
}

fn image(layers: &[(&str, usize)]) -> Image {
    Image::new(
        &serde_json::json!({"Cmd": ["/x"]}),
        layers.iter().map(|(name, size)| gzip_layer(&layer(name, *size))).collect(),
    )
}

/// An image for any platform.
fn image_for(architecture: &str) -> Image {
    let tar = layer(architecture, 3);
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
    });
    Image::with_config(config.to_string().into_bytes(), vec![plain_layer(&tar)])
}

fn load(brig: &Brig, tag: &str, image: &Image) {
    brig.ok(&format!("load -i {}", brig.write("in.tar", image.oci_archive(tag))));
}

fn skopeo_raw(address: &str, name: &str) -> String {
    tool("skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{address}/{name}")])
}

#[test]
fn history_has_a_line_for_each_step() {
    let brig = Brig::empty();
    let tar = layer("x", 1500);
    let config = serde_json::json!({
        "architecture": architecture(), "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
        "history": [
            {"created": "2024-01-02T03:04:05Z", "created_by": "ADD a very long command that goes on and on for longer than a line"},
            {"created": "2024-01-02T03:04:06Z", "created_by": "ENV\tA=b", "comment": "hi", "empty_layer": true},
        ],
    });
    load(&brig, "h:1", &Image::with_config(config.to_string().into_bytes(), vec![gzip_layer(&tar)]));
    let lines: Vec<String> = brig.ok("history -H=false h:1").lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("IMAGE          CREATED AT             CREATED BY"), "{lines:?}");
    assert!(
        lines[1].contains("2024-01-02T03:04:06Z   ENV A=b") && lines[1].contains(" 0 ") && lines[1].ends_with("hi")
    );
    assert!(
        lines[2].starts_with("<missing>      2024-01-02T03:04:05Z   ADD a very long command that goes on and on …")
    );
    assert!(lines[2].contains("1500"), "{lines:?}");
    let id = brig.inspect("h:1", "{{.Id}}");
    assert_eq!(brig.ok("history -q --no-trunc h:1"), format!("{id}\n<missing>"));
    assert_eq!(brig.ok("image history --format '{{.Size}} {{.Comment}}' h:1"), "0B hi\n1.5kB ");
    brig.fails("history none", 1, "No such image: none");
}

#[test]
fn lists_of_manifests() {
    if is_docker() {
        return; // needs --insecure everywhere
    }
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let at = |name: &str| format!("{}/{name}", registry.address);
    for (name, image) in [("a:1", image(&[("x", 1)])), ("other/b:1", image_for("arm64"))] {
        brig.ok(&format!("load -i {}", brig.write("in.tar", image.oci_archive(&at(name)))));
        brig.ok(&format!("push -q {}", at(name)));
    }
    let list = at("list:1");
    let created = brig.ok(&format!("manifest create {list} {}", at("a:1")));
    assert_eq!(created, format!("Created manifest list {list}"));
    let again = format!("manifest create {list} {}", at("other/b:1"));
    brig.fails(&again, 1, "refusing to amend an existing manifest list with no --amend flag");
    brig.ok(&format!("manifest create --amend {list} {}", at("other/b:1")));
    brig.ok(&format!("manifest annotate --variant v8 {list} {}", at("other/b:1")));
    brig.fails(
        &format!("manifest annotate --arch foo {list} {}", at("a:1")),
        1,
        "unsupported os/arch combination: linux/foo",
    );
    brig.fails(&format!("manifest annotate {list} {}", at("none:1")), 1, "does not exist in ");
    let shown: serde_json::Value = serde_json::from_str(&brig.ok(&format!("manifest inspect {list}"))).unwrap();
    assert_eq!(
        shown["manifests"][1]["platform"],
        serde_json::json!({"architecture": "arm64", "os": "linux", "variant": "v8"})
    );
    assert_eq!(shown["manifests"][0]["platform"]["architecture"], architecture());
    let verbose: serde_json::Value = serde_json::from_str(&brig.ok(&format!("manifest inspect -v {list}"))).unwrap();
    assert_eq!(verbose[0]["Ref"], at("a:1"));
    assert_eq!(verbose[0]["OCIManifest"]["schemaVersion"], 2);
    let one = brig.ok(&format!("manifest inspect {list} {}", at("a:1")));
    assert_eq!(one, brig.ok(&format!("manifest inspect {}", at("a:1"))));
    let pushed = brig.ok(&format!("manifest push --purge {list}"));
    assert_eq!(pushed.matches("Pushed ref ").count(), 2, "{pushed}");
    let raw = skopeo_raw(&registry.address, "list:1");
    assert_eq!(pushed.lines().last().unwrap(), digest(raw.as_bytes()));
    let raw: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(raw, shown);
    // The images came along, and the list is gone here.
    let other = Brig::empty();
    other.ok(&format!("pull --platform linux/arm64 {list}"));
    brig.fails(&format!("manifest push {list}"), 1, "No such manifest: ");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&brig.ok(&format!("manifest inspect {list}"))).unwrap(),
        shown
    );
    let members: serde_json::Value = serde_json::from_str(&brig.ok(&format!("manifest inspect -v {list}"))).unwrap();
    assert_eq!(members[1]["Descriptor"]["platform"]["architecture"], "arm64");
    brig.fails(&format!("manifest create {} {list}", at("l:2")), 1, "is a manifest list");
    brig.fails(&format!("manifest create {} {}", at("l:2"), at("none:1")), 1, "no such manifest: ");
    brig.ok(&format!("manifest create {}", at("l:2")));
    brig.ok(&format!("manifest add --os linux --arch riscv64 {} {}", at("l:2"), at("a:1")));
    assert!(brig.ok(&format!("manifest inspect {}", at("l:2"))).contains("\"riscv64\""));
    assert_eq!(brig.ok(&format!("manifest rm {}", at("l:2"))), "");
    brig.fails(&format!("manifest rm {}", at("l:2")), 1, "No such manifest: ");
}

#[test]
fn prunes_take_what_nothing_uses() {
    let brig = Brig::new();
    load(&brig, "a:1", &image(&[("x", 1)]));
    load(&brig, "a:1", &image(&[("x", 2)]));
    brig.ok("create --name used bb true");
    let nameless = brig.ok("images -q --no-trunc --filter dangling=true");
    assert_eq!(nameless.lines().count(), 1);
    let asked = brig.command("image prune").send(b"n\n").expect(0).text();
    assert!(asked.starts_with("WARNING! This will remove all dangling images.\nAre you sure"), "{asked}");
    assert!(brig.ok("image prune -f --filter label=none").starts_with("Total reclaimed space: 0B"));
    let pruned = brig.ok("image prune -f");
    assert!(pruned.starts_with(&format!("Deleted Images:\ndeleted: {nameless}\n")), "{pruned}");
    assert_eq!(brig.ok("images --format '{{.Repository}}'").lines().count(), 2);
    assert!(brig.ok("image prune -af --filter until=2000-01-01").starts_with("Total reclaimed space: 0B"));
    let pruned = brig.ok("image prune -af --filter until=1s");
    assert!(pruned.starts_with("Deleted Images:\nuntagged: a:1\ndeleted: sha256:"), "{pruned}");
    assert_eq!(brig.ok("images --format '{{.Repository}}'"), "bb");
}

#[test]
fn system_prune_takes_containers_volumes_and_images() {
    let brig = Brig::new();
    brig.ok("run --name done -v /anonymous bb true");
    brig.ok("volume create named");
    let asked = brig.command("system prune -a --volumes --filter label!=keep").send(b"n\n").expect(0).text();
    let lines = [
        "all stopped containers",
        "all anonymous volumes not used by",
        "all images without at least one container",
        "label!=keep",
    ];
    assert!(lines.iter().all(|line| asked.contains(&format!("\n  - {line}"))), "{asked}");
    brig.fails(
        "system prune -f --volumes --filter until=1h",
        1,
        "\"until\" filter is not supported with \"--volumes\"",
    );
    let pruned = brig.ok("system prune -af --volumes");
    for kind in ["Deleted Containers:\n", "\nDeleted Volumes:\n", "\nDeleted Images:\n", "\nTotal reclaimed space: "] {
        assert!(pruned.contains(kind), "{kind:?}: {pruned}");
    }
    assert_eq!(brig.ok("ps -aq"), "");
    assert_eq!(brig.ok("images -q"), "");
    assert_eq!(brig.ok("volume ls -q"), "named");
}

/// What `du` says of the sandbox's store.
fn disk_usage(brig: &Brig) -> u64 {
    let du = tool("du", &["-s", "--block-size=1", brig.root().to_str().unwrap()]);
    du.split_whitespace().next().unwrap().parse().unwrap()
}

fn bytes(text: &str) -> f64 {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let unit = match &text[end..] {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        unit => panic!("{unit}"),
    };
    text[..end].parse::<f64>().unwrap() * unit
}

#[test]
fn system_df_says_what_du_says() {
    let brig = Brig::new();
    load(&brig, "a:1", &image(&[("x", 3_000_000), ("y", 10)]));
    load(&brig, "b:1", &image(&[("x", 3_000_000), ("z", 200_000)]));
    brig.ok("run --name writes -v data:/data bb sh -c 'dd if=/dev/zero of=/big bs=1M count=3; cp /big /data/; sync'");
    let table = brig.ok("system df");
    assert!(
        table.starts_with("TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\nImages          3         1 "),
        "{table}"
    );
    let sizes = brig.ok("system df --format '{{.Size}}'");
    let sum: f64 = sizes.lines().map(bytes).sum();
    if !is_docker() {
        let du = disk_usage(&brig) as f64;
        assert!((sum - du).abs() / du < 0.01, "df says {sum}, du {du}");
    }
    let verbose = brig.ok("system df -v");
    for part in [
        "Images space usage:\n\nREPOSITORY",
        "SHARED SIZE",
        "Containers space usage:\n\nCONTAINER ID",
        "VOLUME NAME",
        "data          1",
    ] {
        assert!(verbose.contains(part), "{part}: {verbose}");
    }
    let json: serde_json::Value = serde_json::from_str(&brig.ok("system df -v --format json")).unwrap();
    assert_eq!(json["Containers"][0]["Names"], "writes");
    assert_eq!(json["Volumes"][0]["Links"], "1");
    assert_eq!(json["Images"].as_array().unwrap().len(), 3);
}

#[test]
fn trees_and_names() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    load(&brig, "base:1", &image(&[("x", 1000)]));
    load(&brig, "top:1", &image(&[("x", 1000), ("y", 20)]));
    let tree = brig.ok("image tree top:1");
    assert!(tree.contains("Tags:     [top:1]\nSize:     1.02kB\nImage Layers\n├── ID: "), "{tree}");
    assert!(
        tree.contains("Size: 1kB Top Layer of: [base:1]\n└── ID: ")
            && tree.ends_with("Size: 20B Top Layer of: [top:1]")
    );
    let above = brig.ok("image tree --whatrequires base:1");
    assert!(above.contains("Image Layers\n└── ID: ") && above.ends_with("Top Layer of: [top:1]"), "{above}");
    brig.ok("image untag top:1");
    assert_eq!(brig.ok("images --filter dangling=true -q").lines().count(), 1);
    brig.fails("image untag base:1 none:1", 1, "none:1 is no name of image ");
    brig.fails("image mount base:1", 1, "brig image mount is not supported yet");
}

#[test]
fn several_images_in_one_archive_and_all_compressions() {
    let brig = Brig::empty();
    load(&brig, "a:1", &image(&[("x", 1)]));
    load(&brig, "b:1", &image(&[("x", 1), ("y", 2)]));
    for format in ["docker-archive", "oci-archive"] {
        let flag = if is_docker() { String::new() } else { format!("--format {format}") };
        let saved = brig.command(&format!("save {flag} a:1 b:1")).start().finish().expect(0).stdout;
        for bytes in [saved.clone(), gzip(&saved), zstd(&saved)] {
            let other = Brig::empty();
            let loaded = other.command("load").send(&bytes).expect(0).text();
            assert_eq!(loaded, "Loaded image: a:1\nLoaded image: b:1");
            assert_eq!(other.inspect("b:1", "{{.Id}}"), brig.inspect("b:1", "{{.Id}}"));
        }
    }
    if !is_docker() {
        brig.command("load -i -")
            .send(b"BZh91AY&SY rest")
            .expect(1)
            .says("bzip2, which is not supported: decompress it first");
        brig.command("load").send(b"\xfd7zXZ\0 rest").expect(1).says("xz, which is not supported: decompress it first");
        let (code, shown) = brig.command("save a:1").terminal().finish();
        assert!(code == 1 && shown.contains("refusing to write an archive to a terminal"), "{shown}");
    }
}

#[test]
fn an_archive_for_several_platforms() {
    let brig = Brig::empty();
    let images = ["s390x", architecture()].map(|architecture| (architecture, image_for(architecture)));
    let manifests: Vec<_> = images
        .iter()
        .map(|(architecture, image)| serde_json::json!({
            "mediaType": crate::harness::image::MANIFEST, "digest": digest(&image.manifest), "size": image.manifest.len(),
            "platform": {"architecture": architecture, "os": "linux"},
        }))
        .collect();
    let inner =
        serde_json::json!({"schemaVersion": 2, "mediaType": crate::harness::image::INDEX, "manifests": manifests})
            .to_string();
    let outer = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": crate::harness::image::INDEX, "digest": digest(inner.as_bytes()), "size": inner.len(),
        "annotations": {"io.containerd.image.name": "docker.io/library/multi:1", "org.opencontainers.image.ref.name": "1"},
    }]});
    let mut tar = Tar::new().file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    tar = tar.file("index.json", 0o644, outer.to_string().as_bytes());
    tar = tar.file(&format!("blobs/{}", digest(inner.as_bytes()).replace(':', "/")), 0o644, inner.as_bytes());
    for (_, image) in &images {
        for (digest, blob) in image.blobs.iter().chain([&(digest(&image.manifest), image.manifest.clone())]) {
            tar = tar.file(&format!("blobs/{}", digest.replace(':', "/")), 0o644, blob);
        }
    }
    let path = brig.write("multi.tar", tar.finish());
    brig.ok(&format!("load -i {path}"));
    assert_eq!(brig.inspect("multi:1", "{{.Architecture}}"), architecture());
    brig.ok(&format!("load --platform linux/s390x -i {path}"));
    assert_eq!(brig.inspect("multi:1", "{{.Architecture}}"), "s390x");
    brig.fails(&format!("load --platform linux/riscv64 -i {path}"), 1, "no image for linux/riscv64");
}

/// The large files of layers below the store, in whatever form the layers are.
fn layer_files(brig: &Brig) -> Vec<std::path::PathBuf> {
    let layers = std::fs::read_dir(brig.root().join("layers")).unwrap();
    let files = layers
        .flat_map(|layer| ["image.erofs", "diff/x", "diff/z"].map(|name| layer.as_ref().unwrap().path().join(name)));
    files.filter(|path| path.metadata().is_ok_and(|metadata| metadata.len() >= 50_000)).collect()
}

#[test]
fn check_finds_damage_and_repairs_it() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let name = format!("{}/a:1", registry.address);
    let archive = brig.write("in.tar", image(&[("x", 50_000), ("y", 10)]).oci_archive("a:1"));
    tool(
        "skopeo",
        &[
            "copy",
            "-q",
            "--insecure-policy",
            "--dest-tls-verify=false",
            &format!("oci-archive:{archive}"),
            &format!("docker://{name}"),
        ],
    );
    brig.ok(&format!("pull {name}"));
    load(&brig, "local:1", &image(&[("z", 70_000)]));
    let sound = brig.ok("image check");
    assert!(sound.starts_with("2 images, 3 layers, ") && sound.ends_with(" blobs: 0 damaged"), "{sound}");
    let id = brig.inspect(&name, "{{.Id}}");
    // The configuration is damaged, and one layer of each image.
    let blob = brig.root().join("images/blobs").join(id.replace(':', "/"));
    std::fs::write(&blob, "nonsense").unwrap();
    let files = layer_files(&brig);
    assert_eq!(files.len(), 2);
    for file in &files {
        let mut bytes = std::fs::read(file).unwrap();
        bytes[30_000] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    let found = brig.run("image check").expect(1).text();
    assert!(
        found.contains(&format!("blob {id} does not have the content that its name says (part of {name})")),
        "{found}"
    );
    // What the damaged configuration names is not known.
    assert!(found.ends_with(" 2 damaged"), "{found}");
    let repaired = brig.run("image check --repair").expect(1);
    assert!(repaired.text().contains(&format!("{name}: fetched again")), "{}", repaired.text());
    let repaired = repaired.says("local:1 cannot be repaired: nothing says where it came from");
    assert!(repaired.text().ends_with(" 1 damaged"), "{}", repaired.text());
    brig.ok("rmi local:1");
    assert!(brig.ok("image check").ends_with(": 0 damaged"));
    assert_eq!(brig.inspect(&name, "{{.Id}}"), id);
    assert_eq!(brig.ok("images --format '{{.Repository}}'").lines().count(), 1);
}

#[test]
fn copies_between_all_kinds_of_places() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let at = |name: &str| format!("docker://{}/{name}", registry.address);
    let copy = |from: &str, to: &str| brig.ok(&format!("image copy -q {from} {to}"));
    let archive = brig.write("in.tar", image(&[("x", 1000), ("y", 20)]).oci_archive("a:1"));
    // Between places outside of the store nothing changes.
    let digest = copy(&format!("oci-archive:{archive}"), &at("a:1"));
    for (from, to) in [
        (at("a:1"), at("b/c:2")),
        (at("b/c:2"), "oci:layout:v1".to_owned()),
        ("oci:layout:v1".to_owned(), "oci:other".to_owned()),
        ("oci:other".to_owned(), "docker-archive:d.tar:some/name:1".to_owned()),
        (at("a:1"), "oci-archive:o.tar".to_owned()),
        ("oci-archive:o.tar".to_owned(), at("d:1")),
    ] {
        assert_eq!(copy(&from, &to), digest, "{from} {to}");
    }
    assert!(!brig.root().join("images").exists(), "the store took no part");
    assert_eq!(brig.ok(&format!("image copy -q {} oci:layout:v1", at("a:1"))), digest, "again");
    // Others read what was written.
    let inspect = |place: &str| {
        let place = place.replace("DIR", brig.dir.to_str().unwrap());
        tool("skopeo", &["inspect", "--no-tags", "--tls-verify=false", "--format", "{{.Digest}}", &place])
    };
    for place in ["oci:DIR/layout:v1", "oci-archive:DIR/o.tar", &at("b/c:2"), &at("d:1")] {
        assert_eq!(inspect(place), digest, "{place}");
    }
    inspect("docker-archive:DIR/d.tar");
    // With the store as one end.
    copy("oci:layout:v1", "brig:from/layout:1");
    copy(&at("a:1"), "brig:from/registry:1");
    copy("docker-archive:d.tar", "brig:from/archive:1");
    copy("brig:from/layout:1", "brig:again:1");
    let ids = brig.ok("images -q --no-trunc");
    assert_eq!(ids.lines().collect::<std::collections::BTreeSet<_>>().len(), 1, "{ids}");
    copy("brig:again:1", "oci:plain:v2");
    copy("brig:again:1", "docker-archive:p.tar");
    copy("oci:plain:v2", &at("plain:1"));
    copy("docker-archive:p.tar", &at("plain:2"));
    copy("brig:again:1", &at("pushed:1"));
    let other = Brig::empty();
    for name in ["plain:1", "plain:2", "pushed:1"] {
        other.ok(&format!("pull -q {}/{name}", registry.address));
    }
    let loaded = other.ok(&format!("load -i {}", brig.dir.join("d.tar").display()));
    assert_eq!(loaded, "Loaded image: some/name:1");
    assert_eq!(other.ok("images -q --no-trunc").lines().next(), ids.lines().next());
    let old = brig.write(
        "old.tar",
        Image::new(&serde_json::json!({}), vec![plain_layer(&layer("z", 5))]).docker_archive("old:1"),
    );
    copy(&format!("docker-archive:{old}:old:1"), "oci:from-old:v1");
    inspect("oci:DIR/from-old:v1");
    brig.fails("image copy a b", 1, "does not say what kind of place it is");
    brig.fails("image copy oci:none oci:x", 1, "none");
    brig.fails("image copy oci:layout:v9 oci:x", 1, "\"v9\" is not there, but: v1");
    brig.fails("image copy --all oci:layout:v1 brig:x", 1, "leave out --all");
    brig.fails("image copy docker-daemon:x oci:y", 1, "docker-daemon: is not supported yet");
}

#[test]
fn a_copy_of_all_platforms_keeps_the_index() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let at = |name: &str| format!("{}/{name}", registry.address);
    for (name, image) in [("m:a", image_for(architecture())), ("m:b", image_for("s390x"))] {
        let archive = brig.write("in.tar", image.oci_archive("x:1"));
        brig.ok(&format!("image copy -q oci-archive:{archive} docker://{}", at(name)));
    }
    brig.ok(&format!("manifest create {} {} {}", at("m:1"), at("m:a"), at("m:b")));
    let list = brig.ok(&format!("manifest push {}", at("m:1")));
    let list = list.lines().last().unwrap();
    assert_eq!(brig.ok(&format!("image copy -qa docker://{} oci:all:v1", at("m:1"))), list);
    assert_eq!(brig.ok(&format!("image copy -qa oci:all:v1 docker://{}", at("n:1"))), list);
    assert_eq!(digest(skopeo_raw(&registry.address, "n:1").as_bytes()), list);
    let one = brig.ok(&format!("image copy -q --platform linux/s390x docker://{} docker-archive:s.tar", at("n:1")));
    assert_eq!(one, digest(&image_for("s390x").manifest));
    brig.fails(
        &format!("image copy --platform linux/riscv64 docker://{} oci:x", at("n:1")),
        1,
        "choose with --platform one of: ",
    );
    brig.fails(&format!("image copy -a docker://{} docker-archive:x.tar", at("n:1")), 1, "leave out --all");
    assert!(!brig.dir.join("x.tar").exists());
}
