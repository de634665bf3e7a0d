//! Real groups with real processes, as root, on whichever version this machine has. Without root or
//! without control groups they pass without a check. Each test has a parent group of its own and
//! removes it.

use super::*;
use crate::clone::{Child, Options, clone3};
use crate::pidfd::Exit;
use std::ffi::CString;
use std::path::Path;
use std::time::Instant;

struct Machine {
    layout: Layout,
    parent: String,
}

impl Machine {
    fn new(test: &str) -> Option<Machine> {
        let layout = Layout::detect().ok().filter(|_| rustix::process::geteuid().is_root())?;
        Some(Machine { layout, parent: format!("brig-test-{}-{test}", std::process::id()) })
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.parent)
    }

    fn create(&self, name: &str, resources: &Resources) -> Cgroup {
        self.layout.create(&self.name(name), resources).unwrap()
    }

    /// The file of version 1 or of version 2, whichever this machine has.
    fn value(&self, name: &str, v1: &str, v2: &str) -> String {
        let path = match &self.layout {
            Layout::V1(_) => {
                let (controller, file) = v1.split_once('/').unwrap();
                Path::new("/sys/fs/cgroup").join(controller).join(self.name(name)).join(file)
            }
            Layout::V2(mount) => mount.join(self.name(name)).join(v2),
        };
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let parent = self.layout.open(&self.parent).unwrap();
        if std::thread::panicking() {
            let _ = parent.kill(Signal::KILL).and_then(|()| parent.remove());
            return;
        }
        parent.remove().unwrap();
        assert_eq!(parent.directories(), Vec::<PathBuf>::new());
    }
}

/// Starts a shell in the group as the runtime starts a container in it.
fn start(cgroup: &Cgroup, script: &str) -> Child {
    let entry = cgroup.entry().unwrap();
    let arguments = ["/bin/sh", "-c", script].map(|a| CString::new(a).unwrap());
    let mut pointers: Vec<_> = arguments.iter().map(|a| a.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let options = Options { cgroup: entry.directory(), ..Options::default() };
    // The tests have threads: nothing in the child may allocate.
    clone3(options, || {
        if entry.enter().is_err() {
            return 99;
        }
        // SAFETY: null-terminated strings in a null-terminated list, both alive.
        unsafe { libc::execv(pointers[0], pointers.as_ptr()) };
        98
    })
    .unwrap()
}

fn run(cgroup: &Cgroup, script: &str) -> i32 {
    start(cgroup, script).pidfd.wait().unwrap().code()
}

/// Waits until the shell has got as far as having a child.
fn wait_for_processes(cgroup: &Cgroup, count: usize) -> Vec<i32> {
    let begin = Instant::now();
    loop {
        let processes = cgroup.processes().unwrap();
        if processes.len() >= count {
            return processes;
        }
        assert!(begin.elapsed().as_secs() < 60, "only {processes:?}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn limits_are_set_and_changed() {
    let Some(machine) = Machine::new("limits") else { return };
    let mut resources = Resources {
        memory: Memory {
            limit: Some(Limit::At(64 * MIB)),
            reservation: Some(Limit::At(32 * MIB)),
            swap: Some(Limit::At(96 * MIB)),
            ..Memory::default()
        },
        cpu: Cpu {
            shares: Some(512),
            quota: Some(Limit::At(20_000)),
            period: Some(100_000),
            cpuset_cpus: Some("0".to_owned()),
            ..Cpu::default()
        },
        pids_max: Some(Limit::At(33)),
        ..Resources::default()
    };
    let cgroup = machine.create("x", &resources);
    let either = |v1: &str, v2: &str| if machine.layout.is_v2() { v2.to_owned() } else { v1.to_owned() };
    assert_eq!(machine.value("x", "memory/memory.limit_in_bytes", "memory.max"), (64 * MIB).to_string());
    assert_eq!(machine.value("x", "memory/memory.soft_limit_in_bytes", "memory.low"), (32 * MIB).to_string());
    let swap = either(&(96 * MIB).to_string(), &(32 * MIB).to_string());
    assert_eq!(machine.value("x", "memory/memory.memsw.limit_in_bytes", "memory.swap.max"), swap);
    assert_eq!(machine.value("x", "cpu/cpu.shares", "cpu.weight"), either("512", "59"));
    assert_eq!(machine.value("x", "cpu/cpu.cfs_quota_us", "cpu.max"), either("20000", "20000 100000"));
    assert_eq!(machine.value("x", "cpuset/cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(machine.value("x", "pids/pids.max", "pids.max"), "33");
    assert_eq!(cgroup.stats().unwrap().memory.limit_bytes, Some(64 * MIB));

    // Up beyond the old sum, down below the old limit, and up to no limit at all.
    for mib in [200, 20] {
        resources.memory.limit = Some(Limit::At(mib * MIB));
        resources.memory.swap = Some(Limit::At(2 * mib * MIB));
        cgroup.set(&resources).unwrap();
        assert_eq!(cgroup.stats().unwrap().memory.limit_bytes, Some(mib * MIB));
    }
    let lifted = Memory { limit: Some(Limit::Unlimited), ..Memory::default() };
    cgroup.set(&Resources { memory: lifted, ..Resources::default() }).unwrap();
    assert_eq!(cgroup.stats().unwrap().memory.limit_bytes, None);

    let longer = Cpu { period: Some(50_000), ..Cpu::default() };
    cgroup.set(&Resources { cpu: longer, ..Resources::default() }).unwrap();
    assert_eq!(machine.value("x", "cpu/cpu.cfs_quota_us", "cpu.max"), either("20000", "20000 50000"));
    assert_eq!(machine.value("x", "pids/pids.max", "pids.max"), "33");
    cgroup.remove().unwrap();
    cgroup.remove().unwrap();
    assert!(!cgroup.exists());
    assert!(cgroup.entry().is_err());
}

#[test]
fn a_running_group_gets_a_limit_of_a_controller_it_did_not_use() {
    let Some(machine) = Machine::new("late") else { return };
    let cgroup = machine.create("x", &Resources::default());
    let child = start(&cgroup, "sleep 1000 & sleep 1000 & wait");
    wait_for_processes(&cgroup, 3);
    let cpu = Cpu { quota: Some(Limit::At(50_000)), cpuset_mems: Some("0".to_owned()), ..Cpu::default() };
    cgroup.set(&Resources { cpu, pids_max: Some(Limit::At(9)), ..Resources::default() }).unwrap();
    assert_eq!(machine.value("x", "cpu/cgroup.procs", "cgroup.procs").lines().count(), 3);
    assert_eq!(machine.value("x", "cpuset/cgroup.procs", "cgroup.procs").lines().count(), 3);
    assert_eq!(machine.value("x", "pids/pids.current", "pids.current"), "3");
    cgroup.kill(Signal::KILL).unwrap();
    child.pidfd.wait().unwrap();
}

#[test]
fn everyone_is_killed_and_the_group_removed() {
    let Some(machine) = Machine::new("kill") else { return };
    let cgroup = machine.create("x", &Resources::default());
    let child = start(&cgroup, "sleep 1000 & sleep 1000 & wait");
    let processes = wait_for_processes(&cgroup, 3);
    assert!(processes.contains(&child.pid));
    // One who joins, as `exec` does.
    let joined = start(&cgroup, "kill -STOP $$");
    wait_for_processes(&cgroup, 4);
    assert_eq!(machine.layout.create(&machine.name("x"), &Resources::default()).unwrap_err().errno, Errno::EXIST);
    cgroup.kill(Signal::KILL).unwrap();
    assert_eq!(child.pidfd.wait().unwrap(), Exit::Signal { signal: libc::SIGKILL, core_dumped: false });
    assert_eq!(joined.pidfd.wait().unwrap(), Exit::Signal { signal: libc::SIGKILL, core_dumped: false });
    cgroup.remove().unwrap();
    assert_eq!(cgroup.processes().unwrap(), Vec::<i32>::new());
    assert_eq!(cgroup.directories(), Vec::<PathBuf>::new());
}

#[test]
fn a_fork_bomb_is_killed() {
    let Some(machine) = Machine::new("bomb") else { return };
    let cgroup = machine.create("x", &Resources { pids_max: Some(Limit::At(500)), ..Resources::default() });
    // Slow enough to be seen: a shell that may not fork any more ends.
    let child = start(&cgroup, "exec 2>/dev/null; f() { while :; do f & sleep 0.05; done; }; f");
    wait_for_processes(&cgroup, 10);
    cgroup.kill(Signal::KILL).unwrap();
    child.pidfd.wait().unwrap();
    assert!(!cgroup.is_frozen().unwrap());
    // Waits for those that are just ending; were one alive, it would fail.
    cgroup.remove().unwrap();
}

#[test]
fn the_frozen_do_nothing_until_thawed_or_killed() {
    let Some(machine) = Machine::new("freeze") else { return };
    let cgroup = machine.create("x", &Resources::default());
    assert!(!cgroup.is_frozen().unwrap());
    // Handled, not fatal: what is fatal reaches the frozen on version 2.
    let child = start(&cgroup, "trap 'exit 3' TERM; sleep 1000 & wait");
    wait_for_processes(&cgroup, 2);
    cgroup.freeze().unwrap();
    cgroup.freeze().unwrap();
    assert!(cgroup.is_frozen().unwrap());
    cgroup.kill(Signal::TERM).unwrap();
    assert!(!child.pidfd.has_ended().unwrap());
    cgroup.thaw().unwrap();
    assert!(!cgroup.is_frozen().unwrap());
    assert_eq!(child.pidfd.wait().unwrap().code(), 3);

    let child = start(&cgroup, "sleep 1000 & wait");
    wait_for_processes(&cgroup, 2);
    cgroup.freeze().unwrap();
    cgroup.kill(Signal::KILL).unwrap();
    assert_eq!(child.pidfd.wait().unwrap().code(), 128 + libc::SIGKILL);
    cgroup.remove().unwrap();
    // Nothing of the frozen state may live on in a new group of the same name.
    let cgroup = machine.create("x", &Resources::default());
    assert_eq!(run(&cgroup, "exit 7"), 7);
}

#[test]
fn an_oom_kill_is_seen_and_counted() {
    let Some(machine) = Machine::new("oom") else { return };
    let limit = Some(Limit::At(16 * MIB));
    let memory = Memory { limit, swap: limit.filter(|_| machine.layout.limits_swap()), ..Memory::default() };
    let cgroup = machine.create("x", &Resources { memory, ..Resources::default() });
    assert_eq!(run(&cgroup, "true"), 0);
    assert_eq!(cgroup.oom_kills().unwrap(), 0);
    let mut watch = cgroup.watch_oom().unwrap().unwrap();
    assert!(!watch.take().unwrap());
    assert_eq!(run(&cgroup, "exec dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null"), 128 + libc::SIGKILL);
    assert_eq!(cgroup.oom_kills().unwrap(), 1);
    rustix::event::poll(&mut [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)], None).unwrap();
    assert!(watch.take().unwrap());
    assert!(!watch.take().unwrap());
    let stats = cgroup.stats().unwrap();
    assert_eq!(stats.memory.limit_bytes, Some(16 * MIB));
    assert!(stats.memory.usage_bytes <= 16 * MIB);
    cgroup.remove().unwrap();
    assert!(!watch.take().unwrap(), "the end of the group is no lack of memory");
    assert!(cgroup.watch_oom().unwrap().is_none());
}

#[test]
fn devices_are_denied_and_allowed_again() {
    let Some(machine) = Machine::new("devices") else { return };
    let rule = |allow, minor: u32, access| DeviceRule {
        allow,
        kind: DeviceKind::Character,
        major: Some(1),
        minor: Some(minor),
        access: Access::parse(access).unwrap(),
    };
    let nothing = DeviceRule { allow: false, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL };
    let script = "(: </dev/null) || exit 1; (: </dev/zero) 2>/dev/null || exit 2; (: >/dev/zero) 2>/dev/null || exit 3";
    let with = |devices: &[DeviceRule]| Resources { devices: devices.to_vec(), ..Resources::default() };
    let null = rule(true, 3, "rwm");
    let cgroup = machine.create("x", &with(&[nothing.clone(), null.clone()]));
    assert_eq!(run(&cgroup, script), 2);
    cgroup.set(&with(&[nothing.clone(), null.clone(), rule(true, 5, "r")])).unwrap();
    assert_eq!(run(&cgroup, script), 3);
    cgroup.set(&with(&[nothing.clone(), null.clone(), rule(true, 5, "rw")])).unwrap();
    assert_eq!(run(&cgroup, script), 0);
    cgroup.set(&with(&[nothing.clone(), null.clone(), rule(true, 5, "w")])).unwrap();
    assert_eq!(run(&cgroup, script), 2);
    cgroup.set(&with(&[rule(false, 5, "w")])).unwrap();
    assert_eq!(run(&cgroup, script), 3);
    cgroup.set(&with(&[DeviceRule { allow: true, ..nothing }])).unwrap();
    assert_eq!(run(&cgroup, script), 0);
}

#[test]
fn what_was_used_is_counted() {
    let Some(machine) = Machine::new("stats") else { return };
    let cgroup = machine.create("x", &Resources { pids_max: Some(Limit::At(50)), ..Resources::default() });
    assert_eq!(run(&cgroup, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"), 0);
    let child = start(&cgroup, "sleep 1000 & wait");
    wait_for_processes(&cgroup, 2);
    let stats = cgroup.stats().unwrap();
    assert!(stats.cpu.usage_ns > 1_000_000, "{stats:?}");
    assert!(stats.memory.usage_bytes > 0 && stats.memory.working_set_bytes() <= stats.memory.usage_bytes);
    assert_eq!(stats.memory.limit_bytes, None);
    assert_eq!(stats.pids, PidsStats { current: 2, limit: Some(50) });
    cgroup.kill(Signal::KILL).unwrap();
    child.pidfd.wait().unwrap();

    let unlimited = machine.create("y", &Resources::default());
    let child = start(&unlimited, "sleep 1000 & wait");
    wait_for_processes(&unlimited, 2);
    assert_eq!(unlimited.stats().unwrap().pids, PidsStats { current: 2, limit: None });
    unlimited.kill(Signal::KILL).unwrap();
    child.pidfd.wait().unwrap();
}

#[test]
fn nothing_is_left_after_an_error() {
    let Some(machine) = Machine::new("undo") else { return };
    let name = machine.name("a/b");
    let mut resources = Resources {
        memory: Memory { limit: Some(Limit::At(64 * MIB)), ..Memory::default() },
        pids_max: Some(Limit::At(10)),
        ..Resources::default()
    };
    resources.cpu.cpuset_cpus = Some("9999".to_owned());
    machine.layout.create(&name, &resources).unwrap_err();
    assert_eq!(machine.layout.open(&machine.parent).unwrap().directories(), Vec::<PathBuf>::new());
    resources.cpu.cpuset_cpus = None;
    resources.unified.push(("nothing.max".to_owned(), "1".to_owned()));
    machine.layout.create(&name, &resources).unwrap_err();
    assert_eq!(machine.layout.open(&machine.parent).unwrap().directories(), Vec::<PathBuf>::new());
}

#[test]
fn a_group_left_by_the_dead_is_replaced() {
    let Some(machine) = Machine::new("stale") else { return };
    let pids = |limit| Resources { pids_max: limit, ..Resources::default() };
    machine.create("x", &pids(Some(Limit::At(10))));
    machine.create("x/child", &pids(None));
    machine.create("x", &pids(Some(Limit::At(20))));
    assert_eq!(machine.value("x", "pids/pids.max", "pids.max"), "20");
    assert!(!machine.layout.open(&machine.name("x/child")).unwrap().exists());
}

/// Each of eight processes makes and removes groups of one parent, and the parent too.
#[test]
fn eight_processes_share_a_parent() {
    const PARENT: &str = "BRIG_TEST_CGROUP_PARENT";
    if let Ok(parent) = std::env::var(PARENT) {
        let layout = Layout::detect().unwrap();
        let resources = Resources {
            memory: Memory { limit: Some(Limit::At(64 * MIB)), ..Memory::default() },
            cpu: Cpu { cpuset_cpus: Some("0".to_owned()), shares: Some(100), ..Cpu::default() },
            pids_max: Some(Limit::At(10)),
            ..Resources::default()
        };
        for turn in 0..25 {
            let cgroup = layout.create(&format!("{parent}/{}-{turn}", std::process::id()), &resources).unwrap();
            assert_eq!(run(&cgroup, "exit 5"), 5);
            cgroup.remove().unwrap();
            for dir in layout.open(&parent).unwrap().directories() {
                let _ = rustix::fs::rmdir(dir);
            }
        }
        return;
    }
    let Some(machine) = Machine::new("parallel") else { return };
    let worker = || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "cgroup::tests::eight_processes_share_a_parent", "--nocapture"]);
        command.env(PARENT, &machine.parent).stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let workers: Vec<_> = (0..8).map(|_| worker()).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
}
