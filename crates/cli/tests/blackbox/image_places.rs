//! Images from and to other places: a web server (`import`), skopeo's directories (`image copy dir:`), archives for
//! certain platforms (`save`, `load`); and how `images --tree` shows what is here.

use crate::harness::Brig;
use crate::harness::image::{Image, architecture, busybox_tar, digest, gzip, gzip_layer, plain_layer};
use crate::harness::process::tool;
use crate::harness::registry::{DockerRegistry, TestRegistry};
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

fn image_for(architecture: &str) -> Image {
    let tar = Tar::new().file(architecture, 0o644, b"xyz").finish();
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
    });
    Image::with_config(config.to_string().into_bytes(), vec![plain_layer(&tar)])
}

#[test]
fn import_from_a_web_server() {
    let brig = Brig::empty();
    let server = TestRegistry::start();
    server.answer("/root.tar.gz", 200, "application/octet-stream", &gzip(busybox_tar()));
    server.answer("/moved", 302, "text/html", b"");
    server.change("/moved", |answer| answer.headers.push(("Location".to_owned(), "/root.tar.gz?x=1".to_owned())));
    let url = format!("http://{}/root.tar.gz", server.address);
    let output = brig.run(&format!("import {url} web:1")).expect(0);
    let id = output.text().lines().last().unwrap_or_default().to_owned();
    assert_eq!(id, brig.inspect("web:1", "{{.Id}}"));
    assert_eq!(brig.inspect("web:1", "{{.Comment}}"), format!("Imported from {url}"));
    if !is_docker() {
        output.says(&format!("Downloading from {url}\n"));
    }
    assert_eq!(brig.ok("run --rm web:1 echo there"), "there");
    brig.ok(&format!("import -c 'CMD [\"true\"]' -m hello http://{}/moved web:2", server.address));
    assert_eq!(brig.inspect("web:2", "{{.Comment}}"), "hello");
    brig.run(&format!("import http://{}/none web:3", server.address)).expect(1).says("404");
    brig.fails("import ftp://127.0.0.1/x web:3", 1, "no such file or directory");
    if !is_docker() {
        brig.ok(&format!("import http://ann:secret@{}/moved web:4", server.address));
        assert!(!brig.ok("history --no-trunc web:4").contains("secret"));
        server.change("/root.tar.gz", |answer| answer.cut = Some(1000));
        brig.run(&format!("import {url} web:3")).expect(1).says("the transfer broke off: ");
        assert_eq!(brig.ok("images -q web:3"), "");
    }
}

#[test]
fn skopeos_directories() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = DockerRegistry::start(&brig.dir);
    let at = |name: &str| format!("docker://{}/{name}", registry.address);
    let copy = |words: &str| brig.ok(&format!("image copy -q {words}"));
    let dir = brig.dir.display().to_string();
    let skopeo = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| word.replace("DIR", &dir)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        tool("skopeo", &[&["--insecure-policy"], words.as_slice()].concat())
    };
    let tars = ["one", "two"].map(|name| Tar::new().file(name, 0o644, name.as_bytes()).finish());
    let image = Image::new(&serde_json::json!({}), tars.iter().map(|tar| gzip_layer(tar)).collect());
    let archive = brig.write("in.tar", image.oci_archive("a:1"));
    // Ours is theirs and theirs is ours, byte for byte.
    let digest_of = digest(&image.manifest);
    assert_eq!(copy(&format!("oci-archive:{archive} dir:ours")), digest_of);
    assert_eq!(skopeo(&["inspect", "--format", "{{.Digest}}", "dir:DIR/ours"]), digest_of);
    skopeo(&["copy", "-q", "dir:DIR/ours", "dir:DIR/theirs"]);
    assert_eq!(copy(&format!("dir:theirs {}", at("a:1"))), digest_of);
    assert_eq!(copy(&format!("{} dir:again", at("a:1"))), digest_of);
    for (from, to) in [("dir:again", "brig:a:1"), ("dir:theirs", "oci:layout:1"), ("oci:layout:1", "dir:ours")] {
        copy(&format!("{from} {to}"));
    }
    let files = |name: &str| {
        let entries = std::fs::read_dir(brig.dir.join(name)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names
    };
    assert_eq!(files("ours"), files("theirs"));
    // The store gives uncompressed layers, and what was there before goes.
    copy("brig:a:1 dir:ours");
    assert_eq!(files("ours").len(), 5);
    skopeo(&["copy", "-q", "dir:DIR/ours", "oci-archive:DIR/plain.tar:p:1"]);
    brig.ok("load -i plain.tar");
    assert_eq!(brig.ok("images -q").lines().collect::<std::collections::BTreeSet<_>>().len(), 1);
    // Indexes keep their members under names of their own.
    for (tag, architecture) in [("amd", "amd64"), ("arm", "arm64")] {
        let archive = brig.write("in.tar", image_for(architecture).oci_archive("x:1"));
        copy(&format!("oci-archive:{archive} {}", at(&format!("m:{tag}"))));
    }
    let list = format!("{}/m:all", registry.address);
    brig.ok(&format!("manifest create {list} {0}/m:amd {0}/m:arm", registry.address));
    let index = brig.ok(&format!("manifest push {list}"));
    let index = index.lines().last().unwrap();
    assert_eq!(copy(&format!("-a {} dir:all", at("m:all"))), index);
    assert_eq!(files("all").iter().filter(|name| name.ends_with(".manifest.json")).count(), 2);
    skopeo(&["copy", "-q", "--all", "dir:DIR/all", "dir:DIR/all-theirs"]);
    assert_eq!(files("all-theirs"), files("all"));
    assert_eq!(copy(&format!("-a dir:all-theirs {}", at("n:1"))), index);
    assert_eq!(copy("--platform linux/arm64 dir:all-theirs dir:one"), digest(&image_for("arm64").manifest));
    // What is not such a directory is left alone.
    brig.mkdir("full");
    brig.write("full/file", "x");
    brig.fails("image copy dir:ours dir:full", 1, "is not empty and has no image of this kind");
    brig.fails("image copy dir:full dir:new", 1, "it has no manifest.json");
    assert_eq!(files("full"), ["file"]);
    let config = image.blobs.last().unwrap().0.trim_start_matches("sha256:").to_owned();
    std::fs::remove_file(brig.dir.join("theirs").join(&config)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", brig.dir.join("theirs").join(&config)).unwrap();
    brig.fails("image copy dir:theirs oci:stolen", 1, &config);
}

#[test]
fn archives_for_a_platform() {
    let brig = Brig::empty();
    let other = if architecture() == "amd64" { "arm64" } else { "amd64" };
    let own = format!("linux/{}", architecture());
    for (form, bytes) in [
        ("docker", image_for(architecture()).docker_archive("own:1")),
        ("oci", image_for(architecture()).oci_archive("own:1")),
    ] {
        if is_docker() && form == "oci" {
            continue; // docker with its classic store takes its own form only
        }
        let path = brig.write("own.tar", bytes);
        assert_eq!(brig.ok(&format!("load --platform {own} -i {path}")), "Loaded image: own:1", "{form}");
        if !is_docker() {
            let line = format!("load --platform linux/{other} -i {path}");
            brig.fails(&line, 1, &format!("holds no image for linux/{other}"));
        }
    }
    brig.ok(&format!("save --platform {own} -o saved.tar own:1"));
    let refused = format!("save --platform linux/{other} -o other.tar own:1");
    brig.fails(&refused, 1, "no suitable export target found");
    assert!(!brig.dir.join("other.tar").exists());
    brig.run("save --platform linux/amd64,linux/arm64 own:1").expect(1);
}

#[test]
fn a_tree_shows_names_platform_and_use() {
    let brig = Brig::new();
    brig.ok("tag bb team/bb:2");
    brig.ok("create --name user bb true");
    brig.command("import - gone").send(&Tar::new().file("x", 0o644, b"1").finish()).expect(0);
    brig.command("import - gone").send(&Tar::new().file("x", 0o644, b"22").finish()).expect(0);
    let tree = brig.ok("images --tree");
    let lines: Vec<&str> = tree.lines().map(str::trim_end).collect();
    assert!(tree.contains("Info ->  U In Use") && !tree.contains("<untagged>"), "{tree}");
    let at = lines.iter().position(|line| *line == "bb:latest").unwrap_or_else(|| panic!("{tree}"));
    let words: Vec<&str> = lines[at + 1].split_whitespace().collect();
    let id = brig.ok("images -q bb");
    assert_eq!((words[0], words[1], words.last()), ("team/bb:2", id.as_str(), Some(&"U")), "{tree}");
    if !is_docker() {
        let heading: Vec<&str> = lines[2].split("  ").filter(|word| !word.is_empty()).map(str::trim).collect();
        assert_eq!(heading, ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"]);
        assert!(lines[at + 2].starts_with(&format!("└─ linux/{}", architecture())), "{tree}");
        assert!(brig.ok("images --tree -a").contains("\n<untagged>   "));
    }
    assert!(!brig.ok("images --tree gone").contains("team/bb"));
    brig.run("images --tree -q").expect(1).says("not yet supported with --tree");
}
