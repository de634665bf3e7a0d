//! Help, versions, logs and misuse, in runc's shapes.

use super::bundle::Bundle;
use serde_json::Value;

#[test]
fn help_and_version() {
    let bundle = Bundle::new(&["true"]);
    for line in ["-h", "--help", "help"] {
        let text = bundle.run(line).expect(0).text();
        assert!(text.starts_with("NAME:\n   ") && text.contains(" - Open Container Initiative runtime"), "{text}");
    }
    for command in ["create", "run", "start", "state", "kill", "delete", "exec", "ps", "list", "pause", "resume"] {
        let text = bundle.run(&format!("{command} -h")).expect(0).text();
        assert!(text.lines().nth(1).is_some_and(|line| line.contains(&format!(" {command} - "))), "{text}");
    }
    let version = bundle.run("--version").expect(0).text();
    let lines: Vec<&str> = version.lines().collect();
    assert!(lines[0].contains(" version ") && lines[1].starts_with("commit: "), "{version}");
    assert!(lines[2].starts_with("spec: 1."), "{version}");
    let features: Value = serde_json::from_slice(&bundle.run("features").expect(0).stdout).expect("JSON");
    assert_eq!(features["ociVersionMin"], "1.0.0");
}

#[test]
fn misuse_is_told_in_the_log() {
    let bundle = Bundle::new(&["true"]);
    bundle.run("nosuch").expect(1).says("No help topic for 'nosuch'");
    bundle.run("run").expect(1).says("requires exactly 1 argument(s)");
    bundle.run("kill --nosuch @").expect(1).says("flag provided but not defined: -nosuch");
    bundle.run("kill @ NOSUCH").expect(1).says("unknown signal");
    bundle.run("--log-format=xml list").expect(1).says("invalid log-format");
    let output = bundle.run("state nosuch").expect(1);
    assert!(output.stderr.starts_with("time=\"") && output.stderr.contains(" level=error msg=\""), "{}", output.stderr);
    bundle.run("--log log --log-format json state nosuch").expect(1).says("container does not exist");
    let line: Value = serde_json::from_str(bundle.read("log").trim()).expect("a line of JSON");
    assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("error"), Some("container does not exist")));
}

#[test]
fn a_specification_is_not_overwritten() {
    let bundle = Bundle::new(&["true"]);
    bundle.run("spec").expect(1).says("File config.json exists. Remove it first");
    std::fs::create_dir(bundle.dir.join("other")).expect("mkdir");
    bundle.run("spec --rootless -b other").expect(0);
    let config: Value = serde_json::from_str(&bundle.read("other/config.json")).expect("JSON");
    assert_eq!(config["process"]["terminal"], true);
    assert!(config["linux"]["uidMappings"].is_array());
}
