//! `cargo test -p runtime --test containers -- bench`: what create, start, end and exec of `true` take, in
//! microseconds, without image store, monitor or network, and what is saved without this and that. For finding
//! slow steps; no pass or fail. The fastest tenth says more than the median on a busy machine.

use crate::stage::{Stage, piped};
use kernel::process::ProcessId;
use spec::runtime::NamespaceKind;
use std::time::Instant;

const ROUNDS: usize = 200;

pub fn run() {
    container("all", |_| {});
    container("no network", |stage| stage.linux().namespaces.retain(|n| n.kind != NamespaceKind::Network));
    container("no sysfs", |stage| stage.spec.mounts.retain(|m| m.kind != "sysfs"));
    container("no masks", |stage| {
        stage.linux().masked_paths.clear();
        stage.linux().readonly_paths.clear();
    });
    container("proc and dev only", |stage| stage.spec.mounts.truncate(2));
    exec();
    crate::stage::check_nothing_is_left();
}

fn container(name: &str, change: impl FnOnce(&mut Stage)) {
    let mut stage = Stage::new();
    change(&mut stage);
    let mut phases = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let (_output, stdio) = piped();
        let rootfs = stage.rootfs();
        let mounted = Instant::now();
        let created = stage.create_on(&rootfs, stdio, false).unwrap();
        let ready = Instant::now();
        let running = created.start().unwrap();
        let started = Instant::now();
        running.pidfd.wait().unwrap();
        drop(rootfs);
        let ended = Instant::now();
        for (phase, time) in phases.iter_mut().zip([mounted - begin, ready - mounted, started - ready, ended - started])
        {
            phase.push(time.as_micros());
        }
    }
    println!("{name}");
    for (name, times) in ["overlay", "create", "start", "run and end"].iter().zip(&mut phases) {
        report(name, times);
    }
}

fn exec() {
    let mut stage = Stage::script("sleep 1000");
    let running = stage.create(piped().1).unwrap().start().unwrap();
    let target = ProcessId::of(running.pid).unwrap();
    stage.process().args = vec!["true".into()];
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let process = stage.process();
        let stdio = piped().1;
        let exec = runtime::Exec {
            target,
            process,
            stdio,
            cgroup: None,
            seccomp: None,
            profile: None,
            linux: None,
            bundle: None,
        };
        runtime::exec(exec).unwrap().start().unwrap().pidfd.wait().unwrap();
        times.push(begin.elapsed().as_micros());
    }
    println!("exec");
    report("to its end", &mut times);
    running.pidfd.send_signal(9).unwrap();
    running.pidfd.wait().unwrap();
}

fn report(name: &str, times: &mut [u128]) {
    times.sort_unstable();
    println!("  {name:12} fastest tenth {:6}, median {:6}", times[times.len() / 10], times[times.len() / 2]);
}
