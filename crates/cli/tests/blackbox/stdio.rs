//! Standard streams: apart from each other, complete, of any size and at any speed, in both
//! directions.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::harness::process::{patience, wait_until};
use crate::harness::{Brig, image, words};

const MEGABYTES: usize = 50;

/// Data without a pattern that a chunk-sized mistake could repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut data = Vec::with_capacity(length + 8);
    while data.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(length);
    data
}

#[test]
fn streams_are_apart_and_empty_without_i() {
    let brig = Brig::new();
    let output = brig.run("run --rm bb sh -c 'echo out; echo err >&2'").expect(0);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), ("out", "err\n"));
    let output = brig.command("run --rm bb cat").send(b"not for it").expect(0);
    assert_eq!(output.stdout, b"");
    let output = brig.command("run --rm -i bb cat").send(b"for it").expect(0);
    assert_eq!(output.stdout, b"for it");
    assert_eq!(brig.ok("run --rm -i bb sh -c 'cat; echo end'"), "end");
}

#[test]
fn much_data_in_both_directions() {
    let brig = Brig::new();
    let data = noise(MEGABYTES << 20);
    let output = brig.command("run --rm -i bb cat").send(&data).expect(0);
    assert_eq!(image::digest(&output.stdout), image::digest(&data), "{} of {} bytes", output.stdout.len(), data.len());
}

#[test]
fn much_data_through_exec() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    let data = noise(MEGABYTES << 20);
    let output = brig.command("exec -i box cat").send(&data).expect(0);
    assert_eq!(image::digest(&output.stdout), image::digest(&data), "{} of {} bytes", output.stdout.len(), data.len());
}

#[test]
fn much_data_on_both_outputs() {
    let brig = Brig::new();
    let script = "head -c 20000000 /dev/zero | tr \"\\0\" e >&2 & head -c 20000000 /dev/zero | tr \"\\0\" o; wait";
    let output = brig.run(&format!("run --rm bb sh -c '{script}'")).expect(0);
    assert_eq!((output.stdout.len(), output.stderr.len()), (20_000_000, 20_000_000));
    assert!(output.stdout.iter().all(|byte| *byte == b'o') && output.stderr.bytes().all(|byte| byte == b'e'));
}

#[test]
fn a_slow_reader_loses_nothing() {
    let brig = Brig::new();
    let mut command = brig.bare();
    command.args(words::split("run --rm bb sh -c 'seq 200000; echo end >&2'"));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let (mut all, mut buffer) = (Vec::new(), vec![0; 32768]);
    loop {
        let count = stdout.read(&mut buffer).expect("a pipe");
        if count == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..count]);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(child.wait().expect("it ends").success());
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(all == expected.as_bytes(), "{} of {} bytes", all.len(), expected.len());
}

#[test]
fn a_reader_that_goes_away_ends_the_run() {
    let brig = Brig::new();
    let mut command = brig.bare();
    command.args(words::split("run --rm --name box bb yes"));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut buffer = [0; 1000];
    child.stdout.take().expect("a pipe").read_exact(&mut buffer).expect("some output");
    assert!(buffer.starts_with(b"y\ny\n"));
    // What becomes of the container is docker's and our own affair; the command must not spin or hang.
    brig.run("kill box");
    wait_until("run ends", || child.try_wait().expect("a child"));
}

#[test]
fn conversation_line_by_line() {
    let brig = Brig::new();
    let mut run = brig.command("run --rm -i bb sh -c 'while read line; do echo \"<$line>\"; done; echo end'").start();
    for word in ["one", "two", "three"] {
        run.send(format!("{word}\n").as_bytes());
        run.wait_for(&format!("<{word}>"));
    }
    assert!(run.finish().expect(0).text().ends_with("end"));
}

#[test]
fn a_run_ends_with_its_command_though_stdin_is_open() {
    let brig = Brig::new();
    brig.command("run --rm -i bb true").start().wait().expect(0);
    brig.ok("run -d --name box bb sleep 1000");
    brig.command("exec -i box true").start().wait().expect(0);
}

#[test]
fn a_background_process_of_exec_does_not_hold_it() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    assert_eq!(brig.ok("exec -d box sh -c 'echo x >/made; sleep 100'"), "");
    wait_until("the detached command ran", || (brig.run("exec box cat /made").text() == "x").then_some(()));
}

#[test]
fn input_longer_than_the_command_reads() {
    let brig = Brig::new();
    let mut command = brig.bare();
    command.args(words::split("run --rm -i bb head -c 10"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || {
        let data = vec![b'x'; 10 << 20];
        let _ = stdin.write_all(&data); // refused once the command has gone
    });
    let status = wait_until("run ends", || child.try_wait().expect("a child"));
    assert!(status.success());
    let end = std::time::Instant::now() + patience();
    while !writer.is_finished() {
        assert!(std::time::Instant::now() < end, "the writer hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn closed_streams_are_no_reason_to_fail() {
    let brig = Brig::new();
    let script = format!("{} run --rm --network none bb sh -c 'exit 5' <&- >&- 2>&-", brig.shell_words());
    let status = std::process::Command::new("sh").args(["-c", &script]).status().expect("sh");
    assert_eq!(status.code(), Some(5));
}
