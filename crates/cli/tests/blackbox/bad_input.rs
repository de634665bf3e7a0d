//! Input that is wrong, broken or hostile: one line that says what and why, docker's exit code,
//! and nothing made.

use crate::harness::image::{Image, busybox_tar, digest, gzip, plain_layer};
use crate::harness::sandbox::is_docker;
use crate::harness::tar::{Entry, Tar};
use crate::harness::{Brig, process::tool};

#[test]
fn wrong_flags_are_named_with_a_remedy() {
    let brig = Brig::new();
    for (line, code, words) in [
        ("run --memroy 10m bb true", 125, "--memroy"),
        ("run -Z bb true", 125, "unknown shorthand flag: 'Z'"),
        ("run --memory", 125, "--memory"),
        ("run --rm=perhaps bb true", 125, "perhaps"),
        ("run --name", 125, "--name"),
        ("stop -t x box", 125, "x"),
        ("logs --tail x box", 1, ""),
        ("imagse", 1, "imagse"),
        ("volume nosuch", 1, ""),
        ("run --stop-timeout x bb true", 125, "x"),
        ("run --network", 125, "--network"),
        ("run -v", 125, "-v"),
    ] {
        brig.run(line).expect(code).says(words);
    }
    assert_eq!(brig.ok("ps -aq"), "");
}

/// What must become of a layer: some may be refused or made harmless, as one likes.
#[derive(Clone, Copy)]
enum Verdict {
    Refused,
    Taken,
    Either,
}
use Verdict::{Either, Refused, Taken};

/// A layer that must be refused or made harmless: afterwards nothing has been written outside.
fn check_layer(name: &str, tar: Vec<u8>, verdict: Verdict) {
    let brig = Brig::empty();
    let image = Image::new(&serde_json::json!({}), vec![plain_layer(busybox_tar()), plain_layer(&tar)]);
    let path = brig.write("image.tar", image.docker_archive("evil:latest"));
    let output = brig.run(&format!("load -i {path}"));
    let refused = match verdict {
        Verdict::Refused => true,
        Verdict::Taken => false,
        Verdict::Either => output.code != 0,
    };
    if refused {
        assert_eq!(output.code, 1, "{name} is taken: {}", output.stderr);
        assert!(!output.stderr.contains("panicked") && output.stderr.lines().count() <= 3, "{name}: {}", output.stderr);
        assert_eq!(brig.ok("images -aq"), "", "{name} leaves no image");
    } else {
        assert_eq!(output.code, 0, "{name}: {}", output.stderr);
        brig.ok("run --rm evil true");
    }
    for outside in ["/brig-evil", "/tmp/brig-evil", "/etc/brig-evil"] {
        assert!(!std::path::Path::new(outside).exists(), "{name} wrote {outside}");
    }
    assert!(
        !brig.dir.join("brig-evil").exists()
            && !brig.root().join("brig-evil").exists()
            && !brig.root().join("layers/brig-evil").exists(),
        "{name}"
    );
}

#[test]
fn layers_stay_beneath_their_root() {
    let deep = "../".repeat(20);
    check_layer("dots", Tar::new().file("../brig-evil", 0o644, b"x").finish(), Refused);
    check_layer("many dots", Tar::new().file(&format!("{deep}tmp/brig-evil"), 0o644, b"x").finish(), Refused);
    check_layer("dots inside", Tar::new().file("etc/../../brig-evil", 0o644, b"x").finish(), Refused);
    check_layer("absolute", Tar::new().file("/etc/brig-evil", 0o644, b"x").finish(), Taken);
    check_layer(
        "through a link",
        Tar::new().symlink("out", "/tmp").file("out/brig-evil", 0o644, b"x").finish(),
        Either,
    );
    check_layer(
        "through a relative link",
        Tar::new().symlink("out", &format!("{deep}tmp")).file("out/brig-evil", 0o644, b"x").finish(),
        Either,
    );
    check_layer(
        "link replaced by a directory",
        Tar::new().symlink("out", "/tmp").dir("out", 0o755).file("out/brig-evil", 0o644, b"x").finish(),
        Either,
    );
    check_layer("whiteout with dots", Tar::new().file("etc/.wh...", 0, b"").finish(), Refused);
    check_layer("whiteout of nothing", Tar::new().file("etc/.wh.", 0, b"").finish(), Refused);
    check_layer(
        "hard link to the outside",
        Tar::new().hardlink("brig-evil", "../../../../../../etc/passwd").finish(),
        Refused,
    );
    check_layer("hard link to nothing", Tar::new().hardlink("a", "no/such/file").finish(), Refused);
}

#[test]
fn a_hard_link_through_a_link_does_not_reach_the_host() {
    let brig = Brig::empty();
    let secret = brig.write("secret", "secret");
    let tar = Tar::new().symlink("out", &brig.dir.display().to_string()).hardlink("stolen", "out/secret").finish();
    let image = Image::new(&serde_json::json!({}), vec![plain_layer(busybox_tar()), plain_layer(&tar)]);
    let output = brig.command("load").send(&image.docker_archive("evil:latest"));
    if output.code == 0 {
        brig.run("run --rm evil cat /stolen").expect(1);
    }
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(secret).expect("it is there").nlink(), 1);
}

#[test]
fn broken_tars_are_refused() {
    let whole = Tar::new().file("a", 0o644, &[7; 5000]).finish();
    let mut damaged = whole.clone();
    damaged[150] ^= 1;
    check_layer("bad checksum", damaged, Refused);
    check_layer("cut in a file", whole[..1500].to_vec(), Refused);
    check_layer(
        "huge size",
        Tar::new().entry("a", &Entry { size: Some(0o77777777777), data: b"x", ..Entry::default() }).finish(),
        Refused,
    );
    check_layer(
        "huge long name",
        Tar::new()
            .entry("././@LongLink", &Entry { kind: b'L', size: Some(1 << 32), data: b"x", ..Entry::default() })
            .finish(),
        Refused,
    );
    check_layer(
        "huge pax header",
        Tar::new().entry("pax", &Entry { kind: b'x', size: Some(1 << 32), data: b"x", ..Entry::default() }).finish(),
        Refused,
    );
    check_layer(
        "nonsense pax",
        Tar::new()
            .entry("pax", &Entry { kind: b'x', data: b"99 nonsense\n", ..Entry::default() })
            .file("a", 0o644, b"")
            .finish(),
        Refused,
    );
    check_layer(
        "noise",
        (0..10_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
        Refused,
    );
}

#[test]
fn broken_archives_are_refused() {
    if is_docker() {
        return; // some of these it takes
    }
    let brig = Brig::empty();
    let good = Image::new(&serde_json::json!({}), vec![plain_layer(busybox_tar())]);
    let manifest = |text: &str| Tar::new().file("manifest.json", 0o644, text.as_bytes()).finish();
    let mut wrong_digest = Image::new(&serde_json::json!({}), vec![plain_layer(busybox_tar())]);
    wrong_digest.blobs[0].1[5000] ^= 1;
    let mut wrong_diff = Image::new(&serde_json::json!({}), vec![plain_layer(busybox_tar())]);
    let config = String::from_utf8(wrong_diff.config.clone()).expect("JSON");
    wrong_diff.config = config.replace(&digest(busybox_tar()), &digest(b"other")).into_bytes();
    let archive = good.docker_archive("x:latest");
    let packed = gzip(&archive);
    for (name, bytes) in [
        ("nothing", Vec::new()),
        ("a line", b"hello\n".to_vec()),
        ("an empty tar", Tar::new().finish()),
        ("a tar of something else", Tar::new().file("x", 0o644, b"x").finish()),
        ("no JSON", manifest("nonsense")),
        ("wrong JSON", manifest("{\"a\": 1}")),
        ("missing files", manifest(r#"[{"Config": "no.json", "RepoTags": ["x:y"], "Layers": ["no.tar"]}]"#)),
        ("a path with dots", manifest(r#"[{"Config": "../../../../etc/passwd", "RepoTags": ["x:y"], "Layers": []}]"#)),
        ("half an archive", archive[..archive.len() / 2].to_vec()),
        ("half a gzip", packed[..packed.len() / 2].to_vec()),
        ("another digest", wrong_digest.oci_archive("x")),
        ("another diff id", wrong_diff.docker_archive("x:latest")),
        (
            "a bad config",
            Image::with_config(b"[]".to_vec(), vec![plain_layer(busybox_tar())]).docker_archive("x:latest"),
        ),
        ("a bad name", good.docker_archive("Bad Name:x")),
    ] {
        let path = brig.write("bad.tar", &bytes);
        let output = brig.run(&format!("load -i {path}"));
        assert_eq!(output.code, 1, "{name} is taken: {}", output.text());
        assert!(
            !output.stderr.is_empty() && output.stderr.lines().count() <= 2 && !output.stderr.contains("panicked"),
            "{name}: {}",
            output.stderr
        );
        assert_eq!(brig.ok("images -aq"), "", "{name}");
    }
    brig.fails("load -i /no/such/file", 1, "no such file");
    let noise = brig.write("noise", [0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    brig.run(&format!("import {noise} x")).expect(1);
    assert_eq!(brig.ok("images -aq"), "");
}

#[test]
fn a_full_disk_leaves_no_half_made_thing() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let small = brig.mkdir("root");
    tool("mount", &["-t", "tmpfs", "-o", "size=6m", "full", &small]);
    let mut big = busybox_tar().to_vec();
    big.truncate(big.len() - 1024);
    big.extend(Tar::new().file("big", 0o644, &vec![1; 8 << 20]).finish());
    let output = brig.command("import - big").send(&big);
    let images = brig.run("images -aq");
    let after = brig.command("import - bb").send(busybox_tar());
    let run = brig.run("run --rm bb sh -c 'dd if=/dev/zero of=/fill bs=64k count=200'");
    let again = brig.run("run --rm bb echo works");
    tool("umount", &["-l", &small]);
    output.expect(1).says("no space left");
    assert_eq!(images.expect(0).text(), "");
    // What was half written has been removed: there is room for what fits.
    after.expect(0);
    run.expect(1).says("no space left");
    assert_eq!(again.expect(0).text(), "works");
}

#[test]
fn damaged_state_is_reported_not_believed() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    let id = brig.ok("create --name box bb true");
    let fine = brig.ok("create --name fine bb echo fine");
    for entry in std::fs::read_dir(brig.root().join("containers").join(&id)).expect("a directory").flatten() {
        if entry.path().is_file() {
            std::fs::write(entry.path(), "{").expect("a file");
        }
    }
    assert_eq!(brig.ok("start -a fine"), "fine");
    let output = brig.run("ps -a --format '{{.Names}}'");
    assert!(
        output.text().contains("fine") && !output.stderr.contains("panicked"),
        "{} {}",
        output.text(),
        output.stderr
    );
    let output = brig.run(&format!("rm -f {id}"));
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    assert!(
        !brig.root().join("containers").join(&id).exists(),
        "a damaged container can be removed: {}",
        output.stderr
    );
    brig.ok(&format!("rm {fine}"));
}

#[test]
fn directories_that_cannot_be_used() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    let run = |flags: &[&str]| {
        let mut command = std::process::Command::new(crate::harness::sandbox::program());
        command.args(flags);
        crate::harness::Process::start(command, &flags.join(" ")).finish()
    };
    run(&["--root", "/proc/nosuch", "ps"]).expect(1).says("/proc/nosuch");
    run(&["--root", "/etc/passwd", "ps"]).expect(1).says("/etc/passwd");
    let moved = brig.dir.join("moved").display().to_string();
    let state = brig.dir.join("moved-state").display().to_string();
    let mut command = std::process::Command::new(crate::harness::sandbox::program());
    command.args(["ps", "-aq"]).env("BRIG_ROOT", &moved).env("BRIG_STATE", &state);
    crate::harness::Process::start(command, "ps with variables").finish().expect(0);
    assert!(
        std::path::Path::new(&state).exists() || std::path::Path::new(&moved).exists(),
        "the variables are followed"
    );
}
