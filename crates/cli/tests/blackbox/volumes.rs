//! Volumes and bind mounts: `-v`, `--mount`, volumes of the image, and `volume create`, `ls`,
//! `inspect`, `rm`, `prune`.

use crate::harness::image::busybox_tar;
use crate::harness::sandbox::is_docker;
use crate::harness::tar::Tar;
use crate::harness::{Brig, process::tool};

#[test]
fn a_bind_mount_shows_the_hosts_directory() {
    let brig = Brig::new();
    let dir = brig.mkdir("shared");
    brig.write("shared/from-host", "host");
    assert_eq!(
        brig.ok(&format!("run --rm -v {dir}:/data bb sh -c 'cat /data/from-host; echo box >/data/from-box'")),
        "host"
    );
    assert_eq!(std::fs::read_to_string(format!("{dir}/from-box")).expect("written"), "box\n");
    for flags in [
        format!("-v {dir}:/data:ro"),
        format!("--volume={dir}:/data:ro,z"),
        format!("--mount type=bind,source={dir},target=/data,readonly"),
        format!("--mount type=bind,src={dir},dst=/data,ro=true"),
        format!("--mount type=bind,src={dir},destination=/data,readonly=1,bind-propagation=rprivate"),
    ] {
        let output = brig.run(&format!("run --rm {flags} bb sh -c 'cat /data/from-host; touch /data/x'")).expect(1);
        assert_eq!(output.text(), "host", "{flags}");
        assert!(output.stderr.contains("Read-only file system"), "{flags}: {}", output.stderr);
    }
}

#[test]
fn a_file_can_be_mounted() {
    let brig = Brig::new();
    let file = brig.write("motd", "hello\n");
    assert_eq!(brig.ok(&format!("run --rm -v {file}:/etc/motd bb cat /etc/motd")), "hello");
    assert_eq!(brig.ok(&format!("run --rm -v {file}:/etc/passwd:ro bb cat /etc/passwd")), "hello");
    assert_eq!(
        brig.ok(&format!("run --rm --mount type=bind,src={file},dst=/deep/new/file bb cat /deep/new/file")),
        "hello"
    );
}

#[test]
fn relative_paths_and_missing_sources() {
    let brig = Brig::new();
    brig.mkdir("here");
    brig.write("here/file", "x");
    assert_eq!(brig.ok("run --rm -v ./here:/data bb cat /data/file"), "x");
    let missing = brig.dir.join("made/by/run").display().to_string();
    brig.ok(&format!("run --rm -v {missing}:/data bb true"));
    assert!(std::path::Path::new(&missing).is_dir(), "-v makes its source");
    brig.fails(
        &format!("run --rm --mount type=bind,src={missing}/not,dst=/data bb true"),
        125,
        "bind source path does not exist",
    );
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn bad_mounts_are_refused_before_anything_is_made() {
    let brig = Brig::new();
    for (flags, words) in [
        ("-v /tmp:relative", "mount path must be absolute"),
        ("-v /tmp:/", "destination can't be '/'"),
        ("-v /a:/b:/c:/d", "invalid"),
        ("-v /tmp:/x:nosuch", "invalid mode"),
        ("-v '/tmp::ro'", "invalid"),
        ("-v bad/name:/x", "includes invalid characters"),
        ("--mount type=nosuch,dst=/x", "nosuch"),
        ("--mount type=bind,dst=/x", "source"),
        ("--mount type=volume,src=v1", "target"),
        ("--mount type=bind,src=/tmp,dst=/x,nosuch=1", "nosuch"),
        ("--mount type=tmpfs,src=/tmp,dst=/x", "source"),
        ("--mount type=bind,src=relative,dst=/x", "absolute"),
        ("--mount nonsense", "nonsense"),
        ("--tmpfs relative", "absolute"),
        ("-v /tmp:/x -v /var:/x", "duplicate mount point"),
        ("--tmpfs /x:nosuchoption", "nosuchoption"),
    ] {
        brig.fails(&format!("run {flags} bb true"), 125, words);
    }
    assert_eq!(brig.ok("ps -aq"), "");
    assert_eq!(brig.ok("volume ls -q"), "");
}

#[test]
fn a_named_volume_outlives_its_containers() {
    let brig = Brig::new();
    brig.ok("run --rm -v data:/data bb sh -c 'echo kept >/data/file'");
    assert_eq!(brig.ok("run --rm -v data:/elsewhere:ro bb cat /elsewhere/file"), "kept");
    assert_eq!(brig.ok("run --rm --mount type=volume,src=data,dst=/d bb cat /d/file"), "kept");
    assert_eq!(brig.ok("run --rm --mount source=data,target=/d,readonly bb cat /d/file"), "kept");
    assert_eq!(brig.ok("volume ls -q"), "data");
    let mountpoint = brig.ok("volume inspect --format '{{.Mountpoint}}' data");
    assert_eq!(std::fs::read_to_string(format!("{mountpoint}/file")).expect("on the host"), "kept\n");
    brig.ok("create --name box -v data:/data bb true");
    brig.fails("volume rm data", 1, "volume is in use");
    brig.ok("rm -v box");
    assert_eq!(brig.ok("volume ls -q"), "data", "rm -v removes anonymous volumes only");
    assert_eq!(brig.ok("volume rm data"), "data");
    assert_eq!(brig.ok("volume ls -q"), "");
}

#[test]
fn an_empty_volume_is_filled_from_the_image_once() {
    let brig = Brig::new();
    assert_eq!(
        brig.ok("run --rm -v filled:/etc bb sh -c 'ls /etc/passwd; stat -c %a /etc/passwd'"),
        "/etc/passwd\n644"
    );
    brig.ok("run --rm -v filled:/x bb sh -c 'test -e /x/group && rm /x/group'");
    assert_eq!(brig.ok("run --rm -v filled:/etc bb sh -c 'test -e /etc/group || echo stays removed'"), "stays removed");
    // The directory's own mode and owner come along.
    assert_eq!(brig.ok("run --rm -v temp:/tmp bb stat -c %a /tmp"), "1777");
    assert_eq!(
        brig.ok(
            "run --rm --mount type=volume,src=bare,dst=/etc,volume-nocopy bb sh -c 'test -e /etc/passwd || echo empty'"
        ),
        "empty"
    );
    assert_eq!(brig.ok("run --rm -v bare2:/etc:nocopy bb sh -c 'test -e /etc/passwd || echo empty'"), "empty");
}

#[test]
fn anonymous_volumes_go_with_rm() {
    let brig = Brig::new();
    brig.ok("run --rm -v /data bb touch /data/x");
    assert_eq!(brig.ok("volume ls -q"), "");
    brig.ok("run --name box -v /data bb touch /data/x");
    let name = brig.ok("volume ls -q");
    assert_eq!(name.len(), 64, "{name}");
    assert_eq!(
        brig.inspect("box", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}"),
        format!("volume {name} /data true")
    );
    brig.ok("rm box");
    assert_eq!(brig.ok("volume ls -q"), name, "plain rm keeps them");
    brig.ok("volume prune -f");
    assert_eq!(brig.ok("volume ls -q"), "");
    brig.ok("run --name box -v /data bb true");
    brig.ok("rm -v box");
    assert_eq!(brig.ok("volume ls -q"), "");
}

#[test]
fn volumes_of_the_image() {
    let brig = Brig::new();
    brig.command("import -c 'VOLUME /var/data' - withvolume").send(busybox_tar()).expect(0);
    brig.ok("run --name box withvolume touch /var/data/x");
    assert_eq!(brig.ok("volume ls -q").len(), 64);
    assert_eq!(brig.ok("start -a box"), "");
    brig.ok("rm -v box");
    brig.ok("run --rm -v named:/var/data withvolume touch /var/data/x");
    assert_eq!(brig.ok("volume ls -q"), "named", "-v takes the place of the image's volume");
}

#[test]
fn create_list_inspect() {
    let brig = Brig::new();
    assert_eq!(brig.ok("volume create --label a=1 one"), "one");
    assert_eq!(brig.ok("volume create one"), "one", "creating twice is no error");
    let name = brig.ok("volume create");
    assert_eq!(name.len(), 64);
    assert_eq!(
        brig.ok("volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{json .Labels}}' one"),
        r#"one local local {"a":"1"}"#
    );
    assert!(brig.ok("volume ls").starts_with("DRIVER    VOLUME NAME\n"));
    assert_eq!(brig.ok("volume ls -q -f name=on"), "one");
    assert_eq!(brig.ok("volume ls -q -f 'name=^o.e$'"), "one");
    assert_eq!(brig.ok("volume ls -q -f label=a=1"), "one");
    assert_eq!(brig.ok("volume ls -q -f label=a=2"), "");
    assert_eq!(brig.ok("volume ls --format '{{.Driver}} {{.Name}}' -f name=one"), "local one");
    brig.ok("run -d --name box -v one:/x bb sleep 1000");
    assert_eq!(brig.ok("volume ls -q -f dangling=true"), name);
    assert_eq!(brig.ok("volume ls -q -f dangling=false"), "one");
    brig.fails("volume create bad/name", 1, "includes invalid characters");
    brig.fails("volume create x", 1, "too short");
    brig.ok(&format!("volume rm {name}"));
    brig.ok("volume rm -f nosuch");
}

#[test]
fn inspect_shows_mounts_as_they_were_typed() {
    let brig = Brig::new();
    let dir = brig.mkdir("h");
    let template = "{{json .HostConfig.Binds}} {{json .HostConfig.Mounts}} {{json .Config.Volumes}} \
        {{range .Mounts}}{{.Type}} {{.Destination}} {{printf \"%q\" .Mode}} {{.RW}} {{printf \"%q\" .Propagation}}{{end}}";
    for (flag, expected) in [
        ("-v DIR:/d", r#"["DIR:/d"] null null bind /d "" true "rprivate""#),
        ("-v DIR:/d:rw", r#"["DIR:/d:rw"] null null bind /d "rw" true "rprivate""#),
        ("-v DIR:/d/:z,ro", r#"["DIR:/d/:z,ro"] null null bind /d "z,ro" false "rprivate""#),
        ("-v DIR:/d:Z,rslave", r#"["DIR:/d:Z,rslave"] null null bind /d "Z,rslave" true "rslave""#),
        ("-v vol:/d", r#"["vol:/d"] null null volume /d "z" true """#),
        ("-v vol:/d:nocopy,ro", r#"["vol:/d:nocopy,ro"] null null volume /d "nocopy,ro" false """#),
        ("-v /d", r#"null null {"/d":{}} volume /d "" true """#),
        ("--tmpfs /d:size=1m", "null null null "),
        (
            "--mount type=volume,src=vol,dst=/d",
            r#"null [{"Type":"volume","Source":"vol","Target":"/d"}] null volume /d "z" true """#,
        ),
        ("--mount dst=/d", r#"null [{"Type":"volume","Target":"/d"}] null volume /d "z" true """#),
        (
            "--mount src=vol,dst=/d,ro,volume-nocopy,volume-label=a=b",
            r#"null [{"Type":"volume","Source":"vol","Target":"/d","ReadOnly":true,"VolumeOptions":{"NoCopy":true,"Labels":{"a":"b"},"DriverConfig":{}}}] null volume /d "z" false """#,
        ),
        (
            "--mount type=bind,src=DIR,dst=/d,ro,bind-propagation=rslave,consistency=cached",
            r#"null [{"Type":"bind","Source":"DIR","Target":"/d","ReadOnly":true,"Consistency":"cached","BindOptions":{"Propagation":"rslave"}}] null bind /d "" false "rslave""#,
        ),
        ("--mount type=tmpfs,dst=/d", r#"null [{"Type":"tmpfs","Target":"/d"}] null tmpfs /d "" true """#),
        (
            "--mount type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=1770",
            r#"null [{"Type":"tmpfs","Target":"/d","TmpfsOptions":{"SizeBytes":1048576,"Mode":1016}}] null tmpfs /d "" true """#,
        ),
    ] {
        brig.ok(&format!("create --name box {} bb true", flag.replace("DIR", &dir)));
        assert_eq!(brig.inspect("box", template), expected.replace("DIR", &dir), "{flag}");
        brig.ok("rm -v box");
    }
    for mode in ["ro,rw", "z,Z", "shared,slave"] {
        brig.run(&format!("create -v {dir}:/d:{mode} bb true")).says(&format!("invalid mode: {mode}"));
    }
}

#[test]
fn prune_spares_named_and_used_volumes() {
    let brig = Brig::new();
    brig.ok("volume create named");
    let anonymous = brig.ok("volume create");
    brig.ok("create -v /used bb true");
    let output = brig.ok("volume prune -f");
    assert!(output.contains(&anonymous) && output.contains("Total reclaimed space:"), "{output}");
    assert_eq!(brig.ok("volume ls -q").lines().count(), 2);
    assert!(brig.ok("volume prune --all -f").contains("named"));
    assert_eq!(brig.ok("volume ls -q").lines().count(), 1);
}

#[test]
fn what_a_power_cut_left_of_a_volume_is_pruned() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    brig.ok("create --rm --name box -v /data bb true");
    let name = brig.ok("volume ls -q");
    std::fs::write(brig.root().join(format!("volumes/{name}/volume.json")), "").expect("written");
    assert_eq!(brig.ok("volume ls -q"), name);
    brig.ok("start -a box");
    assert_eq!(brig.ok("volume ls -q"), "", "it goes with its container all the same");
    brig.ok("create --name box -v /data bb true");
    let name = brig.ok("volume ls -q");
    brig.ok("rm box");
    std::fs::write(brig.root().join(format!("volumes/{name}/volume.json")), "").expect("written");
    assert!(brig.ok("volume prune -f").contains(&name));
    assert_eq!(brig.ok("volume ls -q"), "");
}

#[test]
fn mounts_follow_links_inside_the_container_only() {
    let brig = Brig::new();
    let outside = brig.mkdir("outside");
    let tar = Tar::new().dir("etc/", 0o755).symlink("absolute", &outside).symlink("up", "../../../../../../etc");
    let image = crate::harness::image::Image::new(
        &serde_json::json!({}),
        vec![crate::harness::image::plain_layer(busybox_tar()), crate::harness::image::plain_layer(&tar.finish())],
    );
    let archive = brig.write("links.tar", image.docker_archive("links:latest"));
    brig.ok(&format!("load -i {archive}"));
    let dir = brig.mkdir("data");
    brig.write("data/file", "x");
    assert_eq!(brig.ok(&format!("run --rm -v {dir}:/absolute/deep links:latest cat {outside}/deep/file")), "x");
    assert_eq!(std::fs::read_dir(&outside).expect("it is there").count(), 0, "nothing was made outside");
    assert_eq!(brig.ok(&format!("run --rm -v {dir}:/up/deep links:latest cat /etc/deep/file")), "x");
    assert!(!std::path::Path::new("/etc/deep").exists());
}

#[test]
fn nested_mounts_are_ordered_by_depth() {
    let brig = Brig::new();
    let (outer, inner) = (brig.mkdir("outer"), brig.mkdir("inner"));
    brig.write("inner/file", "inner");
    assert_eq!(
        brig.ok(&format!("run --rm -v {inner}:/m/sub/deep -v {outer}:/m/sub --tmpfs /m bb cat /m/sub/deep/file")),
        "inner"
    );
}

#[test]
fn mounts_of_the_container_stay_in_it() {
    let brig = Brig::new();
    let dir = brig.mkdir("shared");
    brig.ok(&format!("run --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined -v {dir}:/data bb sh -c 'mkdir /data/in && mount -t tmpfs in /data/in && touch /data/in/file'"));
    assert_eq!(std::fs::read_dir(format!("{dir}/in")).expect("the directory").count(), 0);
    // And the host's later mounts reach a container only where it was asked for.
    brig.mkdir("shared/late");
    brig.ok(&format!("run -d --name private -v {dir}:/data bb sleep 1000"));
    let late = format!("{dir}/late");
    tool("mount", &["-t", "tmpfs", "late", &late]);
    std::fs::write(format!("{late}/file"), "").expect("a file on it");
    let seen = brig.run("exec private ls /data/late");
    tool("umount", &["-l", &late]);
    assert_eq!(seen.expect(0).text(), "");
}

#[test]
fn mounts_are_listed_by_inspect() {
    let brig = Brig::new();
    let dir = brig.mkdir("shared");
    brig.ok(&format!("create --name box -v {dir}:/bound:ro -v named:/vol --tmpfs /t bb true"));
    let template =
        "{{range .Mounts}}{{.Type}} {{.Name}} {{.Source}} {{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}}\n{{end}}";
    let listed = brig.inspect("box", template);
    let mut lines: Vec<&str> = listed.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    let mountpoint = brig.ok("volume inspect -f '{{.Mountpoint}}' named");
    assert_eq!(
        lines,
        [format!("bind  {dir} /bound ro false rprivate"), format!("volume named {mountpoint} /vol z true ")]
    );
    assert_eq!(brig.inspect("box", "{{json .HostConfig.Binds}}"), format!(r#"["{dir}:/bound:ro","named:/vol"]"#));
}
