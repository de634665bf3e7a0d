//! Signals and the end: forwarding, `stop`, `kill`, `restart`, `wait`, `pause`, `--stop-signal`,
//! `--stop-timeout`.

use crate::harness::Brig;
use crate::harness::sandbox::is_docker;

/// Prints `ready`, then the name of each signal that arrives; ends with 9 at TERM.
const TRAPS: &str = "trap \"echo HUP\" HUP; trap \"echo USR1\" USR1; trap \"echo INT\" INT; trap \"echo TERM; exit 9\" TERM; echo ready; while :; do sleep 0.05; done";

#[test]
fn are_forwarded_by_run() {
    let brig = Brig::new();
    let mut run = brig.command(&format!("run --rm --name box bb sh -c '{TRAPS}'")).start();
    run.wait_for("ready");
    for name in ["HUP", "USR1", "INT"] {
        run.signal(name);
        run.wait_for(name);
    }
    run.signal("TERM");
    let output = run.wait().expect(9);
    assert!(output.text().ends_with("TERM"));
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn are_not_forwarded_when_told() {
    if is_docker() {
        return; // its command ignores them altogether
    }
    let brig = Brig::new();
    let mut run = brig.command("run --sig-proxy=false --name box bb sh -c 'echo ready; sleep 1000'").start();
    run.wait_for("ready");
    run.signal("TERM");
    run.wait();
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "true");
}

#[test]
fn kill_sends_what_was_named() {
    let brig = Brig::new();
    brig.ok(&format!("run -d --name box bb sh -c '{TRAPS}'"));
    brig.wait_for_log("box", "ready");
    for (signal, shown) in [("HUP", "HUP"), ("SIGUSR1", "USR1"), ("2", "INT"), ("usr1", "USR1\nINT\nUSR1")] {
        assert_eq!(brig.ok(&format!("kill -s {signal} box")), "box");
        brig.wait_for_log("box", shown);
    }
    brig.fails("kill -s NOSUCH box", 1, "invalid signal");
    brig.ok("kill --signal=TERM box");
    assert_eq!(brig.ok("wait box"), "9");
    brig.fails("kill box", 1, "is not running");
    brig.ok("start box");
    brig.ok("kill box");
    assert_eq!(brig.ok("wait box"), "137");
    assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}"), "exited 137 false");
}

#[test]
fn stop_asks_then_kills() {
    let brig = Brig::new();
    brig.ok(&format!("run -d --name kind bb sh -c '{TRAPS}'"));
    brig.wait_for_log("kind", "ready");
    assert_eq!(brig.ok("stop kind"), "kind");
    assert_eq!(brig.inspect("kind", "{{.State.ExitCode}}"), "9");
    assert_eq!(brig.ok("stop kind"), "kind", "stopping what is stopped is no error");
    let deaf = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.1; done'";
    for (flags, stop) in [
        ("", "stop -t 1 deaf"),
        ("--stop-timeout 1", "stop deaf"),
        ("", "stop --timeout 0 deaf"),
        ("", "stop --signal KILL deaf"),
        ("--stop-signal KILL", "stop deaf"),
    ] {
        brig.ok(&format!("run -d --name deaf {flags} bb {deaf}"));
        brig.wait_for_log("deaf", "ready");
        let start = std::time::Instant::now();
        brig.ok(stop);
        assert!(start.elapsed().as_secs() < 9, "{stop} waits for its own time, not for the default");
        assert_eq!(brig.inspect("deaf", "{{.State.ExitCode}}"), "137", "{flags} {stop}");
        brig.ok("rm deaf");
    }
}

#[test]
fn the_stop_signal_can_be_chosen() {
    let brig = Brig::new();
    let script = "sh -c 'trap \"exit 8\" USR1; echo ready; while :; do sleep 0.05; done'";
    brig.ok(&format!("run -d --name box --stop-signal USR1 bb {script}"));
    brig.wait_for_log("box", "ready");
    brig.ok("stop box");
    assert_eq!(brig.inspect("box", "{{.State.ExitCode}} {{.Config.StopSignal}}"), "8 USR1");
    brig.command("import -c 'STOPSIGNAL SIGUSR1' - usr1").send(crate::harness::image::busybox_tar()).expect(0);
    brig.ok(&format!("run -d --name image usr1 {script}"));
    brig.wait_for_log("image", "ready");
    brig.ok("stop image");
    assert_eq!(brig.inspect("image", "{{.State.ExitCode}}"), "8");
    brig.fails("run --rm --stop-signal NOSUCH bb true", 125, "invalid signal");
}

#[test]
fn restart_is_stop_and_start() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sh -c 'echo run; sleep 1000'");
    let pid = brig.pid("box");
    assert_eq!(brig.ok("restart -t 0 box"), "box");
    assert_ne!(brig.pid("box"), pid);
    assert_eq!(brig.inspect("box", "{{.State.Running}} {{.RestartCount}}"), "true 0");
    brig.ok("stop -t 0 box");
    brig.ok("restart box");
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "true");
    brig.wait_for_log("box", "run\nrun\nrun");
}

#[test]
fn wait_gives_the_code() {
    let brig = Brig::new();
    brig.ok("run -d --name one bb sh -c 'sleep 0.2; exit 6'");
    brig.ok("run -d --name two bb sh -c 'exit 7'");
    assert_eq!(brig.ok("wait one two"), "6\n7");
    assert_eq!(brig.ok("wait one"), "6");
    brig.ok("run -d --rm --name three bb sh -c 'while [ ! -e /go ]; do sleep 0.05; done; exit 8'");
    let wait = brig.command("wait three").start();
    std::thread::sleep(std::time::Duration::from_millis(500)); // it must wait already: nothing shows when it does
    brig.run("exec three touch /go"); // may be killed with the rest as soon as the file is seen
    assert_eq!(wait.finish().expect(0).text(), "8");
}

#[test]
fn pause_stops_the_clock() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sh -c 'while :; do echo >>/count; sleep 0.01; done'");
    assert_eq!(brig.ok("pause box"), "box");
    assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.Paused}} {{.State.Running}}"), "paused true true");
    assert!(brig.ok("ps --format '{{.Status}}'").ends_with("(Paused)"));
    brig.fails("pause box", 1, "already paused");
    brig.fails("exec box true", 1, "is paused");
    assert_eq!(brig.ok("unpause box"), "box");
    brig.fails("unpause box", 1, "is not paused");
    brig.ok("exec box true");
    brig.ok("pause box");
    brig.ok("stop -t 1 box");
    assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.Paused}}"), "exited false");
    brig.fails("pause box", 1, "is not running");
    brig.ok("start box");
    brig.ok("pause box");
    brig.ok("rm -f box");
}

#[test]
fn times_and_codes_are_recorded() {
    let brig = Brig::new();
    brig.ok("create --name box bb sh -c 'exit 4'");
    assert_eq!(
        brig.inspect("box", "{{.State.StartedAt}} {{.State.FinishedAt}}"),
        "0001-01-01T00:00:00Z 0001-01-01T00:00:00Z"
    );
    brig.run("start -a box").expect(4);
    let times = brig.inspect("box", "{{.Created}} {{.State.StartedAt}} {{.State.FinishedAt}}");
    let times: Vec<&str> = times.split(' ').collect();
    assert!(times[0] < times[1] && times[1] < times[2] && times[2].ends_with('Z'), "{times:?}");
}

#[test]
fn signals_do_not_wait_behind_input_that_nobody_reads() {
    let brig = Brig::new();
    let mut run = brig
        .command("run -i --name box bb sh -c 'trap \"exit 9\" TERM; echo ready; while :; do sleep 0.05; done'")
        .start();
    run.wait_for("ready");
    // More than the pipe and the monitor take together, less than what also fits on the way to it.
    run.send(&vec![b'x'; 200_000]);
    std::thread::sleep(std::time::Duration::from_millis(200));
    run.signal("TERM");
    run.wait().expect(9);
}
