//! Namespaces: which a container has of its own and which it shares when told so.

use crate::harness::Brig;

/// The namespace of this kind that the tests run in.
fn own(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("a namespace").display().to_string()
}

#[test]
fn each_container_has_its_own() {
    let brig = Brig::new();
    for kind in ["mnt", "pid", "net", "uts", "ipc"] {
        let seen = brig.ok(&format!("run --rm bb readlink /proc/self/ns/{kind}"));
        assert!(seen.starts_with(&format!("{kind}:[")) && seen != own(kind), "{kind}: {seen}");
    }
    assert_eq!(brig.ok("run --rm bb readlink /proc/self/ns/user"), own("user"));
    let processes = brig.ok("run --rm bb sh -c 'ls -d /proc/[0-9]*; true'");
    assert_eq!(processes, "/proc/1", "sees only its own processes");
}

#[test]
fn shares_the_hosts_when_told() {
    let brig = Brig::new();
    for (flags, kind) in [
        ("--pid host", "pid"),
        ("--network host", "net"),
        ("--net=host", "net"),
        ("--uts host", "uts"),
        ("--ipc host", "ipc"),
        ("--userns host", "user"),
    ] {
        assert_eq!(brig.ok(&format!("run --rm {flags} bb readlink /proc/self/ns/{kind}")), own(kind), "{flags}");
    }
    let pid = std::process::id();
    assert_eq!(brig.ok(&format!("run --rm --pid host bb sh -c 'test -d /proc/{pid} && echo seen'")), "seen");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a hostname");
    assert_eq!(brig.ok("run --rm --uts host bb hostname"), host.trim_end());
}

#[test]
fn no_network_is_a_loopback_that_is_up() {
    let brig = Brig::new();
    assert_eq!(brig.ok("run --rm --network none bb sh -c 'ls /sys/class/net; cat /proc/net/route | wc -l'"), "lo\n1");
    assert_eq!(brig.ok("run --rm --network none bb sh -c 'nc -l -p 80 >/got & sleep 0.2; echo hi | nc 127.0.0.1 80; wait; cat /got'"), "hi");
    brig.ok("create --name box --network none bb true");
    assert_eq!(brig.inspect("box", "{{.HostConfig.NetworkMode}}"), "none");
    brig.run("run --rm --network nosuch bb true").expect(125).says("nosuch");
}

#[test]
fn shares_another_containers() {
    let brig = Brig::new();
    brig.ok("run -d --name first --ipc shareable bb sleep 1000");
    for kind in ["pid", "ipc"] {
        let theirs = brig.ok(&format!("exec first readlink /proc/self/ns/{kind}"));
        assert_eq!(brig.ok(&format!("run --rm --{kind} container:first bb readlink /proc/self/ns/{kind}")), theirs);
    }
    brig.fails("run --rm --pid container:nosuch bb true", 125, "no such container");
}

#[test]
fn bad_modes_are_refused() {
    let brig = Brig::new();
    for (flags, words) in [
        ("--pid nosuch", "invalid pid mode"),
        ("--ipc nosuch", "invalid ipc mode"),
        ("--uts nosuch", "invalid uts mode"),
        ("--userns nosuch", "invalid userns mode"),
    ] {
        brig.run(&format!("run --rm {flags} bb true")).expect(125).says(words.rsplit(' ').nth(1).expect("two words"));
    }
}

#[test]
fn with_the_hosts_processes_all_of_ours_are_killed() {
    let brig = Brig::new();
    brig.ok("run -d --name box --pid host bb sh -c 'sleep 4242 & sleep 4242'");
    brig.ok("rm -f box");
    // What is left would be found by the sandbox's end.
}

#[test]
fn a_writer_left_in_the_hosts_pid_namespace_ends_with_the_container() {
    let brig = Brig::new();
    brig.ok("run -d --pid host --name box bb sh -c 'yes >&2 & sleep 0.2; exit 4'");
    assert_eq!(brig.ok("wait box"), "4");
    brig.ok("rm box");
}
