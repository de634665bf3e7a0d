//! A program run by a test: its output collected while it runs, its end awaited with a limit, so
//! that a hang becomes a failure that shows what had been printed.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a program may take before a test calls it hung. Generous: a busy machine is no
/// failure. `BRIG_TEST_PATIENCE` multiplies it where everything is slow (emulation).
pub fn patience() -> Duration {
    let factor = std::env::var("BRIG_TEST_PATIENCE").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    Duration::from_secs(60) * factor
}

/// Waits until `done` returns something, and fails with `what` when it never does.
pub fn wait_until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// How a program ended and what it printed.
pub struct Output {
    pub line: String,
    /// Exit code; 128 + n when signal n ended the program itself.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Output {
    /// Standard output as text, without the last newline.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Output {
        assert_eq!(self.code, code, "exit code of `{}`\nstdout: {}\nstderr: {}", self.line, self.text(), self.stderr);
        self
    }

    /// Fails unless standard error contains `part`, letter case apart.
    #[track_caller]
    pub fn says(self, part: &str) -> Output {
        let found = self.stderr.to_lowercase().contains(&part.to_lowercase());
        assert!(found, "`{}` does not say `{part}` on stderr, but: {}", self.line, self.stderr);
        self
    }
}

/// What a reader thread has collected so far.
type Collected = Arc<Mutex<Vec<u8>>>;

/// A program that runs. Killed when dropped.
pub struct Process {
    line: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: (Collected, Option<JoinHandle<()>>),
    stderr: (Collected, Option<JoinHandle<()>>),
}

impl Process {
    /// Starts `command` with pipes on all three streams; `line` names it in messages.
    pub fn start(mut command: Command, line: &str) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start `{line}`: {error}"));
        let stdin = child.stdin.take();
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        Process { line: line.to_owned(), child, stdin, stdout, stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to standard input; an end that is closed already is no failure.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stdin.as_mut().expect("stdin is open").write_all(bytes);
    }

    /// Standard output up to now.
    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.0.lock().expect("not poisoned")).into_owned()
    }

    /// Standard error up to now.
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.0.lock().expect("not poisoned")).into_owned()
    }

    /// Waits until standard output contains `part`.
    pub fn wait_for(&mut self, part: &str) {
        let end = Instant::now() + patience();
        while !self.stdout_so_far().contains(part) {
            let over = Instant::now() > end || matches!(self.child.try_wait(), Ok(Some(_)));
            if over && !self.stdout_so_far().contains(part) {
                panic!("`{}` never printed `{part}`, but: {}{}", self.line, self.stdout_so_far(), self.stderr_so_far());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by its name, as `kill -TERM` does.
    pub fn signal(&self, name: &str) {
        kill(self.pid(), name);
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Closes standard input and waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        self.stdin = None;
        self.wait()
    }

    /// Waits for the end, standard input as it is.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let end = Instant::now() + patience();
        let mut pause = Duration::from_micros(200);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < end => thread::sleep(pause),
                other => {
                    let _ = self.child.kill();
                    panic!(
                        "`{}` hangs ({other:?})\nstdout: {}\nstderr: {}",
                        self.line,
                        self.stdout_so_far(),
                        self.stderr_so_far()
                    );
                }
            }
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        // Whatever the program left running must not hold the caller's streams open.
        for (stream, (_, reader)) in [("stdout", &mut self.stdout), ("stderr", &mut self.stderr)] {
            let reader = reader.take().expect("waited once");
            while !reader.is_finished() {
                assert!(Instant::now() < end, "`{}` ended, but something it left holds its {stream}", self.line);
                thread::sleep(Duration::from_micros(200));
            }
        }
        use std::os::unix::process::ExitStatusExt;
        Output {
            line: self.line.clone(),
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: std::mem::take(&mut self.stdout.0.lock().expect("not poisoned")),
            stderr: self.stderr_so_far(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a stream to its end in a thread.
fn collect(mut stream: impl Read + Send + 'static) -> (Collected, Option<JoinHandle<()>>) {
    let collected = Collected::default();
    let into = collected.clone();
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 {
                break;
            }
            into.lock().expect("not poisoned").extend_from_slice(&buffer[..count]);
        }
    });
    (collected, Some(reader))
}

/// Runs a program of the machine to its end with nothing on standard input, and fails unless it succeeds.
#[track_caller]
pub fn tool(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args);
    Process::start(command, &format!("{program} {}", args.join(" "))).finish().expect(0).text()
}

/// Sends the signal called `name` to `pid`.
pub fn kill(pid: u32, name: &str) {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = match name {
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "USR1" => Signal::USR1,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        "WINCH" => Signal::WINCH,
        other => panic!("the tests use no signal {other}"),
    };
    let _ = kill_process(Pid::from_raw(pid as i32).expect("a pid is positive"), signal);
}
