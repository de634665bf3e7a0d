//! What a process has besides its identity, and what its surroundings have besides files: clocks, scheduling, CPUs,
//! personality, memory policy, id-mapped mounts.

use crate::Case;
use crate::stage::{Stage, mount};
use runtime::{Bundle, Create, Keyring, RootChange, Rootfs};
use spec::runtime::{
    IdMapping, IoPriority, MemoryPolicy, Namespace, NamespaceKind, NetDevice, Personality, Scheduler, Seccomp,
    SeccompRule, State, Status, TimeOffset,
};
use std::os::fd::AsFd;

pub const CASES: &[Case] = &[
    ("clocks of a time namespace", clocks),
    ("clocks in a user namespace", clocks_in_user_namespace),
    ("scheduler and I/O priority", scheduling),
    ("CPUs are given back", cpus),
    ("personality", personality),
    ("memory policy", memory_policy),
    ("id-mapped mounts", id_mapped),
    ("id-mapped mounts in a user namespace", id_mapped_in_user_namespace),
    ("mounts on mounts, and sources in the container", sources_inside),
    ("remounts", remounts),
    ("a host name in a joined namespace", joined_uts),
    ("a new user namespace beside a joined network", user_and_joined_network),
    ("a network device moves in", network_device),
    ("a seccomp listener reaches its agent", listener),
];

fn with_clocks(script: &str) -> Stage {
    let mut stage = Stage::script(script);
    stage.linux().namespaces.push(Namespace { kind: NamespaceKind::Time, path: String::new() });
    let offset = |secs, nanosecs| TimeOffset { secs, nanosecs };
    stage.linux().time_offsets =
        [("monotonic".to_owned(), offset(7881, 2_718_281)), ("boottime".to_owned(), offset(1337, 3_141_519))].into();
    stage
}

const OFFSETS: &str = "set -- $(cat /proc/self/timens_offsets); echo $*";

fn clocks() {
    with_clocks(OFFSETS).check_output("monotonic 7881 2718281 boottime 1337 3141519");
}

fn clocks_in_user_namespace() {
    let mut stage = with_clocks(OFFSETS);
    stage.map_users();
    stage.check_output("monotonic 7881 2718281 boottime 1337 3141519");
}

fn scheduling() {
    let mut stage = Stage::script("set -- $(cat /proc/self/stat); echo ${19} ${41}; ionice -p $$");
    stage.process().scheduler = Some(Scheduler { policy: "SCHED_BATCH".into(), nice: 7, ..Scheduler::default() });
    stage.process().io_priority = Some(IoPriority { class: "IOPRIO_CLASS_BE".into(), priority: 6 });
    stage.check_output("7 3\nbest-effort: prio 6");
}

fn cpus() {
    let all = std::fs::read_to_string("/proc/self/status").unwrap();
    let all = all.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
    if all == "0" {
        return;
    }
    crate::stage::in_child(|| {
        kernel::scheduler::set_affinity(&kernel::cpu_list::Mask::parse("0").unwrap()).unwrap();
        Stage::script("grep Cpus_allowed_list /proc/self/status | cut -f 2").check_output(&all);
    });
}

fn personality() {
    let mut stage = Stage::script("uname -m");
    stage.linux().personality = Some(Personality { domain: "LINUX32".into(), flags: Vec::new() });
    stage.check_output(if cfg!(target_arch = "x86_64") { "i686" } else { "armv8l" });
}

fn memory_policy() {
    let mut stage = Stage::script("head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2");
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        return;
    }
    stage.linux().memory_policy =
        Some(MemoryPolicy { mode: "MPOL_INTERLEAVE".into(), nodes: "0".into(), flags: Vec::new() });
    stage.check_output("interleave:0");
}

/// A directory on a file system that can map ids, with one file of root's.
fn source(stage: &Stage) -> String {
    let source = stage.directory.join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "text").unwrap();
    source.to_str().unwrap().to_owned()
}

fn id_mapped() {
    let mut stage = Stage::script("stat -c %u:%g /mnt/file /deep/file; touch /mnt/new");
    let source = source(&stage);
    for (destination, host) in [("/mnt", 1000), ("/deep", 2000)] {
        let mut mount = mount("bind", &source, destination, &["rbind"]);
        mount.uid_mappings = vec![IdMapping { container_id: 0, host_id: host, size: 10 }];
        mount.gid_mappings = vec![IdMapping { container_id: 0, host_id: host + 1, size: 10 }];
        stage.spec.mounts.push(mount);
    }
    // Root of the container is nobody in this mapping: it may read and not write.
    let (output, code) = stage.run();
    assert!(output.starts_with("1000:1001\n2000:2001\n"), "{output}");
    assert_ne!(code, 0);
}

fn id_mapped_in_user_namespace() {
    let mut stage = Stage::script("stat -c %u:%g /mnt/file /plain/file; touch /mnt/new");
    stage.map_users();
    let source = source(&stage);
    stage.mount("bind", &source, "/mnt", &["bind", "idmap"]);
    stage.mount("bind", &source, "/plain", &["bind"]);
    stage.check_output("0:0\n65534:65534");
    let made = std::fs::metadata(format!("{source}/new")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0);
}

fn sources_inside() {
    let mut stage = Stage::script("cat /final/inner/file /link/file");
    let outer = source(&stage);
    // A root that is a directory, so that paths of the host can mean paths in the container.
    let root = stage.plain_root();
    std::os::unix::fs::symlink("/tmp/not/there", root.join("link")).unwrap();
    stage.mount("tmpfs", "tmpfs", "/middle", &["mode=755"]);
    stage.mount("bind", &outer, "/middle/inner", &["rbind"]);
    stage.mount("bind", root.join("middle").to_str().unwrap(), "/final", &["rbind"]);
    stage.mount("bind", &outer, "/link", &["bind"]);
    assert_eq!(stage.output_on(&root), "texttext");
    assert!(root.join("tmp/not/there").is_dir());
}

fn remounts() {
    let mut stage = Stage::script("grep -E ' /(mnt|tmp) ' /proc/mounts | cut -d ' ' -f 2,4 | cut -d , -f 1-3");
    stage.mount("tmpfs", "tmpfs", "/mnt", &["nosuid", "mode=700"]);
    stage.mount("", "", "/mnt", &["remount", "bind", "ro", "nodev", "nosuid"]);
    stage.mount("tmpfs", "tmpfs", "/tmp", &["mode=700"]);
    stage.mount("tmpfs", "", "/tmp", &["remount", "noexec", "size=64k"]);
    stage.check_output("/mnt ro,nosuid,nodev\n/tmp rw,noexec,relatime");
    let mut nothing_there = Stage::new();
    nothing_there.mount("", "", "/etc", &["remount", "bind", "ro"]);
    assert!(nothing_there.error().to_string().contains("/etc"));
}

fn joined_uts() {
    let mut stage = Stage::script("hostname");
    crate::stage::in_child(|| {
        kernel::namespace::unshare([kernel::namespace::Kind::Uts].into_iter().collect()).unwrap();
        let uts = stage.linux().namespaces.iter_mut().find(|namespace| namespace.kind == NamespaceKind::Uts).unwrap();
        uts.path = format!("/proc/{}/ns/uts", std::process::id());
        stage.check_output("brig-test");
    });
}

fn user_and_joined_network() {
    let mut stage = Stage::script("id -u; readlink /proc/self/ns/net");
    stage.map_users();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let network = stage.linux().namespaces.iter_mut().find(|one| one.kind == NamespaceKind::Network).unwrap();
    network.path = "/proc/self/ns/net".to_owned();
    // Without power over the network there is no new sysfs; the host's is bound.
    stage.check_output(&format!("0\n{}", own.display()));
}

/// Half of a pair that is made in a network of its own, so that nothing of it is on the host.
fn network_device() {
    let ip = "/usr/sbin/ip";
    if !std::path::Path::new(ip).exists() {
        return;
    }
    let mut stage =
        Stage::script("ip -o address show dev inside | grep -o '10.9.8.7/24'; ip link show inside | grep -c ,UP");
    stage.linux().net_devices = [("outside".to_owned(), NetDevice { name: "inside".to_owned() })].into();
    crate::stage::in_child(|| {
        kernel::namespace::unshare([kernel::namespace::Kind::Network].into_iter().collect()).unwrap();
        for line in ["link add outside type veth peer name other", "address add 10.9.8.7/24 dev outside"] {
            assert!(std::process::Command::new(ip).args(line.split(' ')).status().unwrap().success());
        }
        stage.check_output("10.9.8.7/24\n1");
    });
    stage.linux().net_devices = [("no/such".to_owned(), NetDevice::default())].into();
    assert!(stage.error().to_string().contains("invalid network device name"));
    stage.linux().net_devices = [("nosuchdevice".to_owned(), NetDevice::default())].into();
    assert!(stage.error().to_string().contains("nosuchdevice"));
}

/// The agent lets its end go: then the kernel refuses what it would have been asked.
fn listener() {
    let mut stage = Stage::script("mkdir /tmp/x 2>/dev/null || echo refused");
    let path = stage.directory.join("agent").to_str().unwrap().to_owned();
    let rule = |action: &str| SeccompRule {
        names: vec!["mkdir".into(), "mkdirat".into()],
        action: action.into(),
        ..SeccompRule::default()
    };
    let profile = |action: &str, path: &str| Seccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        syscalls: vec![rule(action)],
        listener_path: path.to_owned(),
        ..Seccomp::default()
    };
    let state = State {
        oci_version: spec::runtime::VERSION.into(),
        id: "x".into(),
        status: Status::Creating,
        pid: None,
        bundle: "/".into(),
        annotations: Default::default(),
    };
    let bundle =
        || Some(Bundle { state: &state, gate: None, preserved: 0, root: RootChange::Pivot, keyring: Keyring::New });
    let create = |stage: &Stage, stdio| {
        let rootfs = stage.rootfs();
        runtime::create(Create { bundle: bundle(), ..stage.request(Rootfs::Detached(&rootfs), stdio, false) })
    };
    stage.linux().seccomp = Some(profile("SCMP_ACT_NOTIFY", ""));
    assert!(create(&stage, crate::stage::piped().1).unwrap_err().to_string().contains("listenerPath"));
    stage.linux().seccomp = Some(profile("SCMP_ACT_NOTIFY", &path));
    assert!(create(&stage, crate::stage::piped().1).unwrap_err().to_string().contains("seccomp agent"));
    let agent = kernel::socket::listen(&stage.directory, "agent").unwrap();
    let (output, stdio) = crate::stage::piped();
    let running = create(&stage, stdio).unwrap().start().unwrap();
    let connection = kernel::socket::accept(agent.as_fd()).unwrap().expect("connected before the start");
    drop(kernel::socket::receive_fd(&connection).unwrap().expect("delivered before the start has succeeded"));
    assert_eq!(crate::stage::read_all(output), "refused\n");
    running.pidfd.wait().unwrap();
}
