//! What is left when somebody is killed at a bad moment, and that `delete --force` clears it away.

use super::bundle::{Bundle, is_alive};
use crate::harness::process::{Process, kill, wait_until};
use serde_json::json;

#[test]
fn a_creators_end_does_not_end_a_created_container() {
    let bundle = Bundle::new(&["sh", "-c", "echo started > /started; exec sleep 1000"]);
    bundle.detached("create @");
    // Nobody is attached to the process: it starts all the same, from anybody.
    assert_eq!(bundle.status(), "created");
    bundle.run("start @").expect(0);
    wait_until("the program has started", || (!bundle.read("rootfs/started").is_empty()).then_some(()));
    kill(bundle.pid(), "KILL");
    bundle.wait_for("stopped");
    bundle.run("delete @").expect(0);
    assert_eq!(bundle.left(), Vec::<String>::new());
}

#[test]
fn killed_between_create_and_start() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.detached("create @");
    let pid = bundle.pid();
    kill(pid, "KILL");
    bundle.wait_for("stopped");
    bundle.run("start @").expect(1).says("cannot start a container that has stopped");
    bundle.run("delete @").expect(0);
    assert_eq!(bundle.left(), Vec::<String>::new());
}

#[test]
fn a_creator_that_is_killed_over_a_hook_leaves_what_delete_clears() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let mark = bundle.dir.join("mark");
    bundle.configure(|config| {
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", mark.display());
        config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
    });
    let process = Process::start(bundle.command("create @"), "create");
    wait_until("the hook runs", || mark.exists().then_some(()));
    let hook: u32 = bundle.read("mark").trim().parse().expect("a pid");
    assert_eq!(bundle.status(), "creating");
    process.signal("KILL");
    assert_eq!(process.wait().code, 137);
    kill(hook, "KILL");
    bundle.run("create @").expect(1).says("container with given ID already exists");
    assert_eq!(bundle.status(), "stopped");
    bundle.run("delete --force @").expect(0);
    assert_eq!(bundle.left(), Vec::<String>::new());
}

#[test]
fn a_killed_run_leaves_the_container_to_others() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let process = Process::start(bundle.command("run @"), "run");
    wait_until("it runs", || (bundle.run("state @").text().contains("running")).then_some(()));
    let pid = bundle.pid();
    process.signal("KILL");
    assert_eq!(bundle.status(), "running");
    bundle.run("delete --force @").expect(0);
    assert!(!is_alive(pid));
    drop(process);
}

#[test]
fn half_a_state_is_cleared_away() {
    let bundle = Bundle::new(&["true"]);
    let directory = bundle.root().join(&bundle.id);
    for content in [None, Some(""), Some("{\"id\":")] {
        std::fs::create_dir_all(&directory).expect("mkdir");
        if let Some(content) = content {
            std::fs::write(directory.join("state.json"), content).expect("write");
        }
        bundle.run("run @").expect(1).says("container with given ID already exists");
        bundle.run("delete --force @").expect(0);
        assert_eq!(bundle.left(), Vec::<String>::new(), "{content:?}");
    }
    bundle.run("run @").expect(0);
}
