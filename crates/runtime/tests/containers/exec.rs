//! Further processes in a running container.

use crate::Case;
use crate::stage::{Stage, in_child, piped, read_all, read_terminal};
use kernel::mount::Propagation;
use kernel::namespace::{self, Kind, Set};
use kernel::process::ProcessId;
use runtime::{Error, Exec, ExecErrorKind, Running, Stdio};
use spec::runtime::{NamespaceKind, Process};
use std::os::unix::fs::symlink;
use std::path::Path;

pub const CASES: &[Case] = &[
    ("exec joins all namespaces", joins),
    ("exec has its own user, rights and directory", own_identity),
    ("exec into a user namespace", user_namespace),
    ("exec gets a terminal", terminal),
    ("exec errors", errors),
    ("exec into an ended container", ended),
    ("exec enters no directory outside", outside_directory),
    ("kill reaches the process", kill),
    ("the caller's mount namespace", callers_mounts),
];

/// A container that waits.
fn waiting(stage: &Stage) -> Running {
    let (_output, stdio) = piped();
    stage.create(stdio).unwrap().start().unwrap()
}

fn end(running: &Running) {
    running.pidfd.send_signal(9).unwrap();
    running.pidfd.wait().unwrap();
}

fn process(stage: &mut Stage, script: &str) -> Process {
    let args = ["sh", "-c", script].map(String::from).to_vec();
    Process { args, ..stage.process().clone() }
}

fn exec(running: &Running, process: &Process, stdio: Stdio) -> Result<Running, Error> {
    let target = ProcessId::of(running.pid).unwrap();
    runtime::exec(request(target, process, stdio))?.start()
}

fn request(target: ProcessId, process: &Process, stdio: Stdio) -> Exec<'_> {
    Exec { target, process, stdio, cgroup: None, seccomp: None, profile: None, linux: None, bundle: None }
}

fn output(running: &Running, process: &Process) -> String {
    let (output, stdio) = piped();
    let child = exec(running, process, stdio).unwrap();
    let text = read_all(output);
    assert_eq!(child.pidfd.wait().unwrap().code(), 0, "{text}");
    text
}

fn joins() {
    let mut stage = Stage::script("sleep 100");
    let running = waiting(&stage);
    let names = "mnt pid net ipc uts cgroup user pid_for_children";
    let script = format!("for n in {names}; do readlink /proc/self/ns/$n; done; ls /proc/self/fd | tr '\\n' ' '");
    let text = output(&running, &process(&mut stage, &script));
    for (name, line) in names.split(' ').zip(text.lines()) {
        let link = std::fs::read_link(format!("/proc/{}/ns/{name}", running.pid)).unwrap();
        assert_eq!(link.to_str(), Some(line), "{name}");
    }
    assert!(text.ends_with("0 1 2 3 "), "{text}");
    assert_eq!(
        std::fs::read_link("/proc/self/ns/pid_for_children").unwrap(),
        std::fs::read_link("/proc/self/ns/pid").unwrap()
    );
    end(&running);
}

fn own_identity() {
    let mut stage = Stage::script("sleep 100");
    let running = waiting(&stage);
    let mut process = process(&mut stage, "id -u; pwd; echo $WORD; grep -E '^(CapBnd|NoNewPrivs):' /proc/self/status");
    process.user.uid = 33;
    process.cwd = "/tmp".into();
    process.env.push("WORD=hi".into());
    process.no_new_privileges = true;
    let text = output(&running, &process);
    assert_eq!(text, "33\n/tmp\nhi\nCapBnd:\t00000000080004e1\nNoNewPrivs:\t1\n");
    end(&running);
}

fn user_namespace() {
    let mut stage = Stage::script("sleep 100");
    stage.map_users();
    let running = waiting(&stage);
    let process = process(&mut stage, "id -u; cat /proc/self/uid_map | tr -s ' '");
    assert_eq!(output(&running, &process), "0\n 0 100000 65536\n");
    end(&running);
}

fn terminal() {
    let mut stage = Stage::script("sleep 100");
    let running = waiting(&stage);
    let process = process(&mut stage, "tty; stty size; echo ok > /dev/tty");
    let mut child = exec(&running, &process, Stdio::Terminal { width: 80, height: 24 }).unwrap();
    let text = read_terminal(child.console.take().unwrap());
    assert_eq!(text, "/dev/pts/0\n24 80\nok\n");
    child.pidfd.wait().unwrap();
    end(&running);
}

fn errors() {
    let mut stage = Stage::script("sleep 100");
    let running = waiting(&stage);
    let mut check = |args: &[&str], cwd: &str, kind: ExecErrorKind, words: &str| {
        let mut process = process(&mut stage, "");
        process.args = args.iter().map(|a| (*a).to_owned()).collect();
        process.cwd = cwd.into();
        match exec(&running, &process, piped().1) {
            Err(Error::Exec(error)) => {
                assert_eq!(error.kind, kind, "{error}");
                assert!(error.to_string().contains(words), "{error}");
            }
            other => panic!("{other:?}"),
        }
    };
    check(&["foo"], "/", ExecErrorKind::NotFound, "executable file not found in $PATH");
    check(&["/etc/plain"], "/", ExecErrorKind::Permission, "permission denied");
    check(&["true"], "/missing", ExecErrorKind::NotFound, "working directory \"/missing\" does not exist");
    end(&running);
}

fn ended() {
    let mut stage = Stage::script("sleep 100");
    let running = waiting(&stage);
    let target = ProcessId::of(running.pid).unwrap();
    end(&running);
    let process = process(&mut stage, "true");
    let exec = Exec {
        target,
        process: &process,
        stdio: piped().1,
        cgroup: None,
        seccomp: None,
        profile: None,
        linux: None,
        bundle: None,
    };
    assert!(runtime::exec(exec).is_err());
}

/// CVE-2024-21626: a link to a descriptor of the runtime's as working directory.
fn outside_directory() {
    let mut stage = Stage::script("sleep 100");
    for fd in 3..12 {
        symlink(format!("/proc/self/fd/{fd}"), stage.upper(&format!("link{fd}"))).unwrap();
    }
    let running = waiting(&stage);
    for fd in 3..12 {
        let mut process = process(&mut stage, "pwd; ls");
        process.cwd = format!("/link{fd}");
        assert!(exec(&running, &process, piped().1).is_err(), "{fd}");
        process.cwd = format!("/proc/self/fd/{fd}");
        assert!(exec(&running, &process, piped().1).is_err(), "{fd}");
    }
    end(&running);
}

fn kill() {
    let stage = Stage::script("trap 'exit 5' TERM; while true; do sleep 0.02; done");
    let running = waiting(&stage);
    let target = ProcessId::of(running.pid).unwrap();
    // Until the trap is set pid 1 is not hit by the signal, so try until it is.
    while !running.pidfd.has_ended().unwrap() {
        runtime::kill(target, kernel::signal::Signal::TERM).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(running.pidfd.wait().unwrap().code(), 5);
}

fn callers_mounts() {
    // In one of our own, so that nothing shows on the machine.
    in_child(|| {
        namespace::unshare(Set::NONE.with(Kind::Mount)).unwrap();
        kernel::mount::set_propagation(Path::new("/"), Propagation::Private, true).unwrap();
        let own = std::fs::read_link("/proc/self/ns/mnt").unwrap();
        let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap().matches("brig-runtime-").count();
        let before = mounts();
        let mut stage = Stage::script("exec sleep 1000");
        let linux = stage.linux();
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Mount);
        linux.masked_paths.clear();
        linux.readonly_paths.clear();
        let running = waiting(&stage);
        assert_eq!(std::fs::read_link(format!("/proc/{}/ns/mnt", running.pid)).unwrap(), own);
        assert!(mounts() > before, "the container's root shows here");
        let target = ProcessId::of(running.pid).unwrap();
        let inside = process(&mut stage, "cat /etc/plain; ls /; ls /.. | grep -c brig; pwd");
        let (output, stdio) = piped();
        let exec = Exec { linux: stage.spec.linux.as_ref(), ..request(target, &inside, stdio) };
        let child = runtime::exec(exec).unwrap().start().unwrap();
        let text = read_all(output);
        child.pidfd.wait().unwrap();
        assert!(text.starts_with("text") && text.ends_with("\n0\n/\n"), "{text}");
        assert!(!text.contains("usr\n"), "the machine's root: {text}");
        end(&running);
        // Of one that does not start nothing is left.
        let with = mounts();
        stage.process().args = vec!["no-such".into()];
        stage.error();
        assert_eq!(mounts(), with);
    });
}
