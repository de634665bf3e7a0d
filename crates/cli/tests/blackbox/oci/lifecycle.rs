//! From create to delete: states, exit codes, what is refused.

use super::bundle::{Bundle, is_alive};
use crate::harness::process::wait_until;
use serde_json::{Value, json};

#[test]
fn create_start_kill_delete() {
    let bundle = Bundle::new(&["sh", "-c", "echo started > /started; exec sleep 1000"]);
    bundle.detached("create --pid-file pid @");
    let state = bundle.state();
    assert_eq!((&state["status"], &state["id"]), (&json!("created"), &json!(bundle.id)));
    assert_eq!(state["bundle"], json!(bundle.dir));
    let pid = bundle.pid();
    assert_eq!(bundle.read("pid"), pid.to_string());
    assert_eq!(bundle.read("rootfs/started"), "", "the program waits for start");
    bundle.run("create @").expect(1).says("container with given ID already exists");
    bundle.run("start @").expect(0);
    bundle.wait_for("running");
    wait_until("the program has started", || (!bundle.read("rootfs/started").is_empty()).then_some(()));
    bundle.run("start @").expect(1).says("cannot start an already running container");
    bundle.run("delete @").expect(1).says("that is not stopped: running");
    bundle.run("kill @ KILL").expect(0);
    bundle.wait_for("stopped");
    assert!(!is_alive(pid));
    bundle.run("kill @ 0").expect(1).says("container not running");
    bundle.run("kill -a @ 0").expect(0);
    bundle.run("exec @ true").expect(255).says("cannot exec in a stopped container");
    bundle.run("delete @").expect(0);
    assert_eq!(bundle.left(), Vec::<String>::new());
    bundle.run("state @").expect(1).says("container does not exist");
    bundle.run("delete @").expect(1);
    bundle.run("delete --force @").expect(0);
}

#[test]
fn run_gives_the_programs_exit_code_and_removes_everything() {
    for (script, code) in [("exit 7", 7), ("true", 0), ("sh -c 'kill -KILL $$'; exit $?", 137)] {
        let bundle = Bundle::new(&["sh", "-c", script]);
        bundle.run("run @").expect(code);
        assert_eq!(bundle.left(), Vec::<String>::new());
    }
    let bundle = Bundle::new(&["true"]);
    bundle.run("run --keep @").expect(0);
    assert_eq!(bundle.status(), "stopped");
}

#[test]
fn a_program_that_cannot_be_executed_leaves_nothing() {
    let bundle = Bundle::new(&["no-such-program"]);
    bundle.run("run @").expect(1).says("executable file not found in $PATH");
    bundle.run("create @").expect(1).says("executable file not found in $PATH");
    assert_eq!(bundle.left(), Vec::<String>::new());
    // Its interpreter is missing, which only execve finds out.
    std::fs::write(bundle.dir.join("rootfs/script"), "#!/no-such\n").expect("write");
    std::fs::set_permissions(bundle.dir.join("rootfs/script"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("chmod");
    bundle.configure(|config| config["process"]["args"] = json!(["/script"]));
    let output = bundle.run("run @");
    assert_ne!(output.code, 0);
    assert_eq!(output.stderr, "exec /script: no such file or directory\n");
}

#[test]
fn a_created_container_ends_by_sigterm() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.detached("create @");
    bundle.run("kill @").expect(0);
    bundle.wait_for("stopped");
    bundle.run("start @").expect(1).says("cannot start a container that has stopped");
}

#[test]
fn paused_containers_stand_still() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.detached("run -d @");
    bundle.run("resume @").expect(1).says("container not paused");
    bundle.run("pause @").expect(0);
    assert_eq!(bundle.status(), "paused");
    bundle.run("exec @ true").expect(255).says("cannot exec in a paused container");
    bundle.run("resume @").expect(0);
    assert_eq!(bundle.status(), "running");
    bundle.run("pause @").expect(0);
    bundle.run("delete --force @").expect(0);
}

#[test]
fn lists_and_counters() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    assert_eq!(bundle.run("list -q").expect(0).text(), "");
    bundle.detached("run -d @");
    assert_eq!(bundle.run("list -q").expect(0).text(), bundle.id);
    let listed: Value = serde_json::from_slice(&bundle.run("list -f json").expect(0).stdout).expect("JSON");
    assert_eq!((&listed[0]["id"], &listed[0]["status"]), (&json!(bundle.id), &json!("running")));
    let table = bundle.run("list").expect(0).text();
    assert!(table.starts_with("ID ") && table.contains("running"), "{table}");
    let pids: Vec<u32> = serde_json::from_slice(&bundle.run("ps -f json @").expect(0).stdout).expect("JSON");
    assert_eq!(pids, [bundle.pid()]);
    let stats: Value = serde_json::from_slice(&bundle.run("events --stats @").expect(0).stdout).expect("JSON");
    assert_eq!((&stats["type"], &stats["id"]), (&json!("stats"), &json!(bundle.id)));
    assert!(stats["data"]["pids"]["current"].as_u64() >= Some(1), "{stats}");
}

#[test]
fn what_cannot_be_is_refused() {
    let bundle = Bundle::new(&["true"]);
    bundle.run("run a/b").expect(1).says("invalid container ID format");
    bundle.run("run ..").expect(1).says("invalid container ID format");
    bundle.run("run -b /nonexistent @").expect(1).says("no such file or directory");
    bundle.configure(|config| config["process"]["cwd"] = json!("relative"));
    bundle.run("run @").expect(1).says("Cwd must be an absolute path");
    bundle.configure(|config| {
        config["process"]["cwd"] = json!("/");
        config["process"]["terminal"] = json!(true);
    });
    bundle.run("create @").expect(1).says("cannot allocate tty if");
    assert_eq!(bundle.left(), Vec::<String>::new());
}
