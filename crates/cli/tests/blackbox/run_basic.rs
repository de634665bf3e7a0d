//! `run` at its simplest, and `create` with `start`: a command, its output, its place in the
//! container, and what is there afterwards.

use crate::harness::Brig;

/// `run --rm FLAGS bb COMMAND` prints exactly this.
#[track_caller]
fn check(brig: &Brig, rest: &str, stdout: &str) {
    let output = brig.run(&format!("run --rm {rest}")).expect(0);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), (stdout, ""), "run --rm {rest}");
}

#[test]
fn a_command_prints_and_ends() {
    let brig = Brig::new();
    check(&brig, "bb echo 'hello there'", "hello there");
    check(&brig, "bb sh -c 'echo $$'", "1");
    check(&brig, "bb pwd", "/");
    check(&brig, "-w /var bb pwd", "/var");
    check(&brig, "--workdir=/new/deep bb pwd", "/new/deep");
    check(&brig, "bb ls -a /root", ".\n..");
    check(&brig, "bb busybox id -u", "0");
}

#[test]
fn flags_end_where_the_image_begins() {
    let brig = Brig::new();
    check(&brig, "bb echo --rm -it --name x", "--rm -it --name x");
    check(&brig, "bb echo -- x", "-- x");
    check(&brig, "--name=aa --label x=y bb echo -h", "-h");
}

#[test]
fn only_three_descriptors_are_open() {
    let brig = Brig::new();
    // The fourth is the directory that ls reads.
    check(&brig, "bb ls /proc/self/fd", "0\n1\n2\n3");
    check(&brig, "-i bb ls /proc/self/fd", "0\n1\n2\n3");
}

#[test]
fn the_cell_has_the_devices_that_docker_gives() {
    let brig = Brig::new();
    // A link to the kernel's memory image, where the kernel has one; what it leads to is masked.
    let core = if std::path::Path::new("/proc/kcore").exists() { "core\n" } else { "" };
    let devices = "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero";
    check(&brig, "bb ls /dev", &format!("{core}{devices}"));
    check(
        &brig,
        "bb sh -c 'for link in fd stdin stdout stderr ptmx; do readlink /dev/$link; done'",
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx",
    );
    check(&brig, "bb stat -c '%a %u:%g %t:%T' /dev/null /dev/tty", "666 0:0 1:3\n666 0:0 5:0");
    check(
        &brig,
        "bb sh -c 'echo x >/dev/null; head -c3 /dev/zero | od -An -tx1; test -c /dev/full && echo full'",
        " 00 00 00\nfull",
    );
    check(&brig, "bb sh -c 'ls -ld /dev/shm /tmp | cut -c1-10'", "drwxrwxrwt\ndrwxrwxrwt");
}

#[test]
fn masked_and_read_only_paths() {
    let brig = Brig::new();
    check(
        &brig,
        "bb sh -c 'wc -c </proc/timer_list; ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v : | grep .; true'",
        "0",
    );
    for path in ["/proc/sys/kernel/domainname", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity"] {
        if !std::path::Path::new(path).exists() {
            continue; // not in this kernel
        }
        let output = brig.run(&format!("run --rm bb sh -c 'echo x >{path}'")).expect(1);
        assert!(output.stderr.contains("Read-only file system"), "{path}: {}", output.stderr);
    }
    check(&brig, "bb sh -c 'touch /sys/x 2>/dev/null || echo refused'", "refused");
    check(&brig, "bb sh -c 'mount | grep -c \"^sysfs on /sys type sysfs (ro,nosuid,nodev,noexec\"'", "1");
    check(&brig, "bb sh -c 'mount | grep -c \"^proc on /proc type proc (rw,nosuid,nodev,noexec\"'", "1");
}

#[test]
fn the_root_is_an_overlay_and_the_only_way_out() {
    let brig = Brig::new();
    check(&brig, "bb sh -c 'mount | grep \" / \" | cut -d\" \" -f1-5'", "overlay on / type overlay");
    check(&brig, "bb sh -c 'cd ../../../..; ls -d bin etc; ls /.. | grep -c bin'", "bin\netc\n1");
    check(&brig, "bb sh -c 'echo a >/new; cat /new'", "a");
    check(&brig, "bb sh -c 'cat /new 2>/dev/null || echo gone'", "gone");
}

#[test]
fn detached_prints_the_whole_id() {
    let brig = Brig::new();
    let id = brig.ok("run -d bb sleep 1000");
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(brig.inspect(&id[..12], "{{.Id}}"), id);
    assert_eq!(brig.inspect(&id[..4], "{{.State.Status}}"), "running");
}

#[test]
fn names_are_given_checked_and_unique() {
    let brig = Brig::new();
    let id = brig.ok("create --name one bb true");
    assert_eq!(brig.inspect("one", "{{.Name}} {{.Id}}"), format!("/one {id}"));
    brig.fails("create --name one bb true", 1, "already in use");
    brig.fails("run --name one bb true", 125, "already in use");
    for bad in ["a", "-a", "a/b", "a b", "ä"] {
        brig.fails(&format!("create --name='{bad}' bb true"), 1, "invalid container name");
    }
    let other = brig.ok("create bb true");
    let name = brig.inspect(&other, "{{.Name}}");
    assert!(name.len() > 4 && name.contains('_'), "a name of two words: {name}");
    assert_eq!(brig.ok("rm one").as_str(), "one");
    brig.ok("create --name one bb true");
}

#[test]
fn the_id_goes_into_a_file() {
    let brig = Brig::new();
    let file = brig.dir.join("id").display().to_string();
    let id = brig.ok(&format!("run -d --cidfile {file} bb true"));
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), id);
    brig.fails(&format!("run --cidfile {file} bb true"), 125, "container ID file found");
    assert_eq!(brig.ok("ps -aq").lines().count(), 1, "nothing was created");
}

#[test]
fn created_then_started() {
    let brig = Brig::new();
    brig.ok("create --name box bb sh -c 'echo out; echo err >&2; exit 3'");
    assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}"), "created 0 0");
    let output = brig.run("start -a box").expect(3);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), ("out", "err\n"));
    assert_eq!(brig.ok("start box"), "box");
    brig.ok("wait box");
    assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
    assert_eq!(brig.ok("logs box").lines().count(), 2, "a log keeps all runs");
    brig.fails("start nosuch", 1, "no such container");
    brig.ok("create --name inter -i bb cat");
    assert_eq!(brig.command("start -ai inter").send(b"typed\n").expect(0).text(), "typed");
}

#[test]
fn what_a_container_wrote_stays_until_it_is_removed() {
    let brig = Brig::new();
    brig.ok("run --name box bb sh -c 'date >>/log; wc -l </log'");
    assert_eq!(brig.ok("start -a box"), "2");
    assert_eq!(brig.ok("start -a box"), "3");
}

#[test]
fn labels_are_kept() {
    let brig = Brig::new();
    let file = brig.write("labels", "c=from file\n# comment\n\n");
    brig.ok(&format!("create --name box -l a=1 --label b --label-file {file} bb true"));
    assert_eq!(brig.inspect("box", "{{json .Config.Labels}}"), r#"{"a":"1","b":"","c":"from file"}"#);
}

#[test]
fn init_reaps_and_forwards() {
    let brig = Brig::new();
    check(&brig, "--init bb sh -c 'test $$ != 1 && echo child'", "child");
    brig.run("run --rm --init bb sh -c 'exit 7'").expect(7);
    brig.ok("run -d --name box --init bb sleep 1000");
    brig.ok("exec box sh -c 'sh -c \"sleep 0.01 & exit\" & wait'");
    brig.ok("stop -t 30 box");
    assert_eq!(brig.inspect("box", "{{.State.ExitCode}}"), "143");
}

#[test]
fn oom_score_is_adjusted() {
    let brig = Brig::new();
    check(&brig, "--oom-score-adj 500 bb cat /proc/self/oom_score_adj", "500");
    brig.fails("run --oom-score-adj 1001 bb true", 125, "range for oom score adj");
}

#[test]
fn pull_policy() {
    let brig = Brig::new();
    check(&brig, "--pull never bb echo here", "here");
    check(&brig, "--pull=missing bb echo here", "here");
    brig.fails("run --pull never 127.0.0.1:1/none true", 125, "no such image");
    brig.fails("run --pull sometimes bb true", 125, "invalid pull option");
}
