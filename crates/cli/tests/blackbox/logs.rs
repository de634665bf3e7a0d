//! `logs`: what a container printed, in order, by time, by number, as it comes; and bounded.

use crate::harness::Brig;
use crate::harness::process::wait_until;
use crate::harness::sandbox::is_docker;

#[test]
fn streams_stay_apart() {
    let brig = Brig::new();
    brig.ok("run --name box bb sh -c 'echo one; echo two; printf three'");
    brig.ok("run -d --name both bb sh -c 'echo out; echo err >&2'");
    brig.ok("wait both");
    assert_eq!(brig.run("logs box").expect(0).stdout, b"one\ntwo\nthree");
    let output = brig.run("logs both").expect(0);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), ("out", "err\n"));
}

#[test]
fn a_part_of_them() {
    let brig = Brig::new();
    brig.ok("run --name box bb seq 10");
    for (flags, expected) in [
        ("--tail 2", "9\n10"),
        ("-n 1", "10"),
        ("--tail 0", ""),
        ("--tail all", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10"),
        ("--tail 100", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10"),
        ("--since 1h --tail 1", "10"),
        ("--since 2099-01-01", ""),
        ("--until 2000-01-01T00:00:00", ""),
        ("--until 1000000000", ""),
        ("--since 1000000000.5 -n 1", "10"),
    ] {
        assert_eq!(brig.ok(&format!("logs {flags} box")), expected, "{flags}");
    }
    brig.fails("logs --since nonsense box", 1, "nonsense");
}

#[test]
fn with_timestamps() {
    let brig = Brig::new();
    brig.ok("run --name box bb sh -c 'echo one; sleep 0.02; echo two'");
    let logs = brig.ok("logs -t box");
    let lines: Vec<(&str, &str)> = logs.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), ["one", "two"]);
    for (time, _) in &lines {
        assert!(time.len() == 30 && time.ends_with('Z') && &time[10..11] == "T", "RFC 3339 with nanoseconds: {time}");
    }
    assert!(lines[0].0 < lines[1].0);
    assert_eq!(brig.ok(&format!("logs --since {} box", lines[1].0)), "two");
    assert_eq!(brig.ok(&format!("logs --until {} box", lines[0].0)), "one");
}

#[test]
fn as_they_come() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sh -c 'echo first; while [ ! -e /go ]; do sleep 0.05; done; echo last; exit 3'");
    let mut follow = brig.command("logs -f box").start();
    follow.wait_for("first\n");
    let mut tail = brig.command("logs -f --tail 0 box").start();
    brig.run("exec box touch /go"); // may be killed with the rest as soon as the file is seen
    let output = follow.finish().expect(0);
    assert_eq!(output.text(), "first\nlast");
    tail.wait_for("last");
    tail.finish().expect(0);
    assert_eq!(brig.ok("logs -f box"), "first\nlast", "of a stopped container it ends at once");
}

#[test]
fn follow_survives_a_restart_of_the_container() {
    let brig = Brig::new();
    brig.ok("run -d --name box --restart always bb sh -c 'echo run; sleep 0.1'");
    let mut follow = brig.command("logs -f box").start();
    wait_until("three runs", || {
        (follow.stdout_so_far().matches("run").count() >= 3 || !follow.is_running()).then_some(())
    });
    brig.ok("rm -f box");
    let output = follow.finish();
    // docker ends with the first run's end; we go on. Neither hangs.
    assert!(is_docker() || output.text().matches("run").count() >= 3, "{}", output.text());
}

#[test]
fn long_lines_and_bytes_of_any_value() {
    let brig = Brig::new();
    let output = brig.run("run --name box bb sh -c 'head -c 100000 /dev/zero | tr \"\\0\" x; echo; printf \"\\303\\244\\t\\\\ \\\"q\\\" <&>\\n\"'").expect(0);
    assert_eq!(brig.run("logs box").expect(0).stdout, output.stdout);
}

#[test]
fn are_bounded_and_rotated() {
    let brig = Brig::new();
    brig.ok("run --name box --log-opt max-size=20k --log-opt max-file=2 bb seq -w 10000");
    let logs = brig.ok("logs box");
    assert!(logs.ends_with("\n10000"), "the end is kept: …{}", &logs[logs.len().saturating_sub(40)..]);
    assert!(logs.len() < 20_000, "two files of 20 kB of JSON hold less text than that: {}", logs.len());
    assert_eq!(brig.ok("logs --tail 3 box"), "09998\n09999\n10000");
    brig.fails("run --rm --log-opt max-size=nonsense bb true", 125, "");
    brig.fails("run --rm --log-opt nosuch=1 bb true", 125, "nosuch");
    brig.ok("run --name none --log-driver none bb echo x");
    brig.run("logs none").expect(1).says("does not support reading");
}

#[test]
fn are_json_lines_on_disk() {
    let brig = Brig::new();
    brig.ok("run --name box bb sh -c 'echo \"a\\tb\"; printf end'");
    let path = brig.inspect("box", "{{.LogPath}}");
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines: Vec<serde_json::Value> = file.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0]["stream"].as_str(), lines[1]["log"].as_str()), (Some("stdout"), Some("end")));
    assert!(lines[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')));
}

#[test]
fn details_are_what_log_opts_chose() {
    let brig = Brig::new();
    for (options, expected) in [
        ("", ""),
        ("-l a=1 --log-opt labels=zz", ""),
        ("-l a=1 -l b='x y' -l d=4 --log-opt labels=a,b,c", "a=1,b=x+y"),
        ("-e A=1 -e B='x,y=z&%' --log-opt env=A,B", "A=1,B=x%2Cy%3Dz%26%25"),
        ("-e a=env -l a=label --log-opt labels=a --log-opt env=a", "a=env"),
        ("--log-opt tag=plain", "tag=plain"),
        ("--log-opt tag='{{.Name}}/{{.ImageName}}'", "tag=box%2Fbb"),
        ("-e ü='ä <>&' --log-opt env=ü", "%C3%BC=%C3%A4+%3C%3E%26"),
    ] {
        brig.ok(&format!("run --name box {options} bb sh -c 'echo out; echo; printf end'"));
        assert_eq!(brig.ok("logs --details box"), format!("{expected} out\n{expected} \n{expected} end"), "{options}");
        let stamped = brig.ok("logs -t --details --tail 1 box");
        assert!(stamped.ends_with(&format!("Z {expected} end")), "{options}: {stamped}");
        assert_eq!(brig.ok("logs box"), "out\n\nend");
        brig.ok("rm box");
    }
    brig.run("run --rm --log-opt tag='{{.Nope}}' bb true").expect(125).says("tag");
    if !is_docker() {
        brig.fails("run --rm --log-opt env-regex=A bb true", 125, "not supported yet");
    }
}
