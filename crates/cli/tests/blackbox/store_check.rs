//! `image check` on what nobody needs, and while somebody watches. Damage and its repair are among the image commands.

use crate::harness::Brig;
use crate::harness::image::{Image, gzip_layer};
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;

fn with_two_layers() -> Image {
    let layer = |name: &str| gzip_layer(&Tar::new().file(name, 0o644, &[7; 50_000]).finish());
    Image::new(&serde_json::json!({"Cmd": ["/x"]}), vec![layer("x"), layer("y")])
}

#[test]
fn what_nobody_needs_is_told_and_removed() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    let archive = brig.write("in.tar", with_two_layers().oci_archive("two:1"));
    let index = brig.root().join("images/index.json");
    let before = std::fs::read(&index).expect("an index");
    brig.ok(&format!("load -i {archive}"));
    let whole = brig.ok("image check");
    assert!(!whole.contains("unused"), "{whole}");
    // As a removal leaves it that was killed once the name was gone.
    std::fs::write(&index, before).expect("it can be written");
    let check = brig.ok("image check");
    assert!(check.starts_with("unused: 2 layers, 2 blobs ("), "{check}");
    assert!(check.contains("; `brig image prune` removes them\n1 images, 1 layers, 2 blobs: 0 damaged"), "{check}");
    assert_eq!(brig.ok("image check -q"), "");
    let repair = brig.ok("image check --repair");
    assert!(repair.starts_with("unused: 2 layers, 2 blobs (") && repair.contains("), removed\n"), "{repair}");
    assert!(!brig.ok("image check").contains("unused"));
    assert_eq!(brig.ok("run --rm bb echo works"), "works");
}

#[test]
fn what_no_registry_has_is_mended_by_loading_it() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    let archive = brig.write("in.tar", with_two_layers().oci_archive("two:1"));
    let load = || brig.ok(&format!("load -i {archive}"));
    load();
    let config = brig.inspect("two:1", "{{.Id}}");
    let config = brig.root().join("images/blobs/sha256").join(config.strip_prefix("sha256:").expect("an id"));
    std::fs::write(config, "garbage").expect("it can be written");
    let listed = brig.run("images --format '{{.Repository}}'").expect(0).says("two:1 is damaged: configuration");
    assert_eq!(listed.text(), "bb", "it hides no other image");
    brig.run("system df").expect(0).says("two:1 is damaged");
    load();
    let mut damaged = 0;
    for layer in std::fs::read_dir(brig.root().join("layers")).expect("layers") {
        let path = layer.expect("an entry").path().join("image.erofs");
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        let Some(at) = bytes.windows(1000).position(|part| part == [7; 1000]) else { continue };
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("it can be written");
        damaged += 1;
    }
    // A layer that is a directory is not mended so.
    if damaged == 0 {
        return;
    }
    brig.fails("save -o out.tar two:1", 1, "is damaged: `brig image check --repair`");
    brig.run("image check --repair").expect(1).says("load it or pull it again");
    load();
    assert!(brig.ok("image check").ends_with(": 0 damaged"));
    brig.ok("save -o out.tar two:1");
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    let mut check = brig.command("image check").terminal();
    check.wait_for("Checking: layer ");
    check.wait_for("MB");
    check.wait_for("1 images, 1 layers, 2 blobs: 0 damaged");
    assert_eq!(check.finish().0, 0);
    assert_eq!(brig.run("image check").expect(0).stderr, "", "and nobody else sees it");
}
