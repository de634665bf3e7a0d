//! Images on this machine: `images`, `tag`, `rmi`, `save`, `load`, `inspect`.

use crate::harness::image::{Image, busybox_tar, gzip, gzip_layer, plain_layer, zstd, zstd_layer};
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;
use crate::harness::{Brig, process::tool};

/// An image of two layers with a command.
fn two_layers() -> Image {
    let tar = Tar::new().file("second", 0o644, b"layer two\n").finish();
    Image::new(
        &serde_json::json!({"Cmd": ["cat", "/second"], "Env": ["A=1"]}),
        vec![plain_layer(busybox_tar()), plain_layer(&tar)],
    )
}

#[test]
fn are_listed() {
    let brig = Brig::new();
    let table = brig.ok("images");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    );
    assert_eq!(lines.len(), 2);
    let words: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!((words[0], words[1], words[2].len()), ("bb", "latest", 12), "{table}");
    assert!(words.last().is_some_and(|size| size.ends_with("MB")), "{table}");
    brig.ok("tag bb other/name:v2");
    brig.ok("tag bb 127.0.0.1:5000/deep/name:v3");
    assert_eq!(brig.ok("images -q"), [words[2]; 3].join("\n"));
    assert_eq!(brig.ok("images -q --no-trunc bb").len(), 71);
    assert_eq!(brig.ok("images --format '{{.Repository}}:{{.Tag}}' other/name"), "other/name:v2");
    assert_eq!(brig.ok("images --format '{{.Repository}}:{{.Tag}}' other/name:v2"), "other/name:v2");
    assert_eq!(brig.ok("images --format '{{.Repository}}' nosuch"), "");
    assert_eq!(brig.ok("images --format '{{.Repository}}' -f reference='other/*'"), "other/name");
    let mut all: Vec<String> =
        brig.ok("images --format '{{.Repository}}:{{.Tag}}'").lines().map(str::to_owned).collect();
    all.sort();
    assert_eq!(all, ["127.0.0.1:5000/deep/name:v3", "bb:latest", "other/name:v2"]);
    let json: serde_json::Value =
        serde_json::from_str(&brig.ok("images --format json bb")).expect("one object per line");
    assert_eq!((json["Repository"].as_str(), json["Tag"].as_str()), (Some("bb"), Some("latest")));
    assert_eq!(brig.ok("image ls -q bb"), words[2]);
}

#[test]
fn have_many_names_and_one_end() {
    let brig = Brig::new();
    let id = brig.ok("inspect -f '{{.Id}}' bb");
    brig.ok("tag bb second");
    brig.ok(&format!("tag {} third:v1", &id[7..19]));
    assert_eq!(brig.ok("run --rm third:v1 echo works"), "works");
    assert_eq!(brig.ok("rmi second"), "Untagged: second:latest");
    brig.fails(&format!("rmi {}", &id[7..19]), 1, "referenced in multiple repositories");
    brig.ok("rmi third:v1");
    let output = brig.ok("rmi bb");
    assert!(output.starts_with("Untagged: bb:latest\n") && output.contains(&format!("Deleted: {id}")), "{output}");
    assert_eq!(brig.ok("images -q"), "");
    brig.fails("run --rm --pull never bb true", 125, "no such image");
    brig.fails("tag bb x", 1, "no such image");
}

#[test]
fn in_use_cannot_go() {
    let brig = Brig::new();
    let id = brig.ok("inspect -f '{{.Id}}' bb");
    let container = brig.ok("create bb true");
    brig.fails("rmi bb", 1, "conflict");
    brig.ok("tag bb other");
    assert_eq!(brig.ok("rmi other"), "Untagged: other:latest", "one of two names may go");
    brig.ok("rmi -f bb");
    assert_eq!(brig.ok(&format!("start -a {container}")), "", "the container keeps its layers");
    assert_eq!(brig.inspect(&container, "{{.Image}}"), id);
    brig.ok(&format!("rm {container}"));
    brig.run(&format!("rmi {}", &id[7..19]));
    assert_eq!(brig.ok("images -aq"), "");
}

#[test]
fn a_name_moves_and_leaves_none_behind() {
    let brig = Brig::new();
    let first = brig.ok("images -q bb");
    brig.command("import -c 'ENV X=1' - bb").send(busybox_tar()).expect(0);
    assert_ne!(brig.ok("images -q bb"), first);
    assert_eq!(
        brig.ok("images --format '{{.Repository}} {{.Tag}} {{.ID}}' -f dangling=true"),
        format!("<none> <none> {first}")
    );
    brig.ok(&format!("rmi {first}"));
    assert_eq!(brig.ok("images -q").lines().count(), 1);
}

#[test]
fn load_reads_what_others_save() {
    let brig = Brig::empty();
    let image = two_layers();
    for (form, bytes) in [
        ("docker", image.docker_archive("loaded:v1")),
        ("docker gzip", gzip(&image.docker_archive("loaded:v1"))),
        ("docker zstd", zstd(&image.docker_archive("loaded:v1"))),
        ("oci", image.oci_archive("loaded:v1")),
    ] {
        if is_docker() && form == "oci" {
            continue; // docker with its classic store takes its own form only
        }
        let path = brig.write("image.tar", &bytes);
        assert_eq!(brig.ok(&format!("load -i {path}")), "Loaded image: loaded:v1", "{form}");
        assert_eq!(brig.ok("run --rm loaded:v1"), "layer two", "{form}");
        assert_eq!(
            brig.command("load -q").send(&bytes).expect(0).text(),
            "Loaded image: loaded:v1",
            "{form} from standard input"
        );
        brig.ok("rmi loaded:v1");
        assert_eq!(brig.ok("images -aq"), "");
    }
}

#[test]
fn load_takes_compressed_layers() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let second = Tar::new().file("second", 0o644, b"layer two\n").finish();
    for (name, layers) in [
        ("gz", vec![gzip_layer(busybox_tar()), gzip_layer(&second)]),
        ("zst", vec![zstd_layer(busybox_tar()), zstd_layer(&second)]),
        ("mixed", vec![plain_layer(busybox_tar()), zstd_layer(&second)]),
    ] {
        let image = Image::new(&serde_json::json!({"Cmd": ["cat", "/second"]}), layers);
        brig.command("load").send(&image.oci_archive(&format!("{name}:latest"))).expect(0);
        assert_eq!(brig.ok(&format!("run --rm {name}")), "layer two", "{name}");
    }
}

#[test]
fn save_writes_what_others_load() {
    let brig = Brig::empty();
    brig.command("load").send(&two_layers().docker_archive("saved:v1")).expect(0);
    brig.ok("tag saved:v1 saved:v2");
    let id = brig.ok("inspect -f '{{.Id}}' saved:v1");
    brig.ok("save -o one.tar saved:v1");
    let list = tool("tar", &["-tf", &brig.dir.join("one.tar").display().to_string()]);
    for name in ["manifest.json", "oci-layout", "index.json"] {
        assert!(list.lines().any(|line| line == name), "{name}: {list}");
    }
    let both = brig.run("save saved:v1 saved:v2").expect(0).stdout;
    brig.ok("rmi saved:v1 saved:v2");
    let loaded = brig.command("load").send(&both).expect(0).text();
    assert!(loaded.contains("saved:v1") && loaded.contains("saved:v2"), "{loaded}");
    assert_eq!(brig.ok("inspect -f '{{.Id}}' saved:v1"), id);
    assert_eq!(brig.ok("run --rm saved:v2"), "layer two");
    let mut terminal = brig.command("save saved:v1").terminal();
    terminal.wait_for("terminal");
    assert_eq!(terminal.finish().0, 1);
    brig.fails("save nosuch", 1, "no such image");
    brig.fails("save -o /no/such/dir/x saved:v1", 1, "no such file");
    if !is_docker() {
        brig.ok("save --format oci-archive -o oci.tar saved:v1");
        let seen = tool("skopeo", &["inspect", "--raw", &format!("oci-archive:{}/oci.tar", brig.dir.display())]);
        assert!(seen.contains("application/vnd.oci.image"), "{seen}");
    }
    let seen = tool("skopeo", &["inspect", &format!("docker-archive:{}/one.tar", brig.dir.display())]);
    assert!(seen.contains("\"Layers\""), "{seen}");
}

#[test]
fn layers_hide_what_lower_ones_have() {
    let brig = Brig::empty();
    let second = Tar::new()
        .file("etc/.wh.group", 0, b"")
        .dir("home/", 0o755)
        .file("home/.wh..wh..opq", 0, b"")
        .file("home/new", 0o644, b"new")
        .file("bin/.wh.vi", 0, b"")
        .file("etc/passwd", 0o600, b"replaced\n")
        .finish();
    let third = Tar::new().file("etc/group", 0o644, b"back\n").dir("tmp/", 0o700).finish();
    let image =
        Image::new(&serde_json::json!({}), vec![plain_layer(busybox_tar()), plain_layer(&second), plain_layer(&third)]);
    brig.command("load").send(&image.docker_archive("three:latest")).expect(0);
    assert_eq!(brig.ok("run --rm three sh -c 'ls /home; test -e /bin/vi || echo no vi; cat /etc/passwd /etc/group; stat -c %a /etc/passwd /tmp; ls -a /etc | grep -c wh; true'"),
        "new\nno vi\nreplaced\nback\n600\n700\n0");
}

#[test]
fn an_image_may_have_more_layers_than_docker_takes() {
    let brig = Brig::empty();
    let mut layers = vec![plain_layer(busybox_tar())];
    for number in 1..=200 {
        // Each hides a file of the layer below it and changes one that all have.
        let hidden = format!("own/.wh.{}", number - 1);
        let tar = Tar::new().dir("own/", 0o755).file(&format!("own/{number}"), 0o644, b"");
        layers
            .push(plain_layer(&tar.file(&hidden, 0, b"").file("last", 0o644, number.to_string().as_bytes()).finish()));
    }
    let image = Image::new(&serde_json::json!({}), layers);
    brig.command("load").send(&image.docker_archive("deep:latest")).expect(0);
    assert_eq!(brig.ok("run --rm deep sh -c 'ls /own; cat /last; echo >/own/new; ls /own'"), "200\n200200\nnew");
    brig.ok("run --name box deep touch /mine");
    brig.ok("commit box deeper");
    assert_eq!(brig.ok("run --rm deeper ls /own /mine"), "/mine\n\n/own:\n200");
    brig.ok("save -o deep.tar deeper");
    brig.ok("rm box");
    brig.ok("rmi deep deeper");
    brig.ok("load -i deep.tar");
    assert_eq!(brig.ok("run --rm deeper cat /last"), "200");
}

#[test]
fn images_are_shared_by_all_their_containers() {
    let brig = Brig::new();
    for number in 0..5 {
        brig.ok(&format!("run --name box{number} bb sh -c 'echo {number} >/etc/passwd'"));
    }
    assert_eq!(brig.ok("run --rm bb head -n1 /etc/passwd"), "root:x:0:0:root:/root:/bin/sh");
}
