//! Memory file systems: `--tmpfs`, `--mount type=tmpfs`, `--shm-size`, and `--read-only`.

use crate::harness::Brig;

#[test]
fn has_the_options_that_were_asked_for() {
    let brig = Brig::new();
    for (flags, expected) in [
        ("--tmpfs /x", "tmpfs /x tmpfs rw,nosuid,nodev,noexec"),
        ("--tmpfs /x:rw,exec,size=1m,mode=700", "tmpfs /x tmpfs rw,nosuid,nodev,"),
        ("--tmpfs /x:ro", "tmpfs /x tmpfs ro,nosuid,nodev,noexec"),
        ("--mount type=tmpfs,dst=/x", "tmpfs /x tmpfs rw,nosuid,nodev,noexec"),
        ("--mount type=tmpfs,dst=/x,readonly", "tmpfs /x tmpfs ro,nosuid,nodev,noexec"),
    ] {
        let mount = brig.ok(&format!("run --rm {flags} bb grep ' /x ' /proc/mounts"));
        assert!(mount.starts_with(expected), "{flags}: {mount}");
    }
    assert_eq!(brig.ok("run --rm --tmpfs /x:size=1m,mode=750,uid=5,gid=6 bb stat -c '%a %u:%g' /x"), "750 5:6");
    assert_eq!(brig.ok("run --rm --mount type=tmpfs,dst=/x,tmpfs-size=2m,tmpfs-mode=0700 bb stat -c '%a' /x"), "700");
    brig.run("run --rm --tmpfs /x:size=1m bb head -c 2000000 /dev/zero").expect(0);
    brig.run("run --rm --tmpfs /x:size=1m bb sh -c 'dd if=/dev/zero of=/x/file bs=1000 count=2000'")
        .expect(1)
        .says("no space left");
    brig.run(
        "run --rm --mount type=tmpfs,dst=/x,tmpfs-size=1m bb sh -c 'dd if=/dev/zero of=/x/file bs=1000 count=2000'",
    )
    .expect(1)
    .says("no space left");
}

#[test]
fn is_empty_at_each_start() {
    let brig = Brig::new();
    brig.ok("run --name box --tmpfs /x bb sh -c 'ls /x; touch /x/file'");
    assert_eq!(brig.ok("start -a box"), "");
}

#[test]
fn shared_memory_has_its_size() {
    let brig = Brig::new();
    assert_eq!(brig.ok("run --rm bb sh -c 'df -k /dev/shm | tail -n1 | tr -s \" \" | cut -d\" \" -f2'"), "65536");
    assert_eq!(
        brig.ok("run --rm --shm-size 8m bb sh -c 'df -k /dev/shm | tail -n1 | tr -s \" \" | cut -d\" \" -f2'"),
        "8192"
    );
    assert_eq!(brig.ok("run --rm bb sh -c 'stat -c %a /dev/shm; grep \" /dev/shm \" /proc/mounts | cut -d\" \" -f1-4 | cut -d, -f1-4'"), "1777\nshm /dev/shm tmpfs rw,nosuid,nodev,noexec");
    brig.fails("run --rm --shm-size nonsense bb true", 125, "invalid");
    brig.fails("run --rm --shm-size=-1 bb true", 125, "invalid");
}

#[test]
fn a_read_only_root_leaves_what_was_given() {
    let brig = Brig::new();
    for path in ["/x", "/tmp/x", "/etc/x"] {
        brig.run(&format!("run --rm --read-only bb touch {path}")).expect(1).says("read-only file system");
    }
    assert_eq!(
        brig.ok(
            "run --rm --read-only --tmpfs /tmp -v vol:/vol bb sh -c 'touch /tmp/x /vol/x /dev/shm/x && echo written'"
        ),
        "written"
    );
    assert_eq!(brig.ok("run --rm --read-only -w /new bb pwd"), "/new");
    let dir = brig.mkdir("bound");
    assert_eq!(
        brig.ok(&format!(
            "run --rm --read-only -v {dir}:/not/in/image bb sh -c 'touch /not/in/image/x && echo written'"
        )),
        "written"
    );
    brig.ok("run -d --name box --read-only bb sleep 1000");
    brig.run("exec box touch /x").expect(1).says("read-only file system");
    assert_eq!(brig.inspect("box", "{{.HostConfig.ReadonlyRootfs}}"), "true");
}
