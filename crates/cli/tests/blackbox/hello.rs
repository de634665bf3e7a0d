//! The embedded image: brig itself in a container, saying what it sees. And what is said about
//! the commands: `--help`, `--version`.

use crate::harness::Brig;
use crate::harness::sandbox::is_docker;

#[test]
fn hello_sees_its_own_cell() {
    if is_docker() {
        return;
    }
    let brig = Brig::empty();
    let text = brig.ok("run --rm --memory 100m --cpus 0.2 -h cell hello");
    let low = text.to_lowercase();
    for word in ["pid", "hostname", "cell", "namespaces", "capabilities", "seccomp", "memory", "cpu", "mounts"] {
        assert!(low.contains(word), "{word} in {text}");
    }
    assert!(text.contains("100") && text.contains("0.2"), "its limits: {text}");
    assert_eq!(brig.ok("ps -aq"), "");
    brig.ok("run -d --name box hello");
    brig.ok("wait box");
    assert_eq!(brig.inspect("box", "{{.State.ExitCode}}"), "0");
}

const COMMANDS: &[&str] = &[
    "attach",
    "commit",
    "container",
    "cp",
    "create",
    "diff",
    "exec",
    "export",
    "image",
    "images",
    "import",
    "inspect",
    "kill",
    "load",
    "logs",
    "pause",
    "ps",
    "pull",
    "rename",
    "restart",
    "rm",
    "rmi",
    "run",
    "save",
    "start",
    "stats",
    "stop",
    "tag",
    "top",
    "unpause",
    "update",
    "version",
    "volume",
    "wait",
];

#[test]
fn help_names_every_command_and_each_has_an_example() {
    let brig = Brig::empty();
    let all = brig.ok("--help");
    for command in COMMANDS {
        assert!(all.lines().any(|line| line.trim_start().starts_with(command)), "{command} in {all}");
        let help = brig.ok(&format!("{command} --help"));
        assert!(help.contains("Usage:"), "{help}");
        if !is_docker() && !["container", "image", "volume"].contains(command) {
            assert!(help.to_lowercase().contains("example") && help.contains("brig "), "{help}");
        }
    }
    for command in ["create", "inspect", "ls", "prune", "rm"] {
        let help = brig.ok(&format!("volume {command} --help"));
        assert!(help.contains("Usage:") && (is_docker() || help.contains("brig volume")), "{help}");
    }
    let run = brig.ok("run --help");
    for flag in [
        "--cap-add",
        "--cidfile",
        "--cpus",
        "--detach-keys",
        "--health-cmd",
        "--memory",
        "--mount",
        "--oom-score-adj",
        "--tmpfs",
        "--ulimit",
    ] {
        assert!(run.contains(flag), "{flag}");
    }
}

#[test]
fn help_goes_to_a_closed_pipe_without_fuss() {
    let brig = Brig::empty();
    let script = format!("{} run --help | head -n1", crate::harness::sandbox::program());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(&brig.dir);
    let output = crate::harness::Process::start(command, &script).finish();
    assert!(!output.stderr.contains("panicked") && !output.text().is_empty(), "{}", output.stderr);
}

#[test]
fn version() {
    let brig = Brig::empty();
    assert!(brig.ok("--version").to_lowercase().contains("version"));
    brig.ok("version");
}
