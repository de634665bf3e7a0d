//! Another process in a running container.

use super::bundle::Bundle;
use crate::harness::process::Process;

fn running() -> Bundle {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.detached("run -d @");
    bundle
}

#[test]
fn flags_say_who_and_where() {
    let bundle = running();
    bundle.run("exec @ sh -c 'exit 42'").expect(42);
    bundle.run("exec @ no-such-program").expect(255).says("executable file not found");
    for (flags, command, expected) in [
        ("--cwd /bin", "pwd", "/bin"),
        ("--user 1000:1001", "id -u", "1000"),
        ("--user 1000:1001", "id -g", "1001"),
        ("-u 1000 -g 100 -g 101", "id -G", "0 100 101"),
        ("-e A=b --env=C=d", "sh -c 'echo $A$C'", "bd"),
        ("-u 1000", "sh -c 'echo $HOME'", "/home/u"),
        ("-u 7", "sh -c 'echo $HOME'", "/"),
    ] {
        assert_eq!(bundle.run(&format!("exec {flags} @ {command}")).expect(0).text(), expected, "{flags} {command}");
    }
}

#[test]
fn a_process_as_json() {
    let bundle = running();
    let process = r#"{"args": ["sh", "-c", "echo $A; exit 5"], "cwd": "/", "env": ["PATH=/bin", "A=1", "A=2"]}"#;
    std::fs::write(bundle.dir.join("process.json"), process).expect("write");
    let output = bundle.run("exec -p process.json @").expect(5);
    assert_eq!(output.text(), "2");
    bundle.run("exec @").expect(255).says("exec args cannot be empty");
}

#[test]
fn no_descriptor_of_the_host_comes_along_unless_asked() {
    let bundle = running();
    std::fs::write(bundle.dir.join("file"), "inherited").expect("write");
    let shell = |script: &str| {
        let mut command = std::process::Command::new("sh");
        let words = bundle.command("exec");
        let words: Vec<_> = std::iter::once(words.get_program()).chain(words.get_args()).collect();
        let words: Vec<_> = words.iter().map(|word| word.to_str().expect("UTF-8")).collect();
        let script = script.replace("EXEC", &words.join(" ")).replace('@', &bundle.id);
        command.arg("-c").arg(&script).current_dir(&bundle.dir);
        Process::start(command, &script).finish()
    };
    assert_eq!(
        shell("exec 3<file 4<file 5<file; EXEC --preserve-fds=2 @ cat /proc/self/fd/4").expect(0).text(),
        "inherited"
    );
    // The directory itself, opened by ls, is the only one beside the streams.
    assert_eq!(shell("exec 3<file 4<file 5<file; EXEC @ ls /proc/self/fd").expect(0).text(), "0\n1\n2\n3");
    assert_eq!(shell("exec 3<file 5<file; EXEC --preserve-fds=1 @ ls /proc/self/fd").expect(0).text(), "0\n1\n2\n3\n4");
    shell("exec 3<file; EXEC --preserve-fds=9 @ true").expect(255).says("unable to stat preserved-fd");
}

#[test]
fn a_cgroup_below_the_containers() {
    let bundle = running();
    bundle.run("exec --cgroup .. @ true").expect(255).says("is not a sub cgroup path");
    bundle.run("exec --cgroup nosuch @ true").expect(255).says("nosuch/cgroup.procs: no such file or directory");
    bundle.run("exec --cgroup whaaat:/ @ true").expect(255);
    bundle.run("exec --cgroup / @ true").expect(0);
}
