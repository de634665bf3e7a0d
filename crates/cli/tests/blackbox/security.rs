//! What a container may do: capabilities, seccomp, no-new-privileges, privileged, devices,
//! resource limits and sysctls.

use crate::harness::Brig;
use crate::harness::process::tool;
use crate::harness::sandbox::is_docker;

/// A field of `/proc/self/status` in `run --rm FLAGS bb`.
#[track_caller]
fn status(brig: &Brig, flags: &str, field: &str) -> String {
    let line = brig.ok(&format!("run --rm {flags} bb grep ^{field}: /proc/self/status"));
    line.split_whitespace().last().expect("a value").to_owned()
}

#[track_caller]
fn check_capabilities(brig: &Brig, flags: &str, expected: &str) {
    assert_eq!(status(brig, flags, "CapEff"), expected, "{flags}");
}

#[test]
fn capabilities() {
    let brig = Brig::new();
    let none = "0000000000000000";
    for (flags, expected) in [
        ("", "00000000a80425fb"),
        ("--cap-drop ALL", none),
        ("--cap-drop all", none),
        ("--cap-drop ALL --cap-add NET_ADMIN", "0000000000001000"),
        ("--cap-drop ALL --cap-add cap_net_admin", "0000000000001000"),
        ("--cap-add SYS_ADMIN", "00000000a82425fb"),
        ("--cap-drop CHOWN --cap-drop=CAP_SETUID", "00000000a804257a"),
        ("--cap-add SYS_PTRACE --cap-drop NET_RAW", "00000000a80c05fb"),
        ("-u alice", none),
    ] {
        check_capabilities(&brig, flags, expected);
    }
    assert_eq!(status(&brig, "-u alice", "CapBnd"), "00000000a80425fb");
    assert_eq!(status(&brig, "", "CapInh"), none);
    assert_eq!(status(&brig, "", "CapAmb"), none);
    brig.fails("run --rm --cap-add NOSUCH bb true", 125, "NOSUCH");
    brig.fails("run --rm --cap-drop NOSUCH bb true", 125, "NOSUCH");
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn exec_has_the_containers_capabilities() {
    let brig = Brig::new();
    brig.ok("run -d --name box --cap-drop ALL --cap-add CHOWN bb sleep 1000");
    assert_eq!(brig.ok("exec box grep CapEff /proc/self/status"), "CapEff:\t0000000000000001");
    assert_eq!(brig.ok("exec box grep Seccomp: /proc/self/status"), "Seccomp:\t2");
    let own = std::fs::read_to_string("/proc/self/status").expect("our own");
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).expect("CapBnd");
    assert_eq!(brig.ok("exec --privileged box grep CapEff /proc/self/status"), format!("CapEff:\t{bounding}"));
}

#[test]
fn seccomp_default_profile() {
    let brig = Brig::new();
    assert_eq!(status(&brig, "", "Seccomp"), "2");
    assert_eq!(status(&brig, "--security-opt seccomp=unconfined", "Seccomp"), "0");
    assert_eq!(status(&brig, "--security-opt seccomp=builtin", "Seccomp"), "2");
    assert_eq!(status(&brig, "--privileged", "Seccomp"), "0");
    for (command, words) in
        [("unshare -U true", "Operation not permitted"), ("unshare -m true", "Operation not permitted")]
    {
        let output = brig.run(&format!("run --rm bb {command}")).expect(1);
        assert!(output.stderr.contains(words), "{command}: {}", output.stderr);
    }
    // A capability opens what the profile ties to it.
    brig.ok("run --rm --cap-add SYS_ADMIN bb unshare -m true");
    brig.ok("run --rm --security-opt seccomp=unconfined --cap-add SYS_ADMIN bb unshare -m true");
}

#[test]
fn seccomp_profile_of_ones_own() {
    let brig = Brig::new();
    let profile = brig.write(
        "profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {"names": ["chmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 12, "op": "SCMP_CMP_EQ"}]}]}"#,
    );
    let run = |command: &str| brig.run(&format!("run --rm --security-opt seccomp={profile} bb {command}"));
    run("mkdir /x").expect(1).says("no space left");
    run("chmod 700 /tmp").expect(1).says("operation not permitted");
    run("sh -c 'kill -12 $$'").expect(1).says("operation not permitted");
    run("sh -c 'kill -0 $$'").expect(0);
    for (content, words) in [
        ("nonsense", ""),
        ("{\"defaultAction\": \"NOSUCH\"}", ""),
        (
            "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 9, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
            "",
        ),
    ] {
        if is_docker() && content.starts_with('{') {
            continue; // it lets these pass
        }
        let bad = brig.write("bad.json", content);
        brig.run(&format!("run --rm --security-opt seccomp={bad} bb true")).expect(125).says(words);
    }
    brig.fails("run --rm --security-opt seccomp=/no/such bb true", 125, "no such file");
    brig.fails("run --rm --security-opt nonsense bb true", 125, "nonsense");
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn no_new_privileges() {
    let brig = Brig::new();
    assert_eq!(status(&brig, "", "NoNewPrivs"), "0");
    assert_eq!(status(&brig, "--security-opt no-new-privileges", "NoNewPrivs"), "1");
    assert_eq!(status(&brig, "--security-opt no-new-privileges:true", "NoNewPrivs"), "1");
    assert_eq!(status(&brig, "--security-opt no-new-privileges=false", "NoNewPrivs"), "0");
    brig.ok("run -d --name box --security-opt no-new-privileges bb sleep 1000");
    assert_eq!(brig.ok("exec box grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1");
}

#[test]
fn privileged() {
    let brig = Brig::new();
    let own = std::fs::read_to_string("/proc/self/status").expect("our own");
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).expect("CapBnd");
    check_capabilities(&brig, "--privileged", bounding);
    brig.ok("run --rm --privileged bb sh -c 'mkdir /x && mount -t tmpfs x /x'");
    assert_eq!(brig.ok("run --rm --privileged bb sh -c 'test -w /proc/sys/kernel/domainname && mount | grep -c \"^sysfs on /sys type sysfs (rw\"'"), "1");
    let devices = brig.ok("run --rm --privileged bb ls /dev");
    for name in ["full", "null", "tty", "zero"] {
        assert!(devices.lines().any(|device| device == name), "{name} in {devices}");
    }
    let own: Vec<_> = std::fs::read_dir("/dev")
        .expect("/dev")
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    if own.iter().any(|name| name == "kmsg") {
        assert!(devices.lines().any(|device| device == "kmsg"), "the host's devices, too: {devices}");
    }
}

#[test]
fn devices() {
    let brig = Brig::new();
    let node = brig.dir.join("node").display().to_string();
    tool("mknod", &[&node, "c", "1", "3"]);
    assert_eq!(
        brig.ok(&format!(
            "run --rm --device {node}:/dev/mine bb sh -c 'echo x >/dev/mine; cat /dev/mine; stat -c %t:%T /dev/mine'"
        )),
        "1:3"
    );
    assert_eq!(brig.ok(&format!("run --rm --device {node} bb stat -c %t:%T {node}")), "1:3");
    // 10:229 is fuse, which the default rules leave out.
    let fuse = brig.dir.join("fuse").display().to_string();
    tool("mknod", &[&fuse, "c", "10", "229"]);
    let denied = brig.run("run --rm bb sh -c 'mknod /x c 10 229 && head -c0 /x'").expect(1);
    assert!(denied.stderr.contains("Operation not permitted"), "{}", denied.stderr);
    let write_only = brig.run(&format!("run --rm --device {fuse}:/dev/k:w bb head -c0 /dev/k")).expect(1);
    assert!(write_only.stderr.contains("Operation not permitted"), "{}", write_only.stderr);
    if std::fs::File::open(&fuse).is_ok() {
        brig.ok(&format!("run --rm --device {fuse}:/dev/k:r bb head -c0 /dev/k"));
    }
    // docker takes the words for those of a missing command.
    brig.fails("run --rm --device /no/such bb true", if is_docker() { 127 } else { 125 }, "no such file or directory");
    brig.fails(&format!("run --rm --device {node}:/dev/x:q bb true"), 125, "q");
    brig.fails("run --rm --device /etc/passwd bb true", 125, "not a device node");
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn resource_limits() {
    let brig = Brig::new();
    assert_eq!(brig.ok("run --rm --ulimit nofile=100:200 bb sh -c 'ulimit -n; ulimit -Hn'"), "100\n200");
    assert_eq!(brig.ok("run --rm --ulimit nofile=100 bb sh -c 'ulimit -n; ulimit -Hn'"), "100\n100");
    assert_eq!(brig.ok("run --rm --ulimit core=0 --ulimit fsize=1048576 bb sh -c 'ulimit -c; ulimit -f'"), "0\n2048");
    for bad in ["nosuch=1", "nofile", "nofile=x", "nofile=200:100", "nofile=1:2:3"] {
        brig.fails(&format!("run --rm --ulimit {bad} bb true"), 125, "");
    }
    brig.ok("run -d --name box --ulimit nofile=100:200 bb sleep 1000");
    assert_eq!(brig.ok("exec box sh -c 'ulimit -n'"), "100");
}

#[test]
fn sysctls() {
    let brig = Brig::new();
    assert_eq!(
        brig.ok("run --rm --network none --sysctl net.ipv4.ip_forward=1 bb cat /proc/sys/net/ipv4/ip_forward"),
        "1"
    );
    assert_eq!(brig.ok("run --rm --sysctl kernel.shm_rmid_forced=1 bb cat /proc/sys/kernel/shm_rmid_forced"), "1");
    assert_eq!(brig.ok("run --rm --sysctl kernel.msgmax=4096 --sysctl fs.mqueue.msg_max=20 bb cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max"), "4096\n20");
    brig.fails("run --rm --sysctl kernel.panic=1 bb true", 125, "kernel.panic");
    brig.fails("run --rm --sysctl nonsense bb true", 125, "nonsense");
    brig.fails("run --rm --network host --sysctl net.ipv4.ip_forward=1 bb true", 125, "not allowed");
    brig.fails("run --rm --ipc host --sysctl kernel.msgmax=4096 bb true", 125, "kernel.msgmax");
}

#[test]
fn the_host_is_out_of_reach() {
    let brig = Brig::new();
    brig.run("run --rm bb mount -t tmpfs x /tmp").expect(1).says("permission denied");
    brig.run("run --rm --security-opt seccomp=unconfined bb mount -t tmpfs x /tmp").expect(1).says("permission denied");
    brig.run("run --rm bb hostname other").expect(1).says("operation not permitted");
    brig.run("run --rm bb date -s 2000-01-01").says("operation not permitted");
    brig.run("run --rm bb sh -c 'mknod /x b 8 0 && head -c1 /x'").expect(1).says("operation not permitted");
    if !is_docker() {
        // A command that is our own program by another name (CVE-2019-5736) stays, as it reads its standard input, and
        // nobody inside can open it for writing.
        brig.ok("run -d -i --name box bb /proc/self/exe import -");
        brig.run("exec box sh -c ': >/proc/1/exe'").expect(1).says("read-only file system");
    }
}
