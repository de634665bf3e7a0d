//! Hooks: all six, in order, in the right place, with the state on standard input.

use super::bundle::Bundle;
use serde_json::{Value, json};

/// Writes its name and what it gets into a file.
fn hook(name: &str, log: &str) -> Value {
    json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("read line; echo \"{name} $line\" >> {log}")]}])
}

#[test]
fn all_six_in_their_order() {
    let bundle = Bundle::new(&["sh", "-c", "echo program >> /log"]);
    let outside = bundle.dir.join("rootfs/log");
    let outside = outside.to_str().expect("test paths are UTF-8");
    bundle.configure(|config| {
        let mut hooks = json!({});
        for name in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
            hooks[name] = hook(name, outside);
        }
        hooks["startContainer"] = hook("startContainer", "/log");
        config["hooks"] = hooks;
        config["annotations"] = json!({"a": "b"});
    });
    bundle.detached("create @");
    let lines = |bundle: &Bundle| bundle.read("rootfs/log").lines().map(str::to_owned).collect::<Vec<_>>();
    let names =
        |lines: &[String]| lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&lines(&bundle)), ["prestart", "createRuntime", "createContainer"]);
    let pid = bundle.pid();
    bundle.run("start @").expect(0);
    bundle.wait_for("stopped");
    bundle.run("delete @").expect(0);
    let lines = lines(&bundle);
    let mut all = names(&lines);
    // The program and poststart run at the same time.
    all.sort();
    let expected =
        ["createContainer", "createRuntime", "poststart", "poststop", "prestart", "program", "startContainer"];
    assert_eq!(all, expected);
    assert!(lines.last().is_some_and(|line| line.starts_with("poststop")), "{lines:?}");
    for line in lines.iter().filter(|line| !line.starts_with("program")) {
        let (name, state) = line.split_once(' ').expect("a name and a state");
        let state: Value = serde_json::from_str(state).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(state["id"], json!(bundle.id), "{line}");
        assert_eq!(state["bundle"], json!(bundle.dir), "{line}");
        assert_eq!(state["annotations"]["a"], json!("b"), "{line}");
        let expected = if name == "startContainer" { 1 } else { pid };
        assert!(name == "poststop" || state["pid"] == json!(expected), "{line}");
    }
}

#[test]
fn one_that_fails_ends_the_container() {
    for name in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        let bundle = Bundle::new(&["sleep", "1000"]);
        bundle.configure(|config| {
            config["hooks"] = json!({name: [{"path": "/bin/true"}, {"path": "/bin/sh", "args": ["sh", "-c", "echo why >&2; exit 3"]}]});
        });
        let output = bundle.run("run @");
        assert_ne!(output.code, 0, "{name}");
        assert!(output.stderr.contains(&format!("error running {name} hook #1: exit status 3")), "{}", output.stderr);
        assert!(output.stderr.contains("why"), "{}", output.stderr);
        assert_eq!(bundle.left(), Vec::<String>::new(), "{name}");
    }
}
