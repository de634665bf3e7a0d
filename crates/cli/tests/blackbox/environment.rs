//! The environment of a container's process: `-e`, `--env-file`, what the image says, what is
//! always there.

use crate::harness::Brig;

#[test]
fn is_what_the_image_and_the_flags_say() {
    let brig = Brig::new();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let check = |flags: &str, expected: &[&str]| {
        let output = brig
            .command(&format!("run --rm -h box {flags} bb env"))
            .env("FROM_HOST", "h")
            .env("SECRET", "s")
            .start()
            .finish();
        let text = output.expect(0).text();
        let mut lines: Vec<&str> = text.lines().collect();
        let mut expected: Vec<&str> = expected.to_vec();
        expected.extend(["HOME=/root", "HOSTNAME=box"]);
        if !expected.iter().any(|it| it.starts_with("PATH=")) {
            expected.push(path);
        }
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines, expected, "{flags}");
    };
    let file = brig.write("file", "A=file\n# comment\n\n  B=two words \nFROM_HOST\nNOT_SET\nQ=\"quoted\"\n");
    check("", &[]);
    check("-e A=1 --env B=", &["A=1", "B="]);
    check("-e A=1 -e A=2", &["A=2"]);
    check("-e A='x y=z'", &["A=x y=z"]);
    check("-e FROM_HOST -e NOT_SET", &["FROM_HOST=h"]);
    check("-e PATH=/bin", &["PATH=/bin"]);
    check(&format!("--env-file {file}"), &["A=file", "B=two words ", "FROM_HOST=h", "Q=\"quoted\""]);
    check(&format!("--env-file {file} -e A=flag"), &["A=flag", "B=two words ", "FROM_HOST=h", "Q=\"quoted\""]);
}

#[test]
fn home_follows_the_user_and_term_the_terminal() {
    let brig = Brig::new();
    assert_eq!(brig.ok("run --rm -u alice bb sh -c 'echo $HOME'"), "/home/alice");
    assert_eq!(brig.ok("run --rm -u 12345 bb sh -c 'echo $HOME'"), "/");
    assert_eq!(brig.ok("run --rm -e HOME=/x bb sh -c 'echo $HOME'"), "/x");
    assert_eq!(brig.ok("run --rm -t bb sh -c 'echo $TERM'").trim_end(), "xterm");
}

#[test]
fn comes_from_the_image_and_can_be_overridden() {
    let brig = Brig::new();
    brig.command("import -c 'ENV A=image B=\"two words\"' - withenv")
        .send(crate::harness::image::busybox_tar())
        .expect(0);
    assert_eq!(brig.ok("run --rm withenv sh -c 'echo $A, $B'"), "image, two words");
    assert_eq!(brig.ok("run --rm -e A=flag withenv sh -c 'echo $A, $B'"), "flag, two words");
    brig.ok("run -d --name box -e C=run withenv sleep 1000");
    assert_eq!(brig.ok("exec -e D=exec box sh -c 'echo $A $C $D'"), "image run exec");
    assert_eq!(brig.inspect("box", "{{index .Config.Env 0}}"), "C=run");
}

#[test]
fn bad_input_is_refused() {
    let brig = Brig::new();
    let bad = brig.write("bad", "two words=x\n");
    let binary = brig.write("binary", b"\xff\xfe=x\n");
    brig.fails("run --env-file /no/such bb true", 125, "no such file");
    brig.fails(&format!("run --env-file {bad} bb true"), 125, "whitespace");
    brig.fails(&format!("run --env-file {binary} bb true"), 125, "utf8");
    brig.fails("run -e =x bb true", 125, "invalid environment variable");
}
