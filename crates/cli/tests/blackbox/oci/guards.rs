//! What a specification, a hook or a neighbour must not be able to do, beside the known breakouts (`breakouts`).

use super::bundle::{Bundle, is_alive};
use crate::harness::process::{tool, wait_until};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

#[test]
fn a_parameter_by_a_crooked_name_is_refused() {
    let bundle = Bundle::new(&["true"]);
    for name in ["net/../vm/overcommit_ratio", "net/../kernel/hostname", "fs/mqueue/../../vm/overcommit_ratio"] {
        bundle.configure(|config| config["linux"]["sysctl"] = json!({name: "51"}));
        bundle.run("run @").expect(1).says("leads elsewhere");
    }
}

#[test]
fn the_state_is_for_root_alone() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.configure(|config| config["process"]["env"] = json!(["PATH=/bin", "SECRET=1"]));
    bundle.detached("run -d @");
    let mode =
        std::fs::metadata(bundle.root().join(&bundle.id).join("state.json")).expect("state").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn hooks_make_files_with_the_callers_rights() {
    let bundle = Bundle::new(&["true"]);
    let mark = bundle.dir.join("mark");
    bundle.configure(|config| {
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("umask >> {}", mark.display())]}]);
        config["hooks"] = json!({"createRuntime": hook, "createContainer": hook, "poststop": hook});
    });
    let runtime = bundle.command("run @");
    let mut command = Command::new("sh");
    command.args(["-c", "umask 027; exec \"$@\"", "-"]).arg(runtime.get_program()).args(runtime.get_args());
    assert!(command.current_dir(&bundle.dir).status().expect("start").success());
    assert_eq!(bundle.read("mark"), "0027\n".repeat(3));
}

#[test]
fn what_hooks_have_done_is_undone_when_nothing_comes_of_the_container() {
    for (what, program) in [("a missing program", "nothing-there"), ("a failing hook", "true")] {
        let bundle = Bundle::new(&[program]);
        let log = bundle.dir.join("log");
        bundle.configure(|config| {
            let write = |name: &str| json!({"path": "/bin/sh", "args": ["sh", "-c", format!("read state; echo \"{name} $state\" >> {}", log.display())]});
            let last = if program == "true" { json!({"path": "/bin/false"}) } else { json!({"path": "/bin/true"}) };
            config["hooks"] = json!({"createRuntime": [write("made")], "createContainer": [last], "poststop": [write("undone")]});
        });
        assert_ne!(bundle.run("run @").code, 0, "{what}");
        let lines: Vec<String> = bundle.read("log").lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{what}: {lines:?}");
        let (name, state) = lines[1].split_once(' ').expect("a name and a state");
        let state: serde_json::Value = serde_json::from_str(state).expect("JSON");
        assert_eq!((name, &state["status"], state.get("pid")), ("undone", &json!("stopped"), None), "{what}");
        assert_eq!(bundle.left(), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_file_of_ours_is_not_handed_over() {
    let bundle = Bundle::new(&["sh", "-c", "echo intruder >&3"]);
    // With 3 closed, the log gets that number.
    let mut command = bundle.bare();
    command.args(["--log", "log", "run", "--preserve-fds", "1", &bundle.id]).stderr(Stdio::piped());
    let output = command.output().expect("start");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bundle.read("log").contains("unable to stat preserved-fd 0"), "{}", bundle.read("log"));
    assert!(!bundle.read("log").contains("intruder"));
}

#[test]
fn a_start_that_was_killed_counts() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.detached("create @");
    bundle.run("start @").expect(0);
    // As if it had been killed before the gate's name was gone.
    tool("mkfifo", &[bundle.root().join(&bundle.id).join("exec.fifo").to_str().expect("UTF-8")]);
    wait_until("the program runs", || (bundle.status() == "running").then_some(()));
    bundle.run("start @").expect(1).says("cannot start an already running container");
    bundle.run("delete @").expect(1).says("that is not stopped");
}

#[test]
fn an_empty_profile_is_none() {
    let bundle = Bundle::new(&["true"]);
    bundle.configure(|config| config["linux"]["seccomp"] = json!({}));
    bundle.run("run @").expect(0);
}

#[test]
fn a_removal_that_was_killed_is_finished() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.detached("run -d @");
    let half_gone = bundle.root().join("#gone");
    std::fs::create_dir(&half_gone).expect("make directory");
    std::fs::write(half_gone.join("state.json"), "{}").expect("write");
    assert!(!bundle.run("list -q").expect(0).text().contains("gone"));
    bundle.run("delete --force @").expect(0);
    assert!(!half_gone.exists());
}

#[test]
fn what_holds_for_mounts_below_holds_for_a_new_one() {
    let bundle = Bundle::new(&["sh", "-c", "echo x > /t/x && echo writable"]);
    bundle.configure(|config| {
        let mount = json!({"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["rro", "rnosuid"]});
        config["mounts"].as_array_mut().expect("mounts").push(mount);
    });
    bundle.run("run @").expect(1).says("Read-only file system");
}

#[test]
fn a_state_that_is_not_understood_is_no_reason_to_forget_a_process() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.detached("run -d @");
    let pid = bundle.pid();
    let path = bundle.root().join(&bundle.id).join("state.json");
    let mut state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("state")).expect("state is JSON");
    state.as_object_mut().expect("an object").remove("owner");
    std::fs::write(&path, state.to_string()).expect("write");
    bundle.run("delete --force @").expect(0);
    wait_until("the process has ended", || (!is_alive(pid)).then_some(()));
    assert_eq!(bundle.left(), Vec::<String>::new());
}

#[test]
fn the_end_of_one_is_not_the_end_of_another_in_its_group() {
    let (gone, other) = (Bundle::new(&["true"]), Bundle::new(&["sleep", "1000"]));
    for bundle in [&gone, &other] {
        bundle.configure(|config| config["linux"]["cgroupsPath"] = json!(format!("/{}", other.id)));
    }
    gone.detached("run -d @");
    gone.wait_for("stopped");
    other.detached("run -d @");
    gone.run("delete @").expect(1).says("still used by process");
    assert_eq!(other.status(), "running");
    other.run("delete --force @").expect(0);
    gone.run("delete @").expect(0);
}
