//! `ps`, `inspect`, `rename`, `top`, `stats`: what can be asked about containers, and in which
//! forms the answer comes.

use crate::harness::Brig;
use crate::harness::sandbox::is_docker;

#[test]
fn ps_shows_what_runs_and_with_a_all() {
    let brig = Brig::new();
    let up = brig.ok("run -d --name up bb sleep 1000");
    let done = brig.ok("create --name made bb true");
    brig.run("run --name ended bb sh -c 'exit 3'").expect(3);
    let table = brig.ok("ps");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("CONTAINER ID   IMAGE     COMMAND "), "{table}");
    assert!(lines[0].ends_with("PORTS     NAMES"), "{table}");
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1].starts_with(&up[..12])
            && lines[1].contains("\"sleep 1000\"")
            && lines[1].contains("Up ")
            && lines[1].ends_with("up"),
        "{table}"
    );
    assert_eq!(brig.ok("ps -a").lines().count(), 4);
    assert_eq!(brig.ok("ps -q"), up[..12]);
    assert_eq!(brig.ok("ps -q --no-trunc"), up);
    assert_eq!(brig.ok("ps -aq -n 1").lines().count(), 1);
    assert_eq!(brig.ok("ps -l --format '{{.Names}}'"), "ended");
    assert_eq!(brig.ok("ps -a --format '{{.Names}}: {{.State}}'"), "ended: exited\nmade: created\nup: running");
    let status = brig.ok("ps -a --format '{{.Names}} {{.Status}}'");
    assert!(
        status.contains("ended Exited (3) ") && status.contains("made Created") && status.contains("up Up "),
        "{status}"
    );
    assert_eq!(brig.ok("ps -a --filter name=made -q --no-trunc"), done);
}

#[test]
fn ps_filters() {
    let brig = Brig::new();
    let first = brig.ok("run -d --name alpha -l tier=front -l x bb sleep 1000");
    brig.ok("run -d --name alphabet -l tier=back -v vol:/data bb sleep 1000");
    brig.run("run --name beta bb sh -c 'exit 3'").expect(3);
    brig.ok("create --name gamma bb true");
    for (filters, expected) in [
        ("-f name=alpha", "alphabet alpha"),
        ("-f name=^alpha$", "alpha"),
        ("-f name=/alpha$", "alpha"),
        ("-f name=^/alpha$", "alpha"),
        ("-f 'name=^(alpha|beta)$'", "beta alpha"),
        ("-f 'name=a[lm]'", "gamma alphabet alpha"),
        ("-f 'name=(?i)ALPHA.+'", "alphabet"),
        ("-f name=", "gamma beta alphabet alpha"),
        ("-f name=lph", "alphabet alpha"),
        ("-f name=alpha -f name=beta", "beta alphabet alpha"),
        ("-f label=tier", "alphabet alpha"),
        ("-f label=tier=back", "alphabet"),
        ("-f label=tier -f label=x", "alpha"),
        ("-f status=running", "alphabet alpha"),
        ("-f status=exited", "beta"),
        ("-f status=created", "gamma"),
        ("-f status=exited -f status=created", "gamma beta"),
        ("-f exited=3", "beta"),
        ("-f exited=4", ""),
        ("-f volume=vol", "alphabet"),
        ("-f volume=/data", "alphabet"),
        ("-f ancestor=bb", "gamma beta alphabet alpha"),
        ("-f ancestor=nosuch", ""),
        ("-f before=beta", "alphabet alpha"),
        ("-f since=beta", "gamma"),
        ("-f health=none", "gamma beta alphabet alpha"),
        ("-f network=none -f name=zzz", ""),
        ("-f status=running -f name=beta", ""),
    ] {
        assert_eq!(
            brig.ok(&format!("ps -a {filters} --format '{{{{.Names}}}}'")).replace('\n', " "),
            expected,
            "{filters}"
        );
    }
    assert_eq!(brig.ok(&format!("ps -a -f id={} --format '{{{{.Names}}}}'", &first[..10])), "alpha");
    brig.fails("ps -f nosuch=x", 1, "invalid filter");
    brig.fails("ps -f status=nosuch", 1, "nosuch");
    brig.fails("ps -f nonsense", 125, "invalid");
    // docker finds nothing and keeps the reason to itself.
    if !is_docker() {
        brig.fails("ps -f 'name=alpha('", 1, "invalid filter 'name=alpha(': not a regular expression");
    }
}

#[test]
fn ps_formats() {
    let brig = Brig::new();
    brig.ok("create --name box -l b=2 -l a=1 bb echo 'a very long command that is cut somewhere'");
    assert_eq!(
        brig.ok("ps -a --format '{{.Image}}|{{.Labels}}|{{.Label \"a\"}}|{{.Mounts}}|{{.Ports}}'"),
        "bb|a=1,b=2|1||"
    );
    assert_eq!(brig.ok("ps -a --format '{{.Command}}'"), "\"echo 'a very long c…\"");
    assert_eq!(
        brig.ok("ps -a --no-trunc --format '{{.Command}}'"),
        "\"echo 'a very long command that is cut somewhere'\""
    );
    assert_eq!(brig.ok("ps -a --format 'table {{.Names}}\\t{{.State}}'"), "NAMES     STATE\nbox       created");
    assert_eq!(
        brig.ok("ps -a --format '{{upper .Names}} {{len .Names}} {{if .Labels}}labelled{{else}}bare{{end}}'"),
        "BOX 3 labelled"
    );
    let json: serde_json::Value = serde_json::from_str(&brig.ok("ps -a --format json")).expect("one object per line");
    assert_eq!((json["Names"].as_str(), json["State"].as_str()), (Some("box"), Some("created")));
    let json: serde_json::Value = serde_json::from_str(&brig.ok("ps -a --format '{{json .}}'")).expect("the same");
    assert_eq!(json["Image"].as_str(), Some("bb"));
    assert_eq!(brig.ok("ps -aq --format '{{.Names}}'").len(), 12, "-q prevails");
    brig.run("ps -a --format '{{.NoSuch}}'").expect(1);
    brig.run("ps -a --format '{{.Names'").expect(1).says("template");
    assert!(brig.ok("ps -as --format '{{.Size}}'").contains("virtual"));
}

#[test]
fn inspect_tells_all() {
    let brig = Brig::new();
    let id = brig.ok("create --name box -h host -e A=1 -w /var -u alice --restart always -l a=b bb sh -c 'echo hi'");
    let list: serde_json::Value = serde_json::from_str(&brig.ok("inspect box")).expect("JSON");
    let box_ = &list[0];
    let text =
        |path: &str| box_.pointer(path).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    for (path, expected) in [
        ("/Id", id.as_str()),
        ("/Name", "/box"),
        ("/Path", "sh"),
        ("/Args", r#"["-c","echo hi"]"#),
        ("/State/Status", "created"),
        ("/State/Running", "false"),
        ("/State/Pid", "0"),
        ("/RestartCount", "0"),
        ("/Config/Hostname", "host"),
        ("/Config/User", "alice"),
        ("/Config/Env/0", "A=1"),
        ("/Config/WorkingDir", "/var"),
        ("/Config/Image", "bb"),
        ("/Config/Labels/a", "b"),
        ("/Config/Tty", "false"),
        ("/Config/OpenStdin", "false"),
        ("/HostConfig/RestartPolicy/Name", "always"),
        ("/HostConfig/AutoRemove", "false"),
        ("/HostConfig/Privileged", "false"),
        ("/HostConfig/ShmSize", "67108864"),
        ("/Platform", "linux"),
    ] {
        assert_eq!(text(path).as_deref(), Some(expected), "{path}");
    }
    assert!(text("/Image").is_some_and(|image| image.starts_with("sha256:")));
    for path in [
        "/Created",
        "/State/StartedAt",
        "/State/FinishedAt",
        "/LogPath",
        "/HostConfig",
        "/Mounts",
        "/NetworkSettings",
        "/Config/Cmd",
        "/Config/Entrypoint",
    ] {
        assert!(box_.pointer(path).is_some(), "{path} is there");
    }
}

#[test]
fn inspect_templates_and_kinds() {
    let brig = Brig::new();
    brig.ok("create --name box -e A=1 -e B=2 bb true");
    for (template, expected) in [
        ("{{.Name}}", "/box"),
        ("{{ .State.Status }}", "created"),
        ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
        ("{{index .Config.Env 1}}", "B=2"),
        ("{{range $i, $e := .Config.Env}}{{if lt $i 2}}{{$e}};{{end}}{{end}}", "A=1;B=2;"),
        ("{{len .Config.Env}}", "2"),
        ("{{if .State.Running}}up{{else if eq .State.Status \"created\"}}made{{else}}down{{end}}", "made"),
        ("{{with .Config}}{{.Image}}{{end}}", "bb"),
        ("{{printf \"%s-%d\" .Name .RestartCount}}", "/box-0"),
        ("{{join .Config.Env \",\" | len}}", "7"),
        ("{{title \"word\"}} {{lower \"ABC\"}} {{upper \"abc\"}}", "Word abc ABC"),
        ("{{(index .Config.Env 0)}}", "A=1"),
        ("{{println .Name}}", "/box\n"),
        ("{{and .State.Running true}} {{or .State.Running true}} {{not .State.Running}}", "false true true"),
        ("{{- .Name -}}  ", "/box"),
        ("{{split \"a:b\" \":\"}}", "[a b]"),
        ("{{.HostConfig.RestartPolicy}}", "{no 0}"),
        ("{{.State.Running}} {{.State.Pid}}", "false 0"),
        ("a{{/* comment */}}b", "ab"),
    ] {
        assert_eq!(brig.ok(&format!("inspect -f '{template}' box")), expected, "{template}");
    }
    brig.run("inspect -f '{{.NoSuch}}' box").expect(1).says("NoSuch");
    brig.run("inspect -f '{{.State' box").expect(64).says("template parsing error");
    assert!(brig.ok("inspect --type image -f '{{.Id}}' bb").starts_with("sha256:"));
    brig.fails("inspect --type container bb", 1, "no such container: bb");
    brig.fails("inspect --type image box", 1, "no such image: box");
    brig.fails("inspect --type nosuch box", 1, "nosuch");
    let output = brig.run("inspect -f '{{.Name}}' box nosuch").expect(1).says("no such object: nosuch");
    assert_eq!(output.text(), "/box");
}

#[test]
fn an_id_may_be_cut_while_it_is_clear() {
    let brig = Brig::new();
    let ids: Vec<String> = (0..20).map(|_| brig.ok("create bb true")).collect();
    assert_eq!(brig.inspect(&ids[3][..20], "{{.Id}}"), ids[3]);
    // Among 20 ids, two begin with the same digit.
    let digit =
        (0..16).map(|it| format!("{it:x}")).find(|digit| ids.iter().filter(|id| id.starts_with(digit)).count() > 1);
    let digit = digit.expect("20 ids and 16 digits");
    brig.fails(&format!("start {digit}"), 1, "multiple");
}

#[test]
fn rename() {
    let brig = Brig::new();
    let id = brig.ok("run -d --name before bb sleep 1000");
    assert_eq!(brig.ok("rename before after"), "");
    assert_eq!(brig.inspect("after", "{{.Id}} {{.Name}}"), format!("{id} /after"));
    brig.fails("inspect before", 1, "no such object");
    brig.ok("create --name before bb true");
    brig.fails("rename before after", 1, "already in use");
    brig.fails("rename before bad/name", 1, "invalid container name");
    brig.fails("rename before", 1, "requires 2 arguments");
    brig.ok(&format!("rename {} third", &id[..12]));
    assert_eq!(brig.ok("ps --format '{{.Names}}'"), "third");
}

#[test]
fn top_lists_processes_as_the_host_sees_them() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sh -c 'sleep 1111 & sleep 2222; true'");
    let table = crate::harness::process::wait_until("three processes", || {
        let table = brig.ok("top box");
        (table.lines().count() == 4).then_some(table)
    });
    let head: Vec<&str> = table.lines().next().expect("a head").split_whitespace().collect();
    assert_eq!(head, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    assert!(table.contains("sleep 1111") && table.contains("sleep 2222"), "{table}");
    assert!(table.contains(&brig.pid("box").to_string()));
    let table = brig.ok("top box -o pid,comm");
    assert!(table.starts_with("PID "), "{table}");
    brig.ok("stop -t 0 box");
    brig.fails("top box", 1, "is not running");
}

#[test]
fn stats_once() {
    let brig = Brig::new();
    brig.ok("run -d --name box -m 64m bb sh -c 'x=$(head -c 5000000 /dev/zero | tr \"\\0\" x); sleep 1000'");
    brig.ok("create --name made bb true");
    let table = brig.ok("stats --no-stream");
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(
        table.starts_with("CONTAINER ID   NAME") && table.contains("MEM USAGE / LIMIT") && table.contains("/ 64MiB"),
        "{table}"
    );
    assert_eq!(brig.ok("stats --no-stream -a").lines().count(), 3);
    let line = brig.ok("stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}} {{.CPUPerc}}' box");
    let words: Vec<&str> = line.split(' ').collect();
    assert!(words[0] == "box" && words[3] == "64MiB" && words[5].ends_with('%'), "{line}");
    let json: serde_json::Value = serde_json::from_str(&brig.ok("stats --no-stream --format json box")).expect("JSON");
    assert_eq!(json["Name"].as_str(), Some("box"));
    assert_eq!(json["Container"].as_str(), Some("box"));
    let mut stream = brig.command("stats --format '{{.Name}}'").start();
    stream.wait_for("box");
    // Not ctrl-c's signal: who was started in the background by a shell has it ignored.
    stream.signal("TERM");
    stream.wait();
}

#[test]
fn prune_takes_what_does_not_run_and_says_how_much_that_was() {
    let brig = Brig::new();
    brig.ok("run -d --name up bb sleep 1000");
    brig.ok("run --name big -l keep=no bb sh -c 'head -c 3000000 /dev/zero >/file'");
    brig.ok("create --name made -l keep=yes bb true");
    let pruned = brig.ok("container prune -f --filter label=keep=no");
    assert!(pruned.starts_with("Deleted Containers:\n") && pruned.ends_with("Total reclaimed space: 3MB"), "{pruned}");
    assert_eq!(brig.command("container prune").send(b"n\n").expect(0).text().lines().count(), 2);
    assert_eq!(brig.ok("ps -a --format '{{.Names}}'"), "made\nup");
    brig.ok("container prune -f");
    assert_eq!(brig.ok("ps -a --format '{{.Names}}'"), "up");
}

#[test]
fn rm_takes_what_is_stopped_or_forced() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    brig.fails("rm box", 1, "is running");
    assert_eq!(brig.ok("rm -f box"), "box");
    brig.ok("create --name one bb true");
    brig.ok("run -d --name two bb sleep 1000");
    assert_eq!(brig.ok("rm -f one two"), "one\ntwo");
    assert_eq!(brig.ok("ps -aq"), "");
}
