//! Who a container's process is: inheritable capabilities (CVE-2022-24769) and supplementary groups (CVE-2022-2995).

use crate::harness::Brig;
use crate::harness::process::tool;
use crate::harness::sandbox::is_docker;
use rustix::fs::XattrFlags;

const NONE: &str = "0000000000000000";

#[test]
fn no_capability_is_inheritable() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    let look = "grep ^CapInh /proc/self/status";
    for line in [
        format!("run --rm bb {look}"),
        format!("run --rm --privileged bb {look}"),
        format!("run --rm --cap-add ALL -u alice bb {look}"),
        format!("run --rm --init --cap-add NET_ADMIN bb {look}"),
        format!("exec box {look}"),
        format!("exec --privileged box {look}"),
        format!("exec -u alice --privileged box {look}"),
    ] {
        assert_eq!(brig.ok(&line), format!("CapInh:\t{NONE}"), "{line}");
    }
}

#[test]
fn a_file_that_takes_inheritable_capabilities_gets_none() {
    let brig = Brig::new();
    let directory = brig.mkdir("programs");
    let file = format!("{directory}/busybox");
    std::fs::copy(crate::harness::image::busybox_path(), &file).expect("busybox");
    // vfs_cap_data of linux/capability.h, revision 2: effective, nothing permitted, everything inheritable.
    let capabilities: [u32; 5] = [0x0200_0001, 0, u32::MAX, 0, u32::MAX];
    let bytes: Vec<u8> = capabilities.iter().flat_map(|word| word.to_le_bytes()).collect();
    rustix::fs::setxattr(&file, "security.capability", &bytes, XattrFlags::empty()).expect("root may");
    brig.ok(&format!("run -d --name box -v {directory}:/programs bb sleep 1000"));
    for line in [
        format!("run --rm -u alice -v {directory}:/programs bb /programs/busybox grep ^CapEff /proc/self/status"),
        "exec -u alice box /programs/busybox grep ^CapEff /proc/self/status".to_owned(),
    ] {
        assert_eq!(brig.ok(&line), format!("CapEff:\t{NONE}"), "{line}");
    }
}

#[test]
fn groups_are_the_users_own_and_the_first_among_them() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    let groups = |line: &str| {
        let line = brig.ok(&format!("{line} grep ^Groups /proc/self/status"));
        let mut groups: Vec<u32> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        groups.sort_unstable();
        groups
    };
    for (line, expected) in [
        ("run --rm bb", vec![0]),
        ("run --rm -u alice bb", vec![10, 50, 1001]),
        // A number that is nobody's has the group asked for, and in the list too: else a file that its group may not
        // read could be read by whoever changes the first group.
        ("run --rm -u 4000:5000 bb", vec![5000]),
        ("run --rm -u 4000 bb", vec![0]),
        ("run --rm -u alice:staff bb", vec![50]),
        ("exec -u alice box", vec![10, 50, 1001]),
        ("exec -u 4000:5000 box", vec![5000]),
    ] {
        assert_eq!(groups(line), expected, "{line}");
    }
    // Denied to the group, open to all others.
    let script = "echo secret >/denied; chown root:alice /denied; chmod 604 /denied";
    brig.ok(&format!("exec box sh -c '{script}'"));
    brig.run("exec -u alice box cat /denied").expect(1).says("permission denied");
    brig.run("exec -u 4000:1001 box cat /denied").expect(1).says("permission denied");
}

#[test]
fn the_callers_groups_stay_outside() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    for user in ["root", "alice"] {
        let script =
            format!("{} run --rm --network none -u {user} bb grep ^Groups /proc/self/status", brig.shell_words());
        let groups = tool("setpriv", &["--groups", "7,8,4242", "sh", "-c", &script]);
        let inside: Vec<&str> = groups.split_whitespace().skip(1).collect();
        assert!(!inside.iter().any(|group| ["7", "8", "4242"].contains(group)), "{user}: {groups}");
    }
}
