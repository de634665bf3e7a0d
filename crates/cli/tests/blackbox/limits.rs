//! Limits: memory, CPU, tasks, block I/O; as the container's cgroup has them, on v1 and v2.

use crate::harness::Brig;
use crate::harness::sandbox::{is_cgroup_v2, is_docker};

/// A file of the container's cgroup, read on the host. `v1` is `controller/file`.
fn read(brig: &Brig, name: &str, v1: &str, v2: &str) -> String {
    let parent = if is_docker() { "docker" } else { "brig" };
    let id = brig.inspect(name, "{{.Id}}");
    let path = if is_cgroup_v2() {
        format!("/sys/fs/cgroup/{parent}/{id}/{v2}")
    } else {
        let (controller, file) = v1.split_once('/').expect("controller/file");
        format!("/sys/fs/cgroup/{controller}/{parent}/{id}/{file}")
    };
    // On v1 a controller without a limit need not be there at all.
    let unlimited = if v1.starts_with("pids") { "max" } else { "-1" };
    std::fs::read_to_string(&path).map_or(unlimited.to_owned(), |text| text.trim_end().to_owned())
}

/// Starts a container with these flags; in its cgroup the file has this value.
#[track_caller]
fn check(brig: &Brig, flags: &str, v1: (&str, &str), v2: (&str, &str)) {
    brig.ok(&format!("run -d --name box {flags} bb sleep 1000"));
    let value = read(brig, "box", v1.0, v2.0);
    assert_eq!(value, if is_cgroup_v2() { v2.1 } else { v1.1 }, "{flags}");
    brig.ok("rm -f box");
}

const MEMORY: (&str, &str) = ("memory/memory.limit_in_bytes", "memory.max");
const SWAP: (&str, &str) = ("memory/memory.memsw.limit_in_bytes", "memory.swap.max");

/// Whether this kernel accounts swap.
fn has_swap_accounting() -> bool {
    is_cgroup_v2() || std::path::Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists()
}

#[test]
fn memory() {
    let brig = Brig::new();
    let mega = |megabytes: u64| (megabytes << 20).to_string();
    for (flags, megabytes) in [
        ("-m 64m", 64),
        ("--memory 64M", 64),
        ("--memory=67108864", 64),
        ("--memory 65536k", 64),
        ("-m 1g", 1024),
        ("-m 0.5g", 512),
    ] {
        check(&brig, flags, (MEMORY.0, &mega(megabytes)), (MEMORY.1, &mega(megabytes)));
    }
    let reservation = "-m 64m --memory-reservation 32m";
    check(&brig, reservation, ("memory/memory.soft_limit_in_bytes", &mega(32)), ("memory.low", &mega(32)));
    if has_swap_accounting() {
        check(&brig, "-m 64m", (SWAP.0, &mega(128)), (SWAP.1, &mega(64)));
        check(&brig, "-m 64m --memory-swap 96m", (SWAP.0, &mega(96)), (SWAP.1, &mega(32)));
        check(&brig, "-m 64m --memory-swap 64m", (SWAP.0, &mega(64)), (SWAP.1, "0"));
        check(&brig, "-m 64m --memory-swap -1", (SWAP.0, "9223372036854771712"), (SWAP.1, "max"));
    }
}

#[test]
fn cpu() {
    let brig = Brig::new();
    check(&brig, "--cpus 0.5", ("cpu/cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000"));
    check(&brig, "--cpus=1.25", ("cpu/cpu.cfs_quota_us", "125000"), ("cpu.max", "125000 100000"));
    check(&brig, "", ("cpu/cpu.cfs_quota_us", "-1"), ("cpu.max", "max 100000"));
    check(&brig, "--cpu-shares 512", ("cpu/cpu.shares", "512"), ("cpu.weight", "59"));
    check(&brig, "-c 2048", ("cpu/cpu.shares", "2048"), ("cpu.weight", "174"));
    check(&brig, "--cpuset-cpus 0", ("cpuset/cpuset.cpus", "0"), ("cpuset.cpus", "0"));
    assert_eq!(brig.ok("run --rm --cpuset-cpus 0 bb nproc"), "1");
}

#[test]
fn tasks() {
    let brig = Brig::new();
    check(&brig, "--pids-limit 20", ("pids/pids.max", "20"), ("pids.max", "20"));
    check(&brig, "--pids-limit -1", ("pids/pids.max", "max"), ("pids.max", "max"));
    check(&brig, "--pids-limit 0", ("pids/pids.max", "max"), ("pids.max", "max"));
    let output = brig.run("run --rm --pids-limit 5 bb sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait'");
    assert!(output.stderr.contains("can't fork"), "{}", output.stderr);
}

#[test]
fn block_io() {
    let brig = Brig::new();
    let started = brig.run("run -d --name box --blkio-weight 300 bb sleep 1000").expect(0);
    // Which file there is depends on the kernel's schedulers; `io.weight` has a scale of its own.
    let files = [
        ("blkio/blkio.weight", "io.weight", "default 2930"),
        ("blkio/blkio.bfq.weight", "io.bfq.weight", "default 300"),
    ];
    let found = files.iter().map(|(v1, v2, scaled)| (read(&brig, "box", v1, v2), *scaled)).find(|it| it.0 != "-1");
    match found {
        Some((value, scaled)) if !is_docker() => assert!(value == "300" || value == scaled, "{value}"),
        Some(_) => {}
        None => drop(started.says("block i/o weight")),
    }
    if !is_docker() {
        brig.fails("run --rm --blkio-weight 5 bb true", 125, "weight");
    }
}

#[test]
fn the_container_sees_its_own_limits() {
    let brig = Brig::new();
    let file = if is_cgroup_v2() { "/sys/fs/cgroup/memory.max" } else { "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
    assert_eq!(brig.ok(&format!("run --rm -m 64m bb cat {file}")), "67108864");
    brig.run(&format!("run --rm -m 64m bb sh -c 'echo 1 >{file}'")).expect(1).says("read-only file system");
}

#[test]
fn too_much_memory_is_killed_and_said() {
    let brig = Brig::new();
    brig.run(
        "run --name box -m 16m --memory-swap 16m bb sh -c 'x=$(tail -c 100000000 /dev/zero | tr \"\\0\" x); echo done'",
    );
    assert_eq!(brig.inspect("box", "{{.State.OOMKilled}}"), "true");
    brig.run("run --name direct -m 16m --memory-swap 16m bb tail /dev/zero").expect(137);
    assert_eq!(brig.inspect("direct", "{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}"), "true 137 exited");
    brig.ok("run --name fine -m 16m bb true");
    assert_eq!(brig.inspect("fine", "{{.State.OOMKilled}}"), "false");
}

#[test]
fn bad_limits_are_refused() {
    let brig = Brig::new();
    for (flags, words) in [
        ("-m 1m", "minimum memory limit allowed is 6MB"),
        ("-m nonsense", "invalid"),
        ("-m 64x", "invalid"),
        ("-m 64m --memory-swap 32m", "memoryswap limit should be larger than"),
        ("--memory-swap 64m", "should always set the memory limit"),
        ("-m 64m --memory-reservation 128m", "less than memory reservation limit"),
        ("--cpus nonsense", "invalid"),
        ("--cpus 100000", "range of cpus is from 0.01 to"),
        ("--cpuset-cpus 4000", "requested cpus are not available"),
        ("--cpuset-cpus x", "invalid"),
        ("--pids-limit x", "invalid"),
        ("--cpu-shares x", "invalid"),
    ] {
        brig.fails(&format!("run --name bad {flags} bb true"), 125, words);
    }
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn are_listed_by_inspect_and_changed_by_update() {
    let brig = Brig::new();
    brig.ok("run -d --name box -m 64m --memory-swap 128m --cpus 0.5 --cpu-shares 512 --pids-limit 20 --cpuset-cpus 0 bb sleep 1000");
    let template = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpusetCpus}}";
    assert_eq!(brig.inspect("box", template), "67108864 134217728 500000000 512 20 0");
    assert_eq!(brig.ok("update --memory 96m --memory-swap 192m --cpus 1.5 --pids-limit 30 box"), "box");
    assert_eq!(brig.inspect("box", template), "100663296 201326592 1500000000 512 30 0");
    assert_eq!(read(&brig, "box", MEMORY.0, MEMORY.1), "100663296");
    assert_eq!(
        read(&brig, "box", "cpu/cpu.cfs_quota_us", "cpu.max"),
        if is_cgroup_v2() { "150000 100000" } else { "150000" }
    );
    assert_eq!(read(&brig, "box", "pids/pids.max", "pids.max"), "30");
    brig.ok("update --restart on-failure:3 box");
    assert_eq!(
        brig.inspect("box", "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}"),
        "on-failure 3"
    );
    brig.fails("update --memory 1m box", 1, "minimum memory limit allowed is 6MB");
    brig.fails("update", 1, "requires at least 1 argument");
    brig.ok("stop -t 0 box");
    brig.ok("update --memory 80m box");
    brig.ok("start box");
    assert_eq!(read(&brig, "box", MEMORY.0, MEMORY.1), "83886080");
}
