//! Many at once: races for a name, a crowd of runs, and loops that leave nothing.

use crate::harness::process::wait_until;
use crate::harness::sandbox::is_docker;
use crate::harness::{Brig, Process};

#[test]
fn one_wins_the_race_for_a_name() {
    let brig = Brig::new();
    for round in 0..5 {
        let line = format!("run -d --name race{round} bb sleep 1000");
        let runs: Vec<Process> = (0..8).map(|_| brig.command(&line).start()).collect();
        let mut codes: Vec<i32> = runs.into_iter().map(|run| run.finish().code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, 125, 125, 125, 125, 125, 125, 125]);
    }
    assert_eq!(brig.ok("ps -aq").lines().count(), 5, "losers leave nothing");
}

#[test]
fn thirty_two_runs_at_once() {
    let brig = Brig::new();
    let runs: Vec<(usize, Process)> = (0..32)
        .map(|number| (number, brig.command(&format!("run --rm bb sh -c 'echo {number}; exit {number}'")).start()))
        .collect();
    for (number, run) in runs {
        assert_eq!(run.finish().expect(number as i32).text(), number.to_string());
    }
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn many_hands_on_one_container() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    let execs: Vec<Process> = (0..16)
        .map(|number| brig.command(&format!("exec box sh -c 'echo {number} >>/all; exit {number}'")).start())
        .collect();
    for (number, exec) in execs.into_iter().enumerate() {
        exec.finish().expect(number as i32);
    }
    assert_eq!(brig.ok("exec box sh -c 'sort -n /all | tail -n1; wc -l </all'"), "15\n16");
    let stops: Vec<Process> = ["stop -t 0 box", "kill box", "rm -f box", "rm -f box", "inspect box", "ps -a"]
        .iter()
        .map(|line| brig.command(line).start())
        .collect();
    for stop in stops {
        let output = stop.finish();
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    }
    wait_until("the container is gone", || brig.ok("ps -aq").is_empty().then_some(()));
}

#[test]
fn starts_and_stops_race() {
    let brig = Brig::new();
    brig.ok("create --name box bb sleep 1000");
    for _ in 0..5 {
        let both: Vec<Process> = ["start box", "start box", "restart -t 0 box", "stop -t 0 box"]
            .iter()
            .map(|line| brig.command(line).start())
            .collect();
        for one in both {
            let output = one.finish();
            assert!(output.code == 0 || is_docker(), "`{}`: {}", output.line, output.stderr);
        }
    }
    brig.ok("start box");
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "true");
}

#[test]
fn loads_of_one_image_race() {
    let brig = Brig::empty();
    let tar = brig.write("bb.tar", crate::harness::image::busybox_tar());
    let imports: Vec<Process> = (0..6).map(|_| brig.command(&format!("import {tar} same")).start()).collect();
    for import in imports {
        import.finish().expect(0);
    }
    assert_eq!(brig.ok("run --rm same echo works"), "works");
}

#[test]
fn rmi_and_run_race() {
    let brig = Brig::new();
    for _ in 0..5 {
        brig.command("import - gone").send(crate::harness::image::busybox_tar()).expect(0);
        let run = brig.command("run --rm --pull never gone echo works").start();
        let rmi = brig.command("rmi gone").start();
        let run = run.finish();
        rmi.finish();
        assert!(
            run.code == 125 || (run.code == 0 && run.text() == "works"),
            "all or nothing: {} {}",
            run.code,
            run.stderr
        );
        brig.run("rmi -f gone");
    }
}

#[test]
fn a_volume_is_filled_once_though_many_come() {
    let brig = Brig::new();
    let runs: Vec<Process> =
        (0..8).map(|_| brig.command("run --rm -v shared:/etc bb cat /etc/passwd").start()).collect();
    for run in runs {
        assert!(run.finish().expect(0).text().starts_with("root:"));
    }
}
