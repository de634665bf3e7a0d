//! Who the container's process is: `-u`, `--group-add`, names from the image's own files.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::Brig;
use crate::harness::sandbox::{is_docker, program};

#[test]
fn is_found_in_the_images_files() {
    let brig = Brig::new();
    let script = "sh -c 'echo $(id -u):$(id -g) $(id -G)'";
    for (flags, expected) in [
        ("", "0:0 0"),
        ("-u root", "0:0 0"),
        ("-u alice", "1000:1001 1001 10 50"),
        ("-u 1000", "1000:1001 1001 10 50"),
        ("-u alice:staff", "1000:50 50"),
        ("-u 1000:50", "1000:50 50"),
        ("-u 1000:0", "1000:0 0"),
        ("-u 12345", "12345:0 0"),
        ("-u 12345:54321", "12345:54321 54321"),
        ("-u daemon", "1:1 1 50"),
        ("--user=alice --group-add wheel", "1000:1001 1001 10 50"),
        ("--group-add staff --group-add 999", "0:0 0 50 999"),
        ("-u 0:5 --group-add 6", "0:5 5 6"),
    ] {
        let output = brig.ok(&format!("run --rm {flags} bb {script}"));
        let sorted = |text: &str| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words[1..].sort();
            words.dedup();
            words.join(" ")
        };
        assert_eq!(sorted(&output), sorted(expected), "{flags}");
    }
}

#[test]
fn nobody_knows_him() {
    let brig = Brig::new();
    brig.fails("run --rm -u nosuch bb true", 125, "unable to find user nosuch");
    brig.fails("run --rm -u alice:nosuch bb true", 125, "unable to find group nosuch");
    brig.fails("run --rm --group-add nosuch bb true", 125, "unable to find group nosuch");
}

#[test]
fn the_image_has_a_default_and_exec_follows_the_container() {
    let brig = Brig::new();
    brig.command("import -c 'USER alice' -c 'WORKDIR /home/alice' - alice")
        .send(crate::harness::image::busybox_tar())
        .expect(0);
    assert_eq!(brig.ok("run --rm alice sh -c 'id -un; pwd'"), "alice\n/home/alice");
    assert_eq!(brig.ok("run --rm -u 0 alice id -un"), "root");
    brig.ok("run -d --name box alice sleep 1000");
    assert_eq!(brig.ok("exec box id -un"), "alice");
    assert_eq!(brig.ok("exec -u root -w /etc box sh -c 'id -un; pwd'"), "root\n/etc");
    brig.fails("exec -u nosuch box true", 1, "unable to find user nosuch");
}

#[test]
fn user_without_rights_has_none() {
    let brig = Brig::new();
    brig.run("run --rm -u alice bb touch /x").expect(1).says("permission denied");
    assert_eq!(brig.ok("run --rm -u alice bb sh -c 'touch /tmp/x && stat -c %U /tmp/x'"), "alice");
    assert_eq!(brig.ok("run --rm -u alice bb sh -c 'echo x >/dev/stdout; echo y >/dev/null'"), "x");
}

#[test]
fn an_image_without_account_files_knows_numbers() {
    let brig = Brig::empty();
    let program = std::fs::read(crate::harness::image::busybox_path()).expect("busybox");
    let tar = crate::harness::tar::Tar::new().file("busybox", 0o755, &program).finish();
    brig.command("import - bare").send(&tar).expect(0);
    assert_eq!(brig.ok("run --rm bare /busybox id -u"), "0");
    assert_eq!(brig.ok("run --rm -u 5:6 bare /busybox sh -c '/busybox id -u; /busybox id -g'"), "5\n6");
    brig.fails("run --rm -u alice bare /busybox true", 125, "unable to find user alice");
}

#[test]
fn another_user_than_root_is_told_what_to_do() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    // Where nobody can reach it.
    let copy = brig.dir.join("brig");
    std::fs::copy(program(), &copy).expect("a copy of the program");
    let as_nobody = |arguments: &[&str]| {
        let (root, state) = (brig.root(), brig.state());
        let mut command = Command::new(&copy);
        command.arg("--root").arg(root).arg("--state").arg(state).args(arguments).uid(65534).gid(65534);
        let output = command.output().expect("it can be executed");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (arguments, code) in [
        (&["run", "--rm", "bb", "true"][..], 125),
        (&["create", "bb", "true"], 1),
        (&["ps"], 1),
        (&["exec", "box", "true"], 1),
        (&["pull", "bb"], 1),
        (&["volume", "ls"], 1),
    ] {
        let (found, said) = as_nobody(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        assert!(
            said.contains("need root") && said.contains("sudo") && said.lines().count() == 1,
            "{arguments:?}: {said}"
        );
    }
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"]] {
        assert_eq!(as_nobody(arguments).0, Some(0), "{arguments:?} needs no root");
    }
}
