//! Restart policies and health checks: what the monitor does on its own.

use crate::harness::Brig;
use crate::harness::process::wait_until;

#[test]
fn on_failure_counts() {
    let brig = Brig::new();
    brig.ok("run -d --name box --restart on-failure:2 bb sh -c 'echo run; exit 3'");
    brig.wait_for("box", "{{.State.Status}} {{.RestartCount}}", "exited 2");
    assert_eq!(brig.inspect("box", "{{.State.ExitCode}} {{.State.Restarting}}"), "3 false");
    assert_eq!(brig.ok("logs box"), "run\nrun\nrun");
    brig.ok("run -d --name fine --restart on-failure bb true");
    brig.ok("wait fine");
    brig.wait_for("fine", "{{.State.Status}} {{.RestartCount}}", "exited 0");
}

#[test]
fn always_means_after_kill_but_not_after_stop() {
    let brig = Brig::new();
    brig.ok("run -d --name box --restart always bb sh -c 'echo run; exec sleep 1000'");
    brig.wait_for_log("box", "run");
    crate::harness::process::kill(brig.pid("box"), "KILL");
    brig.wait_for_log("box", "run\nrun");
    brig.wait_for("box", "{{.State.Running}} {{.RestartCount}}", "true 1");
    brig.ok("stop -t 0 box");
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "exited");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "exited");
    brig.ok("start box");
    brig.ok("rm -f box");
}

#[test]
fn waiting_to_restart_is_a_state() {
    let brig = Brig::new();
    brig.ok("run -d --name box --restart unless-stopped bb false");
    // The pause grows with each failure: after some it is long enough to be seen.
    wait_until("restarting", || (brig.inspect("box", "{{.State.Status}}") == "restarting").then_some(()));
    wait_until("a restart", || (brig.inspect("box", "{{.RestartCount}}") != "0").then_some(()));
    brig.ok("stop box");
    assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.Restarting}}"), "exited false");
    brig.ok("start box");
    brig.ok("rm -f box");
}

#[test]
fn policies_are_checked() {
    let brig = Brig::new();
    brig.ok("create --name box --restart no bb true");
    assert_eq!(brig.inspect("box", "{{.HostConfig.RestartPolicy.Name}}"), "no");
    for (flags, words) in [
        ("--restart nosuch", "policy"),
        ("--restart always:3", "maximum retry count can only be used with 'on-failure'"),
        ("--restart on-failure:x", "maximum retry count must be an integer"),
        ("--restart on-failure:-1", "maximum retry count"),
        ("--rm --restart always", "conflicting options: cannot specify both --restart and --rm"),
        ("--rm -d --restart on-failure", "conflicting options: cannot specify both --restart and --rm"),
    ] {
        brig.fails(&format!("run {flags} bb true"), 125, words);
    }
}

const QUICK: &str = "--health-interval 100ms --health-retries 2 --health-timeout 10s";

#[test]
fn health_is_watched() {
    let brig = Brig::new();
    brig.ok(&format!(
        "run -d --name box {QUICK} --health-cmd 'test -e /well && echo fine || {{ echo ill; exit 1; }}' bb sleep 1000"
    ));
    brig.wait_for("box", "{{.State.Health.Status}}", "unhealthy");
    assert!(brig.ok("ps --format '{{.Status}}'").ends_with("(unhealthy)"));
    brig.ok("exec box touch /well");
    brig.wait_for("box", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", "healthy 0");
    assert!(brig.ok("ps --format '{{.Status}}'").ends_with("(healthy)"));
    assert_eq!(brig.ok("ps -q -f health=healthy").lines().count(), 1);
    assert_eq!(brig.ok("ps -q -f health=unhealthy"), "");
    let log = brig.inspect("box", "{{json .State.Health.Log}}");
    let log: serde_json::Value = serde_json::from_str(&log).expect("JSON");
    let last = log.as_array().and_then(|log| log.last()).expect("an entry");
    assert_eq!((last["ExitCode"].as_i64(), last["Output"].as_str()), (Some(0), Some("fine\n")));
    assert_eq!(
        brig.inspect("box", "{{json .Config.Healthcheck.Test}}"),
        r#"["CMD-SHELL","test -e /well && echo fine || { echo ill; exit 1; }"]"#
    );
}

#[test]
fn health_starts_uncertain_and_hangs_are_failures() {
    let brig = Brig::new();
    brig.ok("run -d --name slow --health-interval 100ms --health-start-period 1h --health-cmd false bb sleep 1000");
    wait_until("a failed check", || (brig.inspect("slow", "{{len .State.Health.Log}}") != "0").then_some(()));
    assert_eq!(brig.inspect("slow", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}"), "starting 0");
    brig.ok("run -d --name hangs --health-interval 100ms --health-timeout 200ms --health-retries 1 --health-cmd 'sleep 1000' bb sleep 1000");
    brig.wait_for("hangs", "{{.State.Health.Status}}", "unhealthy");
    brig.ok("run -d --name plain bb sleep 1000");
    assert_eq!(brig.inspect("plain", "{{json .State.Health}}"), "null");
}

#[test]
fn health_of_the_image_and_without() {
    let brig = Brig::new();
    brig.command("import -c 'HEALTHCHECK --interval=100ms CMD test -e /etc/passwd' - well")
        .send(crate::harness::image::busybox_tar())
        .expect(0);
    brig.ok("run -d --name box well sleep 1000");
    brig.wait_for("box", "{{.State.Health.Status}}", "healthy");
    brig.ok("run -d --name without --no-healthcheck well sleep 1000");
    assert_eq!(brig.inspect("without", "{{json .State.Health}}"), "null");
    brig.fails("run --rm --no-healthcheck --health-cmd true bb true", 125, "conflicts");
    brig.fails("run --rm --health-cmd true --health-interval 1us bb true", 125, "1ms");
    brig.fails("run --rm --health-cmd true --health-retries=-1 bb true", 125, "retries");
    brig.fails("run --rm --health-interval nonsense bb true", 125, "invalid");
}
