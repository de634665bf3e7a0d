//! Exit codes: the command's own, and 125 (ours), 126 (cannot be executed), 127 (not found),
//! 128 + n (ended by signal n).

use crate::harness::Brig;
use crate::harness::sandbox::is_docker;

/// `run --rm REST` ends with this code and says this on standard error.
#[track_caller]
fn check(brig: &Brig, rest: &str, code: i32, stderr: &str) {
    brig.run(&format!("run --rm {rest}")).expect(code).says(stderr);
    assert_eq!(brig.ok("ps -aq"), "", "nothing remains of `run --rm {rest}`");
}

#[test]
fn of_run() {
    let brig = Brig::new();
    for (rest, code, stderr) in [
        ("bb true", 0, ""),
        ("bb false", 1, ""),
        ("bb sh -c 'exit 42'", 42, ""),
        ("bb sh -c 'exit 255'", 255, ""),
        ("--init bb sh -c 'kill -9 $$'", 137, ""),
        ("--init bb sh -c 'kill -TERM $$'", 143, ""),
        ("bb nosuch", 127, "\"nosuch\": executable file not found in $PATH"),
        ("bb /no/such", 127, "no such file or directory"),
        ("bb ''", 127, ""),
        ("-w /bin bb ./nosuch", 127, "no such file or directory"),
        ("bb /etc/passwd", 126, "permission denied"),
        ("bb /etc", 126, ""),
        ("-w /etc/passwd bb true", 125, "not a directory"),
        ("-w /etc/passwd/x bb true", 125, "not a directory"),
        ("-w relative bb true", 125, "needs to be an absolute path"),
        ("-w '' bb true", 0, ""),
        ("--no-such-flag bb true", 125, "unknown flag: --no-such-flag"),
        ("--memory bb", 125, ""),
        ("", 1, "requires at least 1 argument"),
        ("--pull never nosuch", 125, "no such image"),
        ("bb", 125, "no command specified"),
        ("BB true", 125, "must be lowercase"),
        ("bb:: true", 125, "invalid reference format"),
    ] {
        check(&brig, rest, code, stderr);
    }
}

#[test]
fn a_script_without_an_interpreter_cannot_be_executed() {
    let brig = Brig::new();
    let text = brig.write("text", "not a program\n");
    let lost = brig.write("lost", "#!/no/such/interpreter\n");
    crate::harness::process::tool("chmod", &["755", &text, &lost]);
    // docker's runtime finds out too late and ends with 255; podman and we say what it is.
    let (format, interpreter) = if is_docker() { (255, 255) } else { (126, 127) };
    check(&brig, &format!("-v {text}:/x bb /x"), format, "exec format error");
    check(&brig, &format!("-v {lost}:/x bb /x"), interpreter, "no such file or directory");
}

#[test]
fn without_rm_a_container_that_could_not_start_stays_as_created() {
    let brig = Brig::new();
    brig.run("run --name box bb nosuch").expect(127);
    assert_eq!(brig.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"), "created 127");
    brig.fails("start box", 1, "nosuch");
    brig.fails("start -a box", 1, "nosuch");
    brig.run("run -d --name other bb nosuch").expect(127).says("nosuch");
}

#[test]
fn of_exec() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    for (rest, code, stderr) in [
        ("box true", 0, ""),
        ("box sh -c 'exit 9'", 9, ""),
        ("box sh -c 'kill -9 $$'", 137, ""),
        ("box nosuch", 127, "executable file not found in $PATH"),
        ("box /etc/passwd", 126, "permission denied"),
        ("-w /etc/passwd box true", 127, "not a directory"),
        ("-w /etc/passwd/x box true", 127, "not a directory"),
        ("-w /nosuch box true", 127, "\"/nosuch\""),
        ("-w etc box true", 128, "absolute"),
        ("-w '' box true", 0, ""),
        ("-d -w etc box true", 1, "absolute"),
        ("-d -w /nosuch box true", 1, "\"/nosuch\""),
        ("-d box nosuch", 1, "executable file not found in $PATH"),
        ("-d box /etc/passwd", 1, "permission denied"),
        ("nosuch true", 1, "no such container"),
        ("box", 1, "requires at least 2 arguments"),
        ("--nosuch box true", 125, "unknown flag"),
    ] {
        let output = brig.run(&format!("exec {rest}")).expect(code);
        // docker prints the runtime's messages on standard output here.
        if !is_docker() {
            output.says(stderr);
        }
    }
    brig.ok("stop -t 0 box");
    brig.run("exec box true").expect(1).says("is not running");
}

#[test]
fn of_other_commands() {
    let brig = Brig::new();
    for (line, code, stderr) in [
        ("nosuch", 1, "nosuch"),
        ("ps --nosuch", 125, "unknown flag"),
        ("ps extra", 1, "accepts no arguments"),
        ("rm", 1, "requires at least 1 argument"),
        ("inspect nosuch", 1, "no such object: nosuch"),
        ("logs nosuch", 1, "no such container: nosuch"),
        ("rm nosuch", 1, "no such container: nosuch"),
        ("stop nosuch", 1, "no such container: nosuch"),
        ("kill nosuch", 1, "no such container: nosuch"),
        ("wait nosuch", 1, "no such container: nosuch"),
        ("rmi nosuch", 1, "no such image: nosuch"),
        ("tag nosuch other", 1, "no such image: nosuch"),
        ("volume rm nosuch", 1, "no such volume"),
        ("volume inspect nosuch", 1, "no such volume"),
        ("rename nosuch other", 1, "no such container: nosuch"),
        ("pause nosuch", 1, "no such container: nosuch"),
        ("attach nosuch", 1, "no such container: nosuch"),
        ("cp nosuch:/x .", 1, "no such container"),
        ("diff nosuch", 1, "no such container"),
        ("export nosuch", 1, "no such container"),
        ("commit nosuch", 1, "no such container"),
        ("top nosuch", 1, "no such container"),
        ("stats --no-stream nosuch", 1, "no such container"),
        ("update --memory 10m nosuch", 1, "no such container"),
        ("restart nosuch", 1, "no such container"),
        ("unpause nosuch", 1, "no such container"),
    ] {
        brig.fails(line, code, stderr);
    }
    brig.run("rm -f nosuch").expect(0);
}

#[test]
fn one_bad_name_among_good_ones() {
    let brig = Brig::new();
    brig.ok("create --name aa bb true");
    brig.ok("create --name bb2 bb true");
    let output = brig.run("rm aa nosuch bb2").expect(1).says("no such container: nosuch");
    assert_eq!(output.text(), "aa\nbb2");
    assert_eq!(brig.ok("ps -aq"), "");
}
