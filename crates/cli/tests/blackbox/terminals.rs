//! `-t`: a terminal inside, the user's terminal outside, its size, its keys, and `attach`.

use crate::harness::Brig;
use crate::harness::process::wait_until;

#[test]
fn a_command_on_a_terminal() {
    let brig = Brig::new();
    let mut shell = brig.command("run --rm -it bb sh").terminal();
    shell.wait_for("# ");
    shell.send("tty; echo $TERM; stty size\n");
    shell.wait_for("/dev/pts/0\r\n");
    shell.wait_for("xterm\r\n");
    shell.wait_for("24 80\r\n");
    shell.send("ls -l /dev/console | cut -c1; test -t 0 && test -t 1 && test -t 2 && echo all three\n");
    shell.wait_for("c\r\n");
    shell.wait_for("all three\r\n");
    shell.send("exit 3\n");
    assert_eq!(shell.finish().0, 3);
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn the_size_follows() {
    let brig = Brig::new();
    let mut shell = brig.command("run --rm -it --name box bb sh").terminal();
    shell.wait_for("# ");
    shell.resize(50, 132);
    wait_until("the new size", || {
        (brig.run("exec box sh -c 'stty size </dev/console'").text().trim() == "50 132").then_some(())
    });
    let mut exec = brig.command("exec -it box sh").terminal();
    exec.wait_for("# ");
    exec.resize(33, 99);
    exec.send("trap 'stty size' WINCH; sleep 0.2; stty size\n");
    exec.wait_for("33 99\r\n");
    exec.send("exit 4\n");
    assert_eq!(exec.finish().0, 4);
    shell.send("exit\n");
    assert_eq!(shell.finish().0, 0);
}

#[test]
fn keys_reach_the_command() {
    let brig = Brig::new();
    let mut run = brig
        .command(
            "run --rm -it bb sh -c 'trap \"echo interrupted; exit 9\" INT; echo ready; while :; do sleep 0.05; done'",
        )
        .terminal();
    run.wait_for("ready");
    run.send("\x03");
    run.wait_for("interrupted");
    assert_eq!(run.finish().0, 9);
    let mut cat = brig.command("run --rm -it bb cat").terminal();
    cat.send("line\n");
    cat.wait_for("line\r\nline\r\n");
    cat.send("\x04");
    assert_eq!(cat.finish().0, 0);
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let brig = Brig::new();
    let program = brig.shell_words();
    let script = brig.write(
        "script",
        format!("stty -a >before\n{program} run --network none --rm -it bb true\n{program} run --network none --rm -it bb nosuch\nstty -a >after\n"),
    );
    let mut command = std::process::Command::new("sh");
    command.arg(script).current_dir(&brig.dir);
    assert_eq!(crate::harness::Terminal::start(command, "sh script").finish().0, 0);
    let read = |name: &str| std::fs::read_to_string(brig.dir.join(name)).expect(name);
    assert_eq!(read("before"), read("after"));
}

#[test]
fn a_terminal_needs_one_outside_only_with_i() {
    let brig = Brig::new();
    brig.fails("run --rm -it bb true", 1, "the input device is not a tty");
    assert_eq!(brig.ok("run --rm -t bb sh -c 'test -t 1 && echo terminal'"), "terminal\r");
    brig.ok("run -d -t --name box bb sh -c 'echo one; echo two; sleep 1000'");
    assert!(brig.wait_for_log("box", "two").contains("one\r\ntwo\r\n"));
    brig.fails("exec -it box true", 1, "the input device is not a tty");
    assert_eq!(brig.ok("exec -t box tty"), "/dev/pts/1\r");
}

#[test]
fn detach_keys_leave_it_running() {
    let brig = Brig::new();
    let mut shell = brig.command("run -it --name box bb sh").terminal();
    shell.wait_for("# ");
    shell.send("\x10\x11");
    assert_eq!(shell.finish().0, 0);
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "true");
    let mut again = brig.command("attach box").terminal();
    again.send("echo here $((40+2))\n");
    again.wait_for("here 42\r\n");
    again.send("\x10\x11");
    again.finish();
    let mut third = brig.command("attach --detach-keys ctrl-a,x box").terminal();
    third.send("echo third $((40+3))\n");
    third.wait_for("third 43\r\n");
    third.send("\x01x");
    third.finish();
    let mut last = brig.command("attach box").terminal();
    last.send("exit 7\n");
    assert_eq!(last.finish().0, 7);
    assert_eq!(brig.inspect("box", "{{.State.ExitCode}}"), "7");
}

#[test]
fn detach_keys_are_checked_and_need_not_be_set() {
    let brig = Brig::new();
    brig.ok("run -dit --name box bb sh");
    brig.run("attach --detach-keys nosuch-key box").expect(1);
    let mut exec = brig.command("exec -it --detach-keys ctrl-b,d box sh").terminal();
    exec.wait_for("# ");
    exec.send("\x02d");
    exec.finish();
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "true");
}

#[test]
fn attach_without_a_terminal() {
    let brig = Brig::new();
    brig.ok("run -di --name box bb sh -c 'while read line && [ $line != end ]; do echo \"<$line>\"; echo err >&2; done; exit 5'");
    let mut attach = brig.command("attach box").start();
    attach.send(b"one\n");
    attach.wait_for("<one>");
    let second = brig.command("attach --no-stdin box").start();
    // It shows what is printed after it has attached, which nobody can see from here.
    wait_until("the second one sees it, too", || {
        attach.send(b"two\n");
        second.stdout_so_far().contains("<two>").then_some(())
    });
    attach.send(b"end\n");
    let output = attach.wait().expect(5);
    assert!(output.stderr.contains("err"));
    second.wait().expect(5);
    brig.fails("attach box", 1, "cannot attach to a stopped container");
}

#[test]
fn hanging_up_is_not_the_end_of_a_detached_container() {
    let brig = Brig::new();
    let mut shell = brig.command("run -it --name box --detach-keys ctrl-q bb sh").terminal();
    shell.wait_for("# ");
    shell.send("\x11");
    shell.finish();
    let mut again = brig.command("attach --sig-proxy=false box").terminal();
    again.send("echo $((1+1))x\n");
    again.wait_for("2x");
    crate::harness::process::kill(again.pid(), "KILL");
    drop(again);
    assert_eq!(brig.inspect("box", "{{.State.Running}}"), "true");
}
