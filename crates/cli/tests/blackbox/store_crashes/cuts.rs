//! Which commands have the power cut, and what must be true afterwards: what a finished command has made is there, what it
//! has removed stays away, and what it had nothing to do with is never lost. How the power goes: `power.rs`.

use std::path::Path;

use super::power::{Cut, Scenario, can_mount};
use super::{Moments, image, with_registry};
use crate::harness::Brig;
use crate::harness::image::{busybox_tar, write};

fn archive(directory: &Path) -> String {
    write(directory, "in.tar", &image(8).oci_archive("team/app:v2"))
}

/// A second image, which shares two of three layers with the first.
fn other_archive(directory: &Path) -> String {
    write(directory, "other.tar", &image(9).oci_archive("team/next:v1"))
}

fn pull(moments: Moments) {
    let brig = Brig::empty();
    let (_registry, name) = with_registry(&brig.dir, &image(7));
    let line = format!("pull -q {name}");
    Scenario { before: &["images"], line: &line, made: &name, ..Scenario::of(&brig) }.check(moments);
}

fn load(moments: Moments, layers: &str) {
    let brig = Brig::empty();
    let line = format!("load -i {}", archive(&brig.dir));
    let env = [("BRIG_LAYERS", layers)];
    Scenario { line: &line, made: "team/app:v2", env: &env, ..Scenario::of(&brig) }.check(moments);
}

/// One more name.
fn tag(moments: Moments) {
    let brig = Brig::empty();
    let load = format!("load -i {}", archive(&brig.dir));
    let before = [load.as_str(), "tag team/app:v2 team/app:old"];
    let (line, kept) = ("tag team/app:v2 team/app:new", "team/app:old team/app:v2");
    Scenario { before: &before, line, made: "team/app:new", kept, ..Scenario::of(&brig) }.check(moments);
}

fn import(moments: Moments) {
    let brig = Brig::empty();
    let load = format!("load -i {}", archive(&brig.dir));
    let line = format!("import {} team/made", brig.write("bb.tar", busybox_tar()));
    let scenario = Scenario { before: &[&load], line: &line, kept: "team/app:v2", ..Scenario::of(&brig) };
    Scenario { made: "team/made", ..scenario }.check(moments);
}

/// What a container has written may be lost with the power; its image may not, nor the new one.
fn commit(moments: Moments) {
    let brig = Brig::empty();
    let load = format!("load -i {}", archive(&brig.dir));
    let copy = format!("cp {} box:/file", brig.write("file", super::noise(20_000, 5)));
    let before = [load.as_str(), "create --network none --name box team/app:v2", &copy];
    let (line, made) = ("commit box team/made", "team/made");
    Scenario { before: &before, line, made, kept: "team/app:v2", ..Scenario::of(&brig) }.check(moments);
}

fn rmi(moments: Moments) {
    let brig = Brig::empty();
    let (load, other) = (format!("load -i {}", archive(&brig.dir)), format!("load -i {}", other_archive(&brig.dir)));
    let (before, line) = ([load.as_str(), &other], "rmi team/app:v2");
    let scenario = Scenario { before: &before, line, refusal: "No such image", ..Scenario::of(&brig) };
    Scenario { removed: "team/app:v2", kept: "team/next:v1", ..scenario }.check(moments);
}

fn prune(moments: Moments) {
    let brig = Brig::empty();
    let (load, other) = (format!("load -i {}", archive(&brig.dir)), format!("load -i {}", other_archive(&brig.dir)));
    let before = [load.as_str(), &other, "create --network none team/next:v1"];
    let (line, removed, kept) = ("image prune -af", "team/app:v2", "team/next:v1");
    Scenario { before: &before, line, removed, kept, ..Scenario::of(&brig) }.check(moments);
}

/// A load that makes the store too large, so that an older image goes.
fn eviction(moments: Moments) {
    let brig = Brig::empty();
    let base = brig.write("bb.tar", busybox_tar());
    let before =
        [&*format!("import {base} bb"), "create --network none bb true", &*format!("load -i {}", archive(&brig.dir))];
    // Less than busybox and the three layers of one of the two take.
    let config = brig.write("brig.toml", "store.max = \"2MB\"");
    let (line, env) = (format!("load -i {}", other_archive(&brig.dir)), [("BRIG_CONFIG", config.as_str())]);
    let scenario = Scenario { before: &before, line: &line, env: &env, kept: "bb", ..Scenario::of(&brig) };
    Scenario { made: "team/next:v1", removed: "team/app:v2", ..scenario }.check(moments);
}

/// The configuration and the largest layer are damaged.
fn repair(moments: Moments) {
    let brig = Brig::empty();
    let (_registry, name) = with_registry(&brig.dir, &image(7));
    let (load, pull) = (format!("load -i {}", other_archive(&brig.dir)), format!("pull -q {name}"));
    // The other image has its own configuration and shares the layer.
    let damage = "cd mnt/root\n\
         printf nonsense >$(grep -l SEED=7 images/blobs/sha256/*)\n\
         printf nonsense | dd of=$(ls -S layers/*/image.erofs | head -n1) bs=1 seek=200000 conv=notrunc 2>/dev/null\n\
         cd ../..";
    let scenario = Scenario { before: &[&pull, &load], line: "image check --repair", damage, ..Scenario::of(&brig) };
    Scenario { made: &name, kept: "team/next:v1", ..scenario }.check(moments);
}

pub fn all(moments: Moments) {
    if can_mount() {
        tag(moments);
        import(moments);
        pull(moments);
        load(moments, "auto");
        load(moments, "directory");
        commit(moments);
        rmi(moments);
        prune(moments);
        eviction(moments);
        repair(moments);
    }
}

#[test]
fn a_load_that_syncs_nothing_would_be_found_out() {
    if !can_mount() {
        return;
    }
    let brig = Brig::empty();
    let line = format!("load -i {}", archive(&brig.dir));
    let load = Scenario { line: &line, made: "team/app:v2", ..Scenario::of(&brig) };
    load.prepare();
    load.survives(Cut::AtTheEnd).expect("as it is");
    for (call, part) in [("fdatasync", "is too short"), ("fsync", "index.json")] {
        let why = load.survives(Cut::Without(call)).expect_err(call);
        assert!(why.contains(part), "without {call}: {why}");
    }
}

#[test]
fn a_pull_and_a_power_cut() {
    if can_mount() {
        pull(Moments::Some);
    }
}

#[test]
fn a_load_and_a_power_cut() {
    if can_mount() {
        load(Moments::Some, "auto");
    }
}

#[test]
fn a_load_of_directories_and_a_power_cut() {
    if can_mount() {
        load(Moments::Some, "directory");
    }
}

#[test]
fn a_tag_and_a_power_cut() {
    if can_mount() {
        tag(Moments::All);
    }
}

#[test]
fn a_commit_and_a_power_cut() {
    if can_mount() {
        commit(Moments::Some);
    }
}

#[test]
fn a_removal_and_a_power_cut() {
    if can_mount() {
        rmi(Moments::Some);
    }
}

#[test]
fn a_prune_and_a_power_cut() {
    if can_mount() {
        prune(Moments::Some);
    }
}

#[test]
fn an_eviction_and_a_power_cut() {
    if can_mount() {
        eviction(Moments::Some);
    }
}

#[test]
fn a_repair_and_a_power_cut() {
    if can_mount() {
        repair(Moments::Some);
    }
}
