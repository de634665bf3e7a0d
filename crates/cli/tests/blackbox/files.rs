//! Files in and out: `cp`, `diff`, `commit`, `export`, `import`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::harness::image::{busybox_tar, gzip, zstd};
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;
use crate::harness::{Brig, process::tool};

#[test]
fn cp_into_a_container_and_back() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    brig.mkdir("tree/sub");
    brig.write("tree/sub/file", "deep");
    let file = brig.write("file", "text");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o751)).expect("chmod");
    let here = brig.dir.display().to_string();
    brig.ok("cp file box:/tmp/");
    brig.ok("cp file box:/tmp/renamed");
    assert_eq!(brig.ok("exec box sh -c 'cat /tmp/file /tmp/renamed; stat -c %a /tmp/file'"), "texttext751");
    brig.ok("cp tree box:/new");
    brig.ok("cp tree box:/tmp");
    brig.ok("cp tree/. box:/var");
    assert_eq!(brig.ok("exec box cat /new/sub/file /tmp/tree/sub/file /var/sub/file"), "deepdeepdeep");
    brig.ok("exec box sh -c 'mkdir -p /out/sub && echo inside >/out/sub/file && ln -s sub/file /out/link && chmod 640 /out/sub/file'");
    brig.ok("cp box:/out back");
    assert_eq!(std::fs::read_to_string(format!("{here}/back/sub/file")).expect("copied"), "inside\n");
    assert_eq!(std::fs::read_link(format!("{here}/back/link")).expect("a link").to_str(), Some("sub/file"));
    assert_eq!(std::fs::metadata(format!("{here}/back/sub/file")).expect("copied").mode() & 0o777, 0o640);
    brig.ok("cp box:/out/sub/file .");
    assert_eq!(std::fs::read_to_string(&file).expect("overwritten"), "inside\n");
    brig.ok("cp -L box:/out/link followed");
    assert_eq!(std::fs::read_to_string(format!("{here}/followed")).expect("followed"), "inside\n");
}

#[test]
fn cp_works_on_stopped_containers_volumes_and_through_pipes() {
    let brig = Brig::new();
    brig.ok("create --name box -v vol:/vol bb cat /vol/file /file");
    brig.write("file", "text");
    brig.ok("cp file box:/file");
    brig.ok("cp file box:/vol/file");
    assert_eq!(brig.ok("start -a box"), "texttext");
    let tar = brig.run("cp box:/file -").expect(0).stdout;
    assert!(tar.starts_with(b"file\0") && tar.len().is_multiple_of(512));
    brig.command("cp - box:/tmp").send(&tar).expect(0);
    brig.ok("cp box:/tmp/file again");
    assert_eq!(std::fs::read_to_string(brig.dir.join("again")).expect("copied"), "text");
}

#[test]
fn cp_refuses_what_cannot_be() {
    let brig = Brig::new();
    brig.ok("create --name box bb true");
    brig.write("file", "x");
    for (args, words) in [
        ("box:/nosuch .", "could not find the file /nosuch in container"),
        ("nosuch box:/tmp", "no such file"),
        ("file box:/no/such/dir", "/no/such"),
        ("file box:/no/such/dir/", ""),
        ("file other:/x", "no such container"),
        ("box:/etc box:/tmp", "copying between containers is not supported"),
        ("file other", "must specify at least one container source"),
        ("box:/etc/passwd no/such/dir/x", "no/such/dir"),
    ] {
        brig.fails(&format!("cp {args}"), 1, words);
    }
}

#[test]
fn cp_does_not_follow_links_out_of_the_container() {
    let brig = Brig::new();
    let outside = brig.mkdir("outside");
    brig.write("outside/secret", "secret");
    brig.write("file", "x");
    brig.ok(&format!("run --name box bb sh -c 'ln -s {outside} /absolute; ln -s ../../../../../../../..{outside} /relative; ln -s / /vroot'"));
    for link in ["absolute", "relative"] {
        brig.run(&format!("cp box:/{link}/secret stolen")).expect(1);
        brig.run(&format!("cp file box:/{link}/planted")).expect(1);
    }
    assert!(!brig.dir.join("stolen").exists() && !brig.dir.join("outside/planted").exists());
    brig.ok("cp file box:/vroot/landed");
    brig.ok("cp box:/landed back");
}

#[test]
fn cp_between_owners() {
    let brig = Brig::new();
    brig.ok("create --name box bb stat -c '%u:%g' /plain /kept");
    brig.write("plain", "x");
    brig.write("kept", "x");
    tool("chown", &["1234:2345", &brig.dir.join("kept").display().to_string()]);
    tool("chown", &["1234:2345", &brig.dir.join("plain").display().to_string()]);
    brig.ok("cp plain box:/plain");
    brig.ok("cp -a kept box:/kept");
    assert_eq!(brig.ok("start -a box"), "1234:2345\n1234:2345");
}

#[test]
fn diff_names_what_changed() {
    let brig = Brig::new();
    brig.ok("run --name box -v vol:/vol --tmpfs /t bb sh -c 'rm /etc/group; echo x >>/etc/passwd; mkdir /new; touch /new/file /vol/x /t/x; rm -r /home; mkdir /home'");
    let diff = brig.ok("diff box");
    let mut lines: Vec<&str> = diff.lines().collect();
    lines.sort_unstable();
    for expected in ["A /new", "A /new/file", "C /etc", "C /etc/passwd", "D /etc/group", "C /home"] {
        assert!(lines.contains(&expected), "{expected} in {diff}");
    }
    assert!(!diff.contains("/vol/x") && !diff.contains("/t/x"), "{diff}");
    brig.ok("create --name clean bb true");
    assert_eq!(brig.ok("diff clean"), "");
}

#[test]
fn commit_makes_an_image() {
    let brig = Brig::new();
    brig.ok("run --name box -e A=1 bb sh -c 'echo new >/new; rm /etc/group; chmod 4755 /bin/busybox; ln /new /hard; mkdir /d && chown 5:6 /d; ln -s x /sym'");
    let id = brig.ok("commit -m 'a message' -a 'somebody' -c 'CMD [\"cat\", \"/new\"]' -c 'ENV B=2' box made:v1");
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(brig.ok("run --rm made:v1"), "new");
    assert_eq!(brig.ok("run --rm made:v1 sh -c 'test -e /etc/group || echo gone; echo $A $B; stat -c %a /bin/busybox; stat -c %u:%g /d; stat -c %h /new; readlink /sym'"), "gone\n1 2\n4755\n5:6\n2\nx");
    assert_eq!(
        brig.ok("inspect --type image -f '{{.Author}} {{.Comment}} {{len .RootFS.Layers}}' made:v1"),
        "somebody a message 2"
    );
    let bare = brig.ok("commit box");
    assert_eq!(brig.ok(&format!("run --rm {} cat /new", &bare[7..19])), "new");
    brig.ok("run -d --name running made:v1 sh -c 'echo later >/later; sleep 1000'");
    brig.ok("exec running sh -c 'until test -s /later; do sleep 0.01; done'");
    brig.ok("commit running made:v2");
    assert_eq!(brig.inspect("running", "{{.State.Status}}"), "running");
    assert_eq!(brig.ok("run --rm made:v2 cat /new /later"), "new\nlater");
    brig.fails("commit -c 'NOSUCH x' box made:v3", 1, "nosuch");
    brig.fails("commit box Bad:Name:x", 1, "invalid reference format");
}

#[test]
fn export_is_the_whole_root() {
    let brig = Brig::new();
    brig.ok("run --name box -v vol:/vol bb sh -c 'echo new >/new; rm /etc/group; touch /vol/x'");
    let tar = brig.run("export box").expect(0).stdout;
    let path = brig.dir.join("out.tar").display().to_string();
    brig.ok(&format!("export -o {path} box"));
    assert_eq!(std::fs::read(&path).expect("written").len(), tar.len());
    let list = tool("tar", &["-tf", &path]);
    let names: Vec<&str> = list.lines().map(|name| name.trim_start_matches("./")).collect();
    assert!(
        names.contains(&"new")
            && names.contains(&"bin/busybox")
            && !names.contains(&"etc/group")
            && !names.contains(&"vol/x"),
        "{list}"
    );
    brig.ok(&format!("import {path} again"));
    assert_eq!(brig.ok("run --rm again cat /new"), "new");
    let mut terminal = brig.command("export box").terminal();
    terminal.wait_for("terminal");
    assert_eq!(terminal.finish().0, 1);
}

#[test]
fn import_takes_tars_in_any_dress() {
    let brig = Brig::empty();
    for (name, bytes) in
        [("plain", busybox_tar().to_vec()), ("gzip", gzip(busybox_tar())), ("zstd", zstd(busybox_tar()))]
    {
        let path = brig.write(name, bytes);
        let id = brig.ok(&format!("import {path} {name}:tag"));
        assert!(id.starts_with("sha256:"), "{id}");
        assert_eq!(brig.ok(&format!("run --rm {name}:tag echo works")), "works");
    }
    let id = brig.command("import -m 'a message' -").send(busybox_tar()).expect(0).text();
    assert_eq!(brig.ok(&format!("run --rm {} echo works", &id[7..])), "works");
    assert_eq!(brig.ok(&format!("inspect -f '{{{{.Comment}}}}' {id}")), "a message");
}

#[test]
fn import_changes() {
    let brig = Brig::empty();
    let changes = [
        "CMD [\"sh\", \"-c\", \"true\"]",
        "ENTRYPOINT [\"env\"]",
        "ENV A=1 B=2",
        "EXPOSE 80/tcp",
        "USER alice",
        "VOLUME /data",
        "WORKDIR /var",
        "LABEL a=b",
        "STOPSIGNAL SIGUSR1",
        "ONBUILD RUN x",
    ];
    let flags: String = changes.iter().map(|change| format!("-c '{change}' ")).collect();
    brig.command(&format!("import {flags} - changed")).send(busybox_tar()).expect(0);
    let config: serde_json::Value =
        serde_json::from_str(&brig.ok("inspect -f '{{json .Config}}' changed")).expect("JSON");
    assert_eq!(config["Cmd"], serde_json::json!(["sh", "-c", "true"]));
    assert_eq!(config["Entrypoint"], serde_json::json!(["env"]));
    assert!(config["Env"].as_array().is_some_and(|env| env.contains(&"A=1".into()) && env.contains(&"B=2".into())));
    assert_eq!(
        (config["User"].as_str(), config["WorkingDir"].as_str(), config["StopSignal"].as_str()),
        (Some("alice"), Some("/var"), Some("SIGUSR1"))
    );
    assert!(config["ExposedPorts"]["80/tcp"].is_object() && config["Volumes"]["/data"].is_object());
    assert_eq!(config["Labels"]["a"].as_str(), Some("b"));
    for (change, words) in [("NOSUCH x", "nosuch"), ("RUN x", "run"), ("ENV", "env")] {
        brig.command(&format!("import -c '{change}' - bad")).send(busybox_tar()).expect(1).says(words);
    }
    brig.fails("import /no/such/file x", 1, "no such file");
    assert_eq!(brig.ok("images -q").lines().count(), 1);
}

#[test]
fn import_keeps_what_a_tar_can_say() {
    let brig = Brig::new();
    let long = format!("long/{}", "n".repeat(180));
    let tar = Tar::new()
        .dir("d/", 0o2775)
        .file("d/suid", 0o4755, b"x")
        .entry("d/hard", &crate::harness::tar::Entry { kind: b'1', mode: 0o4755, link: "d/suid", ..Default::default() })
        .symlink("d/sym", "../x")
        .file(&long, 0o600, b"long")
        .entry("d/fifo", &crate::harness::tar::Entry { kind: b'6', mode: 0o644, ..Default::default() })
        .entry("d/null", &crate::harness::tar::Entry { kind: b'3', mode: 0o666, device: (1, 3), ..Default::default() })
        .entry("d/owned", &crate::harness::tar::Entry { uid: 1234, gid: 2345, ..Default::default() });
    let image = crate::harness::image::Image::new(
        &serde_json::json!({}),
        vec![crate::harness::image::plain_layer(busybox_tar()), crate::harness::image::plain_layer(&tar.finish())],
    );
    brig.command("load").send(&image.docker_archive("all:latest")).expect(0);
    assert_eq!(brig.ok("run --rm all sh -c 'stat -c %a /d /d/suid; stat -c %h /d/suid; readlink /d/sym; stat -c %F /d/fifo /d/null; stat -c %u:%g /d/owned; stat -c %Y /d/suid'"),
        "2775\n4755\n2\n../x\nfifo\ncharacter special file\n1234:2345\n1700000000");
    assert_eq!(brig.ok(&format!("run --rm all cat /{long}")), "long");
}

#[test]
fn a_tree_of_any_depth_is_removed() {
    let brig = Brig::new();
    // Deeper than a process may have files open; much deeper takes an emulated machine minutes to make.
    brig.ok("run --name box bb sh -c 'cd /tmp; n=0; while [ $n -lt 1300 ]; do mkdir d && cd -P d || exit 1; n=$((n+1)); done'");
    brig.ok("rm box");
}

#[test]
fn devices_in_the_place_of_files_are_not_opened() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    // 10:255 is no device: opening it would say so, instead of what it is.
    brig.ok("run --name box bb sh -c 'rm /etc/passwd; mknod /etc/passwd c 10 255'");
    brig.ok("commit box devices");
    brig.run("run --rm devices true").expect(125).says("/etc/passwd of the image is not a regular file");
}
