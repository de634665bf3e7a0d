//! `brig.toml`: a budget for the store, and layers kept in their compressed form. In docker's place there is nothing like it.

use crate::harness::Brig;
use crate::harness::image::{Image, gzip_layer};
use crate::harness::process::Output;
use crate::harness::registry::TestRegistry;
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

/// An image of so many bytes that every one of its blocks is written.
fn image(text: &str, length: usize) -> Image {
    let data: Vec<u8> = text.bytes().cycle().take(length).collect();
    let layer = gzip_layer(&Tar::new().file("x", 0o644, &data).finish());
    Image::new(&serde_json::json!({"Cmd": ["/x"], "Env": [format!("NAME={text}")]}), vec![layer])
}

fn load(brig: &Brig, name: &str, config: &str) -> Output {
    let archive = brig.write("in.tar", image(name, 400_000).oci_archive(&format!("{name}:1")));
    brig.command(&format!("load -i {archive}")).env("BRIG_CONFIG", config).start().finish().expect(0)
}

fn refused(brig: &Brig, config: &str) -> Output {
    let archive = brig.write("in.tar", image("a", 1000).oci_archive("a:1"));
    brig.command(&format!("load -i {archive}")).env("BRIG_CONFIG", config).send(b"").expect(1)
}

fn names(brig: &Brig) -> Vec<String> {
    let mut names: Vec<String> = brig.ok("images --format '{{.Repository}}'").lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let config = brig.write("brig.toml", "[store]\nmax = \"1.5MB\"\n");
    for name in ["one", "two", "three"] {
        assert_eq!(load(&brig, name, &config).stderr, "");
    }
    // Used again: a container is made of it, and goes.
    brig.ok("create --name box one:1");
    brig.ok("rm box");
    brig.ok("create --name box two:1");
    let fourth = load(&brig, "four", &config).says("removed three:1 (");
    assert_eq!(fourth.stderr.lines().count(), 1, "{}", fourth.stderr);
    assert!(fourth.stderr.trim_end().ends_with("): store.max is 1.5MB"), "{}", fourth.stderr);
    assert_eq!(names(&brig), ["four", "one", "two"]);
    // One is the last that was used of those without a container, and nothing else can go.
    brig.ok("tag one:1 one:2");
    load(&brig, "five", &config).says("removed four:1 (");
    assert_eq!(names(&brig), ["five", "one", "one", "two"]);
    assert!(brig.ok("image check").ends_with(" 0 damaged"));
    brig.ok("rm -f box");
}

#[test]
fn a_pull_makes_room_too_and_a_small_budget_breaks_nothing() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = TestRegistry::start();
    let config = brig.write("brig.toml", "store.max = \"100 kB\"");
    load(&brig, "old", "/dev/null");
    let name = registry.add("team/new", "latest", &image("new", 300_000));
    let pull = brig.command(&format!("pull -q {name}")).env("BRIG_CONFIG", &config).start().finish().expect(0);
    let stderr = &pull.stderr;
    assert!(stderr.contains("removed old:1 ("), "{stderr}");
    assert!(stderr.contains("and store.max is 100kB: what is left is needed"), "{stderr}");
    assert_eq!(brig.ok("images -q").lines().count(), 1, "what has just come stays");
}

#[test]
fn a_mistake_is_told_before_anything_comes() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    for (text, part) in [
        ("[store]\nmax = \"lots\"", "store.max is \"lots\", which begins with no number: write for example \"20GB\""),
        ("[store]\nmaximum = \"1GB\"", "unknown field `maximum`"),
        ("store.max", "expected"),
    ] {
        let config = brig.write("brig.toml", text);
        let refused = refused(&brig, &config).says(part);
        assert!(refused.stderr.starts_with(&format!("brig: cannot use {config}: ")), "{}", refused.stderr);
        // What brings nothing in goes by the defaults.
        brig.command("images -q").env("BRIG_CONFIG", &config).send(b"").expect(0);
    }
    refused(&brig, "/nonexistent.toml").says("there is no such file: unset BRIG_CONFIG");
    assert!(names(&brig).is_empty());
}

#[test]
fn compressed_layers_are_kept_if_asked_for() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let registry = TestRegistry::start();
    let image = image("kept", 100_000);
    let name = registry.add("kept", "latest", &image);
    let blob = brig.root().join("images/blobs").join(image.blobs[0].0.replace(':', "/"));
    brig.command(&format!("pull -q {name}")).env("BRIG_LAYERS", "erofs").start().finish().expect(0);
    assert!(!blob.exists());
    let config = brig.write("brig.toml", "[store]\nkeep_blobs = true\n");
    let pull = brig.command(&format!("pull -q {name}")).env("BRIG_LAYERS", "erofs").env("BRIG_CONFIG", &config).start();
    pull.finish().expect(0);
    assert_eq!(std::fs::read(&blob).expect("it is kept now"), image.layers[0].blob);
    assert!(brig.ok("image check").ends_with(" 1 layers, 3 blobs: 0 damaged"));
    brig.ok("image prune -f");
    assert!(blob.exists(), "it is part of the image");
    brig.ok(&format!("rmi {name}"));
    assert!(!blob.exists());
}
