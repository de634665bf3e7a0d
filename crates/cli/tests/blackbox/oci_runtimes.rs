//! `--runtime`: containers under another OCI runtime are containers as any other. Always with `brig runtime`, called
//! through a script as other programs are; and with those that `BRIG_TEST_RUNTIMES` names, separated by commas
//! (`crun,runc,/usr/local/bin/runsc-wrapper`), where cgroups and kernel let them work. `./dev test` names none.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::process::{kill, wait_until};
use crate::harness::sandbox::{is_docker, program};
use crate::harness::{Brig, leaks};

/// What `--runtime` is given, one after the other, each with a store of its own.
fn with_each(test: impl Fn(&Brig, &str)) {
    if is_docker() {
        return; // its runtimes are the daemon's settings
    }
    let brig = Brig::new();
    let script = brig.write("runtime", format!("#!/bin/sh\nexec {} runtime \"$@\"\n", program()));
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("our own file");
    test(&brig, &script);
    drop(brig);
    let others = std::env::var("BRIG_TEST_RUNTIMES").unwrap_or_default();
    for name in others.split(',').filter(|name| !name.is_empty()) {
        test(&Brig::new(), name);
    }
}

/// Sandboxes of which the host sees no process: no cgroup, no root, no limits.
fn keeps_apart(runtime: &str) -> bool {
    runtime.contains("runsc")
}

fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit(") ").next().expect("fields after the name");
    fields.split(' ').nth(1).and_then(|pid| pid.parse().ok()).expect("a parent")
}

#[test]
fn a_life_under_another_runtime() {
    with_each(|brig, runtime| {
        let run = format!("run --rm --runtime {runtime}");
        assert_eq!(brig.ok(&format!("{run} bb echo hello")), "hello");
        brig.run(&format!("{run} bb sh -c 'echo bad >&2; exit 7'")).expect(7).says("bad");
        brig.fails(&format!("{run} bb no-such-command"), 127, "no-such-command");
        brig.fails(&format!("{run} bb /etc/passwd"), 126, "passwd");
        assert_eq!(brig.ok("ps -aq"), "");
        let typed = brig.command(&format!("{run} -i bb cat")).send(b"typed").expect(0);
        assert_eq!(typed.text(), "typed");
        let asked = "-u alice -e A=b -w /tmp -h name --read-only --cap-drop ALL";
        let inside =
            brig.ok(&format!("{run} {asked} bb sh -c 'id -u; id -g; echo $A; pwd; hostname; touch /x || echo no'"));
        assert_eq!(inside, "1000\n1001\nb\n/tmp\nname\nno");

        let script = "trap \"echo bye; exit 3\" TERM; echo up; while :; do sleep 0.05; done";
        brig.ok(&format!("run -d --name box --runtime {runtime} bb sh -c '{script}'"));
        brig.wait_for_log("box", "up");
        assert_eq!(brig.inspect("box", "{{.HostConfig.Runtime}} {{.State.Status}}"), format!("{runtime} running"));
        brig.ok("stop box");
        assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
        assert_eq!(brig.ok("logs box"), "up\nbye");
        brig.ok("start box");
        brig.wait_for_log("box", "up\nbye\nup");
        brig.ok("kill box");
        assert_eq!(brig.ok("wait box"), "137");
        brig.ok("rm box");
    });
}

#[test]
fn files_and_volumes_under_another_runtime() {
    with_each(|brig, runtime| {
        let directory = brig.mkdir("shared");
        let mounts = format!("-v data:/data -v {directory}:/shared --tmpfs /memory");
        brig.ok(&format!(
            "run --name box --runtime {runtime} {mounts} bb sh -c 'echo 1 >/data/x; echo 2 >/shared/x; echo 3 >/memory/x; echo 4 >>/x'"
        ));
        assert_eq!(std::fs::read_to_string(format!("{directory}/x")).expect("written inside"), "2\n");
        assert_eq!(brig.ok("run --rm -v data:/data bb cat /data/x"), "1");
        if !keeps_apart(runtime) {
            assert_eq!(brig.ok("diff box").lines().find(|line| line.ends_with(" /x")), Some("A /x"));
            // The same root again.
            brig.ok("start -a box");
            brig.ok(&format!("cp box:/x {}/copied", brig.dir.display()));
            assert_eq!(std::fs::read_to_string(brig.dir.join("copied")).expect("it was copied"), "4\n4\n");
        }
        // Nothing of it is mounted for anybody else.
        brig.ok(&format!("run -d --name other --runtime {runtime} bb sleep 1000"));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("our own");
        assert!(!mounts.contains(brig.dir.to_str().expect("UTF-8")), "{mounts}");
        if !keeps_apart(runtime) {
            brig.ok("exec other sh -c 'echo inside >/file'");
            brig.ok(&format!("cp other:/file {}/file", brig.dir.display()));
            assert_eq!(std::fs::read_to_string(brig.dir.join("file")).expect("it was copied"), "inside\n");
        } else {
            brig.fails("cp other:/bin/busybox .", 1, "stop it first");
        }
        brig.ok("rm -f other");
    });
}

#[test]
fn exec_health_and_limits_under_another_runtime() {
    with_each(|brig, runtime| {
        let check = "--health-cmd 'echo fine' --health-interval 100ms";
        brig.ok(&format!("run -d --name box --runtime {runtime} {check} bb sleep 1000"));
        assert_eq!(brig.ok("exec -e A=b -w /tmp box sh -c 'echo $A; pwd'"), "b\n/tmp");
        assert_eq!(brig.ok("exec -u alice box id -u"), "1000");
        assert_eq!(brig.command("exec -i box cat").send(b"typed").expect(0).text(), "typed");
        brig.run("exec box sh -c 'echo bad >&2; exit 9'").expect(9).says("bad");
        brig.run("exec box no-such-command").expect(127);
        brig.ok("exec -d box sh -c 'echo done >/detached'");
        wait_until("the detached process", || (brig.run("exec box cat /detached").text() == "done").then_some(()));
        brig.wait_for("box", "{{.State.Health.Status}}", "healthy");
        let limited = format!("run --rm --runtime {runtime} -m 64m --pids-limit 50 bb true");
        if keeps_apart(runtime) {
            brig.fails(&limited, 125, "limits cannot be kept");
            brig.fails("pause box", 1, "cannot be paused");
        } else {
            brig.ok(&limited);
            brig.ok("pause box");
            assert_eq!(brig.inspect("box", "{{.State.Status}}"), "paused");
            brig.run("exec box true").expect(1).says("paused");
            brig.ok("unpause box");
            brig.ok("update --pids-limit 40 box");
            assert!(brig.ok("top box").contains("sleep 1000"));
            assert_ne!(brig.ok("stats --no-stream --format {{.PIDs}} box"), "0");
        }
        brig.ok("rm -f box");
    });
}

#[test]
fn networks_under_another_runtime() {
    // A host of its own, which ends with this thread.
    let host = kernel::namespace::Set::NONE.with(kernel::namespace::Kind::Network);
    kernel::namespace::unshare(host).expect("root");
    kernel::loopback::bring_up().expect("a loopback");
    with_each(|brig, runtime| {
        brig.ok("network create lab");
        let serve = "mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www";
        brig.ok(&format!("run -d --name web --runtime {runtime} --network lab -p 8080:80 bb sh -c '{serve}'"));
        let ask = |name: &str| format!("sh -c 'until timeout 2 wget -qO- http://{name}/; do sleep 0.1; done'");
        // By its name, from one under the same runtime and from one of brig's own; through the loopback; from outside.
        assert_eq!(brig.ok(&format!("run --rm --runtime {runtime} --network lab bb {}", ask("web"))), "page");
        assert_eq!(brig.ok(&format!("run --rm --network lab bb {}", ask("web"))), "page");
        assert_eq!(brig.ok(&format!("run --rm --network container:web bb {}", ask("127.0.0.1"))), "page");
        assert_eq!(brig.ok(&format!("run --rm --network host bb {}", ask("127.0.0.1:8080"))), "page");
        assert_eq!(brig.ok("port web 80"), "0.0.0.0:8080");
        if !keeps_apart(runtime) {
            brig.ok("network connect bridge web");
            brig.ok("exec web ip link show eth1");
            brig.ok("network disconnect bridge web");
            brig.ok("exec web sh -c '! ip link show eth1'");
        }
        brig.ok("restart -t 0 web");
        assert_eq!(brig.ok(&format!("run --rm --network host bb {}", ask("127.0.0.1:8080"))), "page");
        brig.ok("rm -f web");
        brig.ok("network rm lab");
    });
}

/// runsc, for one.
#[test]
fn a_runtime_that_leaves_the_loopback_down() {
    with_each(|brig, runtime| {
        let script = format!(
            "#!/bin/sh\n{runtime} \"$@\" || exit $?\nfile=\nfor word; do [ -z \"$file\" ] || {{ nsenter --net=/proc/$(cat $word)/ns/net ip link set lo down; break; }}; [ \"$word\" != --pid-file ] || file=1; done\n"
        );
        let script = brig.write("careless", script);
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("our own file");
        let up = "run --rm --network none --runtime";
        assert!(brig.ok(&format!("{up} {script} bb ip addr show lo")).contains("inet 127.0.0.1/8"));
    });
}

#[test]
fn terminals_under_another_runtime() {
    with_each(|brig, runtime| {
        let mut shell = brig.command(&format!("run --rm -it --name box --runtime {runtime} bb sh")).terminal();
        shell.wait_for("# ");
        shell.resize(50, 132);
        shell.send("test -t 0 && test -t 1 && echo a terminal; stty size\n");
        shell.wait_for("a terminal\r\n");
        shell.wait_for("50 132\r\n");
        let mut exec = brig.command("exec -it box sh").terminal();
        exec.wait_for("# ");
        exec.send("test -t 0 && echo another; exit 4\n");
        exec.wait_for("another\r\n");
        assert_eq!(exec.finish().0, 4);
        shell.send("exit 5\n");
        assert_eq!(shell.finish().0, 5);
    });
}

#[test]
fn a_killed_monitor_under_another_runtime_is_replaced() {
    with_each(|brig, runtime| {
        let script = "n=0; while [ ! -e /stop ]; do n=$((n+1)); echo $n; sleep 0.02; done; echo end";
        brig.ok(&format!("run -d --name box --runtime {runtime} bb sh -c '{script}'"));
        brig.wait_for_log("box", "\n5\n");
        kill(parent(brig.pid("box")), "KILL");
        assert_eq!(brig.inspect("box", "{{.State.Status}}"), "running", "the container goes on");
        brig.wait_for_log("box", "\n20\n");
        brig.run("exec box touch /stop");
        brig.ok("wait box");
        let log = brig.wait_for_log("box", "end");
        let numbers: Vec<u32> = log.lines().filter_map(|line| line.parse().ok()).collect();
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>(), "each line once, in order");
        brig.ok("rm box");
        // With the container: the restart policy has it started again.
        brig.ok(&format!("run -d --name box --restart always --runtime {runtime} bb sleep 1000"));
        let pid = brig.pid("box");
        kill(parent(pid), "KILL");
        kill(pid, "KILL");
        wait_until("its end", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
        brig.ok("ps -a");
        brig.wait_for("box", "{{.State.Status}}", "running");
        brig.ok("rm -f box");
        brig.ok(&format!("run -d --name box --restart on-failure:2 --runtime {runtime} bb false"));
        assert_eq!(brig.ok("wait box"), "1");
        brig.wait_for("box", "{{.RestartCount}} {{.State.Status}}", "2 exited");
        brig.ok("rm box");
    });
}

#[test]
fn a_start_under_another_runtime_killed_at_any_moment_is_in_nobodys_way() {
    with_each(|brig, runtime| {
        for round in 0..10 {
            let line = format!("run --name box --runtime {runtime} bb true");
            let run = brig.command(&line).start();
            std::thread::sleep(std::time::Duration::from_millis(round * 4));
            run.signal("KILL");
            run.wait();
            // Its monitor too, where there is one already.
            if let Ok(pid) = brig.run("inspect -f {{.State.Pid}} box").text().parse::<u32>()
                && pid != 0
                && Path::new(&format!("/proc/{pid}")).exists()
            {
                kill(parent(pid), "KILL");
            }
            brig.ok("ps -a");
            brig.ok("rm -f box");
        }
        assert_eq!(brig.ok(&format!("run --rm --name box --runtime {runtime} bb echo works")), "works");
        let left = leaks::container_ids(&brig.root());
        assert!(left.is_empty(), "half-made containers: {left:?}");
    });
}

#[test]
fn what_cannot_be_had_is_said_before_anything_is_made() {
    with_each(|brig, runtime| {
        let unknown = "unknown or invalid runtime name: no-such-runtime";
        brig.fails("run --rm --runtime no-such-runtime -v data:/data bb true", 125, unknown);
        brig.fails("create --runtime /etc/passwd bb true", 1, "unknown or invalid runtime name: /etc/passwd");
        brig.fails(
            &format!("run --rm --init --runtime {runtime} bb true"),
            125,
            "--init is not supported under another runtime",
        );
        let directory = brig.mkdir("shared");
        let shared = format!("run --rm --runtime {runtime} -v {directory}:/x:rshared bb true");
        brig.fails(&shared, 125, "not supported under another runtime");
        assert_eq!(brig.ok("ps -aq"), "");
        assert_eq!(brig.ok("volume ls -q"), "");
        // A runtime that fails, and one that is gone when it is needed.
        let broken = brig.write("broken", "#!/bin/sh\nexit 3\n");
        std::fs::set_permissions(&broken, PermissionsExt::from_mode(0o755)).expect("our own file");
        brig.ok(&format!("create --name box --runtime {broken} bb true"));
        brig.fails("start box", 1, "ended with status 3 and gave no reason");
        std::fs::remove_file(&broken).expect("it was written");
        brig.fails("start box", 1, "broken");
        brig.ok("rm box");
        assert_eq!(brig.ok("run --rm --runtime brig bb echo own"), "own");
    });
}
