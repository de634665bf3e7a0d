//! kill -9 at any point: of the monitor, of the command, of the container. No data is lost, and
//! the next command sees the truth and repairs the rest.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use crate::harness::process::{kill, wait_until};
use crate::harness::sandbox::is_docker;
use crate::harness::words::split;
use crate::harness::{Brig, leaks};

/// The container's monitor: the parent of its first process.
fn monitor(brig: &Brig, name: &str) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", brig.pid(name))).expect("it runs");
    let fields = stat.rsplit(") ").next().expect("fields after the name");
    fields.split(' ').nth(1).and_then(|pid| pid.parse().ok()).expect("a parent")
}

fn is_alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// Kills the container's first process and its monitor, and waits until both are gone; the pid that the first had.
fn kill_with_monitor(brig: &Brig, name: &str) -> u32 {
    let (monitor, pid) = (monitor(brig, name), brig.pid(name));
    kill(monitor, "KILL");
    kill(pid, "KILL");
    wait_until("both are gone", || (!is_alive(pid) && !is_alive(monitor)).then_some(()));
    pid
}

#[test]
fn the_monitor_outlives_its_caller() {
    let brig = Brig::new();
    let mut run = brig.command("run -i --name box bb sh -c 'echo ready; sleep 0.5; echo late; sleep 1000'").start();
    run.wait_for("ready");
    run.signal("KILL");
    run.wait().expect(137);
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "true");
    brig.wait_for_log("box", "ready\nlate");
    brig.ok("exec box true");
}

#[test]
fn a_killed_monitor_loses_no_output() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    brig.ok("run -d --name box bb sh -c 'n=0; while [ ! -e /stop ]; do n=$((n+1)); echo $n; sleep 0.01; done; echo end; exit 6'");
    brig.wait_for_log("box", "\n10\n");
    kill(monitor(&brig, "box"), "KILL");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "running", "the container goes on");
    brig.wait_for_log("box", "\n40\n");
    brig.run("exec box touch /stop"); // may be killed with the rest as soon as the file is seen
    brig.ok("wait box");
    let log = brig.wait_for_log("box", "end");
    let numbers: Vec<u32> = log.lines().filter_map(|line| line.parse().ok()).collect();
    let expected: Vec<u32> = (1..=numbers.len() as u32).collect();
    assert_eq!(numbers, expected, "each line once, in order");
}

#[test]
fn a_monitor_killed_with_its_container_is_seen() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    kill_with_monitor(&brig, "box");
    assert_eq!(brig.inspect("box", "{{.State.Running}} {{.State.Pid}}"), "false 0");
    brig.ok("start box");
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "running");
    kill(monitor(&brig, "box"), "KILL");
    brig.ok("stop -t 0 box");
    brig.ok("rm box");
}

#[test]
fn an_exit_status_is_read_from_a_process_that_nobody_has_reaped() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    // The first process of this pid namespace reaps nobody.
    let idle = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sleep", "1000"];
    let mut idle = Command::new("unshare").args(idle).spawn().expect("unshare of util-linux");
    let children = format!("/proc/{0}/task/{0}/children", idle.id());
    let first = wait_until("the first process", || {
        let text = std::fs::read_to_string(&children).ok()?;
        let pid = text.trim().to_owned();
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n").then_some(pid)
    });
    let inside = |program: &OsStr, arguments: Vec<&OsStr>| {
        let command = Command::new("nsenter").args(["-t", &first, "-p", "-m"]).arg(program).args(arguments).output();
        let output = command.expect("nsenter of util-linux");
        assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    };
    let shell = |script: &str| inside("sh".as_ref(), vec!["-c".as_ref(), script.as_ref()]);
    let run = |line: &str| {
        let (bare, words) = (brig.bare(), split(line));
        inside(bare.get_program(), bare.get_args().chain(words.iter().map(AsRef::as_ref)).collect())
    };
    run("run -d --name box bb sh -c 'trap \"exit 7\" TERM; echo ready; while :; do sleep 0.05; done'");
    wait_until("the trap", || (run("logs box") == "ready").then_some(()));
    let pid = run("inspect -f {{.State.Pid}} box");
    shell(&format!("kill -9 $(cut -d ' ' -f 4 /proc/{pid}/stat); kill {pid}"));
    wait_until("the end", || shell(&format!("cat /proc/{pid}/stat")).contains(") Z ").then_some(()));
    assert_eq!(run("inspect -f '{{.State.Status}} {{.State.ExitCode}}{{.State.Error}}' box"), "exited 7");
    run("rm box");
    idle.kill().and_then(|()| idle.wait()).expect("ours to kill");
}

#[test]
fn every_command_works_without_the_monitor() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    for line in [
        "stop -t 0 box",
        "kill box",
        "rm -f box",
        "pause box",
        "restart -t 0 box",
        "exec box true",
        "top box",
        "logs box",
        "stats --no-stream box",
    ] {
        brig.ok("run -d --name box bb sleep 1000");
        kill(monitor(&brig, "box"), "KILL");
        brig.run(line).expect(0);
        brig.ok("rm -f box");
    }
}

#[test]
fn a_command_killed_at_any_moment_leaves_nothing_in_the_way() {
    let brig = Brig::new();
    for round in 0..40 {
        let run = brig.command("run --name box bb true").start();
        std::thread::sleep(Duration::from_micros(round * 400));
        run.signal("KILL");
        run.wait();
        // Whatever has come of it: it can be listed, removed, and the name is free again.
        brig.ok("ps -a");
        brig.ok("rm -f box");
        assert_eq!(brig.ok("ps -aq"), "", "round {round}");
    }
    assert_eq!(brig.ok("run --rm --name box bb echo works"), "works");
    let left = leaks::container_ids(&brig.root());
    assert!(left.is_empty(), "half-made containers: {left:?}");
}

#[test]
fn an_import_killed_at_any_moment_leaves_no_image() {
    let brig = Brig::new();
    let tar = brig.write("bb.tar", crate::harness::image::busybox_tar());
    for round in 0..20 {
        let import = brig.command(&format!("import -c 'ENV ROUND={round}' {tar} half:v{round}")).start();
        std::thread::sleep(Duration::from_micros(round * 2000));
        import.signal("KILL");
        import.wait();
    }
    for name in brig.ok("images half --format '{{.Tag}}'").lines() {
        assert_eq!(brig.ok(&format!("run --rm half:{name} echo whole")), "whole", "a listed image works");
    }
    brig.command("import - after").send(crate::harness::image::busybox_tar()).expect(0);
    assert_eq!(brig.ok("run --rm after echo works"), "works");
}

#[test]
fn rm_killed_at_any_moment_is_finished_by_the_next() {
    let brig = Brig::new();
    for round in 0..20 {
        brig.ok("run -d --name box -v /data bb sleep 1000");
        let rm = brig.command("rm -f -v box").start();
        std::thread::sleep(Duration::from_micros(round * 700));
        rm.signal("KILL");
        rm.wait();
        brig.ok("rm -f -v box");
        assert_eq!(brig.ok("ps -aq"), "");
    }
}

#[test]
fn a_reboot_is_survived() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    brig.ok("run -d --name box bb sh -c 'echo run; sleep 1000'");
    brig.wait_for_log("box", "run");
    kill_with_monitor(&brig, "box");
    // What a reboot takes: everything under the state directory.
    std::fs::remove_dir_all(brig.state()).expect("a directory");
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "false");
    assert_eq!(brig.ok("logs box"), "run");
    brig.ok("start box");
    brig.wait_for_log("box", "run\nrun");
}

#[test]
fn a_restart_policy_outlives_the_monitor() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    brig.ok("run -d --restart always --name box bb sleep 1000");
    let pid = kill_with_monitor(&brig, "box");
    brig.ok("ps -a");
    brig.wait_for("box", "{{.State.Status}}", "running");
    assert_ne!(brig.pid("box"), pid);
    brig.ok("stop -t 0 box");
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "exited");
    // And a stop by the user is remembered.
    brig.ok("ps -a");
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "exited");
}

#[test]
fn many_who_find_a_killed_monitor_get_one_new_one() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    for _ in 0..5 {
        kill(monitor(&brig, "box"), "KILL");
        let commands: Vec<_> = (0..8).map(|_| brig.command("inspect -f {{.State.Status}} box").start()).collect();
        for command in commands {
            assert_eq!(command.wait().expect(0).text().trim(), "running");
        }
    }
    brig.ok("stop -t 0 box");
}

#[test]
fn a_container_that_reads_its_own_output_keeps_its_monitor() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    brig.ok("run -d --name box bb sh -c 'while :; do echo x; done & exec cat <&1 >/dev/null'");
    let monitor = monitor(&brig, "box");
    std::thread::sleep(Duration::from_millis(500));
    assert!(is_alive(monitor));
    brig.ok("rm -f box");
}
