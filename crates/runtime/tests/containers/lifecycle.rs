//! Namespaces, start and end, errors, terminal, reaper.

use crate::Case;
use crate::stage::{Stage, piped, read_all, read_terminal};
use kernel::namespace::Kind;
use runtime::{Error, ExecErrorKind, Stdio};
use spec::runtime::{Namespace, NamespaceKind};
use std::os::unix::fs::PermissionsExt;

pub const CASES: &[Case] = &[
    ("exit codes arrive", exit_codes),
    ("created waits for start", created_waits),
    ("a dropped container ends", dropped_ends),
    ("namespaces are new", new_namespaces),
    ("namespaces are joined", joined_namespaces),
    ("a user namespace is mapped", user_namespace),
    ("a user namespace is joined", joined_user_namespace),
    ("host name and loopback", host_name_and_loopback),
    ("sysctls of the container", sysctls),
    ("programs that cannot be executed", exec_errors),
    ("specifications that make no sense", invalid_specifications),
    ("a terminal of its own", terminal),
    ("the reaper ends as its program", reaper_codes),
    ("the reaper passes signals on and reaps", reaper_signals),
    ("the reaper hides the host's words", reaper_hides),
    ("the reaper gives the terminal to the program", reaper_terminal),
];

fn exit_codes() {
    assert_eq!(Stage::script("exit 0").run().1, 0);
    assert_eq!(Stage::script("exit 42").run().1, 42);
    assert_eq!(Stage::script("kill -9 $$; exit 3").run().1, 3, "pid 1 cannot kill itself");
    assert_eq!(Stage::script("sh -c 'kill -15 $$'; exit $?").run().1, 143);
}

fn created_waits() {
    let stage = Stage::script("echo started");
    let (output, stdio) = piped();
    let created = stage.create(stdio).unwrap();
    assert!(!created.pidfd.has_ended().unwrap());
    assert!(kernel::process::ProcessId::of(created.pid).unwrap().is_alive());
    let running = created.start().unwrap();
    assert_eq!(read_all(output), "started\n");
    running.pidfd.wait().unwrap();
}

fn dropped_ends() {
    let (_output, stdio) = piped();
    let created = Stage::script("sleep 100").create(stdio).unwrap();
    let pid = created.pid;
    drop(created);
    let exit = kernel::pidfd::PidFd::open(pid).unwrap().wait().unwrap();
    assert_eq!(exit.code(), 125);
    let (_output, stdio) = piped();
    Stage::script("sleep 100").create(stdio).unwrap().abandon();
}

fn new_namespaces() {
    let kinds = [Kind::Mount, Kind::Pid, Kind::Network, Kind::Ipc, Kind::Uts, Kind::Cgroup];
    let names: Vec<&str> = kinds.iter().map(|kind| kind.file_name()).collect();
    let script = format!("for n in {} user; do readlink /proc/self/ns/$n; done; echo $$", names.join(" "));
    let output = Stage::script(&script).output();
    let lines: Vec<&str> = output.lines().collect();
    for (name, line) in names.iter().zip(&lines) {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(own.to_str(), Some(*line), "{name}");
    }
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    assert_eq!(lines[6], own.to_str().unwrap());
    assert_eq!(lines[7], "1");
}

fn joined_namespaces() {
    let first = Stage::script("sleep 100");
    let (_output, stdio) = piped();
    let running = first.create(stdio).unwrap().start().unwrap();
    let script = "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid; hostname; ps | grep -c ' [s]leep 100'";
    let mut stage = Stage::script(script);
    stage.spec.hostname.clear();
    for namespace in &mut stage.linux().namespaces {
        let file = match namespace.kind {
            NamespaceKind::Network => "net",
            NamespaceKind::Ipc => "ipc",
            NamespaceKind::Pid => "pid",
            NamespaceKind::Uts => "uts",
            _ => continue,
        };
        namespace.path = format!("/proc/{}/ns/{file}", running.pid);
    }
    let link = |name: &str| std::fs::read_link(format!("/proc/{}/ns/{name}", running.pid)).unwrap();
    let wanted =
        format!("{}\n{}\n{}\nbrig-test\n1\n", link("net").display(), link("ipc").display(), link("pid").display());
    assert_eq!(stage.output(), wanted);
    // We ourselves are still where we were, and so are our next children.
    assert_eq!(
        std::fs::read_link("/proc/self/ns/pid_for_children").unwrap(),
        std::fs::read_link("/proc/self/ns/pid").unwrap()
    );
    running.pidfd.send_signal(9).unwrap();
    running.pidfd.wait().unwrap();
}

fn user_namespace() {
    let mut stage = Stage::script(
        "cat /proc/self/uid_map; id -u; stat -c '%t:%T' /dev/null; echo x > /dev/null; touch /tmp/mine; cat /proc/sys/net/ipv4/ip_forward",
    );
    stage.map_users();
    stage.linux().sysctl.insert("net.ipv4.ip_forward".into(), "1".into());
    stage.process().oom_score_adj = Some(500);
    let output = stage.output();
    let fields: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(fields, ["0", "100000", "65536", "0", "1:3", "1"]);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(stage.upper("tmp/mine")).unwrap());
    assert_eq!(owner, 100_000);
}

fn joined_user_namespace() {
    let mut first = Stage::script("sleep 100");
    first.map_users();
    let (_output, stdio) = piped();
    let running = first.create(stdio).unwrap().start().unwrap();
    let mut stage = Stage::script("readlink /proc/self/ns/user; id -u; cat /proc/self/uid_map");
    stage.map_users();
    let path = format!("/proc/{}/ns/user", running.pid);
    let user = std::fs::read_link(&path).unwrap();
    let linux = stage.linux();
    linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::User);
    linux.namespaces.push(Namespace { kind: NamespaceKind::User, path });
    linux.uid_mappings.clear();
    linux.gid_mappings.clear();
    let output = stage.output();
    let fields: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(fields, [user.to_str().unwrap(), "0", "0", "100000", "65536"]);
    running.pidfd.send_signal(9).unwrap();
    running.pidfd.wait().unwrap();
}

fn host_name_and_loopback() {
    let mut stage =
        Stage::script("hostname; cat /proc/sys/kernel/domainname; ip addr show lo | grep -c 'inet 127.0.0.1/8'");
    stage.spec.domainname = "example".into();
    stage.check_output("brig-test\nexample\n1");
}

fn sysctls() {
    let mut stage = Stage::script(
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced; echo 1 > /proc/sys/kernel/shm_rmid_forced || echo denied",
    );
    stage.linux().sysctl.insert("net.ipv4.ip_unprivileged_port_start".into(), "7".into());
    stage.linux().sysctl.insert("kernel.shm_rmid_forced".into(), "1".into());
    let output = stage.output();
    assert!(output.starts_with("7\n1\n") && output.contains("Read-only"), "{output}");
    let mut refused = Stage::new();
    refused.linux().sysctl.insert("kernel.core_pattern".into(), "|/bin/sh".into());
    assert!(refused.error().to_string().contains("not in a namespace"));
    let mut host = Stage::new();
    host.linux().sysctl.insert("net.ipv4.ip_forward".into(), "1".into());
    host.linux().namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    assert!(host.error().to_string().contains("net namespace"));
}

fn check_exec_error(program: &str, kind: ExecErrorKind, words: &str, prepare: impl FnOnce(&Stage)) {
    let mut stage = Stage::new();
    stage.process().args = vec![program.into()];
    prepare(&stage);
    match stage.error() {
        Error::Exec(error) => {
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        other => panic!("{program}: {other}"),
    }
}

fn exec_errors() {
    use ExecErrorKind::{NotFound, Permission};
    let file = |text: &'static [u8], mode: u32| {
        move |stage: &Stage| {
            std::fs::write(stage.upper("file"), text).unwrap();
            std::fs::set_permissions(stage.upper("file"), PermissionsExt::from_mode(mode)).unwrap();
        }
    };
    check_exec_error("foo", NotFound, "exec: \"foo\": executable file not found in $PATH", |_| {});
    check_exec_error("/foo", NotFound, "exec: \"/foo\": no such file or directory", |_| {});
    check_exec_error("/etc", Permission, "is a directory", |_| {});
    check_exec_error("/etc/plain", Permission, "permission denied (the file is not executable", |_| {});
    check_exec_error("/file", NotFound, "Windows line ends", file(b"#!/bin/sh\r\necho\r\n", 0o755));
    check_exec_error("/file", NotFound, "interpreter /bin/bash does not exist", file(b"#!/bin/bash\n", 0o755));
    check_exec_error("/file", Permission, "exec format error", file(b"nonsense", 0o755));
    check_exec_error("/file", Permission, "the file is empty", file(b"", 0o755));
    let dynamic = |stage: &Stage| assert!(std::fs::copy("/bin/ls", stage.upper("file")).unwrap() > 0);
    check_exec_error("/file", NotFound, "does not exist in the container: it was built for images with glibc", dynamic);
    let mut stage = Stage::new();
    stage.process().cwd = "/etc/plain".into();
    assert!(stage.error().to_string().contains("working directory \"/etc/plain\""), "{}", stage.error());
}

fn invalid_specifications() {
    let check = |change: &dyn Fn(&mut Stage), words: &str| {
        let mut stage = Stage::new();
        change(&mut stage);
        let error = stage.error();
        assert!(error.to_string().contains(words), "{error}");
    };
    check(&|stage| stage.linux().namespaces.clear(), "uts namespace");
    check(&|stage| stage.linux().namespaces.retain(|n| n.kind != NamespaceKind::Mount), "private MNT namespace");
    check(&|stage| stage.spec.process = None, "no process");
    check(
        &|stage| stage.mount("bind", "/nonexistent", "/x", &["rbind"]),
        "bind source path does not exist: /nonexistent",
    );
    check(&|stage| stage.mount("nosuchfs", "x", "/x", &[]), "nosuchfs");
    check(&|stage| stage.mount("tmpfs", "x", "/x", &["size=nonsense"]), "/x");
    check(&|stage| stage.mount("bind", "/etc/hostname", "/etc", &["bind"]), "a directory cannot be mounted on a file");
    check(&|stage| stage.linux().namespaces.retain(|n| n.kind != NamespaceKind::Uts), "uts namespace");
}

fn terminal() {
    let script = "tty; stat -c '%u %g %a' $(tty); stty size; echo to-console > /dev/console; readlink /proc/self/fd/2; [ -t 0 ] && [ -t 1 ]; cat /dev/tty & kill $!";
    let stage = Stage::script(script);
    let created = stage.create(Stdio::Terminal { width: 91, height: 27 }).unwrap();
    let mut running = created.start().unwrap();
    let text = read_terminal(running.console.take().unwrap());
    assert_eq!(text, "/dev/pts/0\n0 5 620\n27 91\nto-console\n/dev/pts/0\n");
    running.pidfd.wait().unwrap();
}

fn reaper_codes() {
    assert_eq!(Stage::script("exit 7").run_with(true).1, 7);
    let (output, code) = Stage::script("echo $$; kill -9 $$").run_with(true);
    assert_eq!((output.as_str(), code), ("2\n", 137));
    let mut stage = Stage::new();
    stage.process().args = vec!["foo".into()];
    let (_output, stdio) = piped();
    assert!(matches!(stage.create_with(stdio, true), Err(Error::Exec(_))));
}

fn reaper_signals() {
    // The orphan's parent ends at once; pid 1 takes it in and reaps it.
    let script = "trap 'sleep 0.2; ps; exit 9' TERM; sh -c 'true & sh -c \"sleep 0.05 & echo ready\"'; while true; do sleep 0.05; done";
    let stage = Stage::script(script);
    let (mut output, stdio) = piped();
    let running = stage.create_with(stdio, true).unwrap().start().unwrap();
    let mut first = [0; 6];
    std::io::Read::read_exact(&mut output, &mut first).unwrap();
    running.pidfd.send_signal(15).unwrap();
    let text = read_all(output);
    assert!(!text.contains('Z') && text.contains("sh -c"), "{text}");
    assert_eq!(running.pidfd.wait().unwrap().code(), 9);
}

fn reaper_hides() {
    let mut stage = Stage::script(
        "tr '\\0' ' ' < /proc/1/cmdline; echo; cat /proc/1/comm; tr -d '\\0' < /proc/1/environ | wc -c; ls -l /proc/1/fd; grep NoNewPrivs /proc/1/status",
    );
    stage.process().no_new_privileges = true;
    let (output, code) = stage.run_with(true);
    assert_eq!(code, 0, "{output}");
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    assert_eq!(lines[..2], ["init", "init"], "command line and name: {output}");
    assert!(output.contains("can't open /proc/1/environ: Permission denied"), "{output}");
    // What it holds open can be counted, not reached: the links of its descriptors are closed to the container.
    let links = lines.iter().filter(|line| line.contains(" -> ")).count();
    assert_eq!((links, lines.last()), (0, Some(&"NoNewPrivs:\t1")), "{output}");
}

fn reaper_terminal() {
    let stage = Stage::script("tty; echo hello > /dev/tty; ps -o pid,tty | grep '^ *1 '");
    let mut running = stage.create_with(Stdio::Terminal { width: 0, height: 0 }, true).unwrap().start().unwrap();
    let text = read_terminal(running.console.take().unwrap());
    assert!(text.starts_with("/dev/pts/0\nhello\n"), "{text}");
    running.pidfd.wait().unwrap();
}
