//! `cargo test -p runtime --release --test containers -- bench`: what create, start, end and exec of `true` take,
//! in microseconds, without image store, monitor or network. For finding slow steps with strace; no pass or fail.

use crate::stage::{Stage, piped};
use kernel::process::ProcessId;
use std::time::Instant;

const ROUNDS: usize = 200;

pub fn run() {
    let stage = Stage::new();
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
    report("overlay", &mut phases[0]);
    report("create", &mut phases[1]);
    report("start", &mut phases[2]);
    report("run and end", &mut phases[3]);
    exec();
    crate::stage::check_nothing_is_left();
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
        let exec = runtime::Exec { target, process, stdio, cgroup: None, seccomp: None, profile: None };
        runtime::exec(exec).unwrap().start().unwrap().pidfd.wait().unwrap();
        times.push(begin.elapsed().as_micros());
    }
    report("exec to its end", &mut times);
    running.pidfd.send_signal(9).unwrap();
    running.pidfd.wait().unwrap();
}

fn report(name: &str, times: &mut [u128]) {
    times.sort_unstable();
    println!("{name:16} median {:6} us, fastest {:6} us", times[times.len() / 2], times[0]);
}
