//! A place of its own for one test: a short directory under /tmp that holds brig's `--root` and
//! `--state`, an image called `bb`, and a check at the end that nothing is left.
//!
//! `BRIG_BIN` names the program under test (without it: the one that cargo built). When that is
//! called `docker`, the same tests run against docker: no directories of its own, one test at a
//! time (`--test-threads 1`). That is how to find out what docker does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::image::{busybox_tar, write};
use super::process::{Output, Process, wait_until};
use super::terminal::Terminal;
use super::{leaks, words};

/// The program under test.
pub fn program() -> String {
    let built = option_env!("CARGO_BIN_EXE_brig");
    std::env::var("BRIG_BIN").unwrap_or_else(|_| built.expect("BRIG_BIN names the program under test").to_owned())
}

/// Whether the tests run against docker, to compare.
pub fn is_docker() -> bool {
    program().rsplit('/').next() == Some("docker")
}

/// Whether this machine's controllers are on cgroup v2.
pub fn is_cgroup_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

pub struct Brig {
    /// For the test's own files; removed at the end.
    pub dir: PathBuf,
}

impl Brig {
    /// An empty store.
    pub fn empty() -> Brig {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/tmp/brig-t-{}-{number}", std::process::id()));
        std::fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Brig { dir }
    }

    /// A store with the image `bb`: busybox, without a command of its own.
    pub fn new() -> Brig {
        let brig = Brig::empty();
        brig.command("import - bb").send(busybox_tar()).expect(0);
        brig
    }

    /// The command with the global flags that keep it inside the sandbox.
    pub fn bare(&self) -> Command {
        let mut command = Command::new(program());
        if !is_docker() {
            command.arg("--root").arg(self.root()).arg("--state").arg(self.state());
        }
        command.current_dir(&self.dir).env_remove("BRIG_ROOT").env_remove("BRIG_STATE");
        command
    }

    /// The same for a line of sh(1): the program and its global flags. The paths have nothing to quote.
    pub fn shell_words(&self) -> String {
        let command = self.bare();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_str().expect("test paths are UTF-8")).collect::<Vec<_>>().join(" ")
    }

    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// A command line, to be run in one of several ways.
    pub fn command<'a>(&'a self, line: &'a str) -> Line<'a> {
        Line { brig: self, line, env: Vec::new() }
    }

    /// Runs a command line to its end, with nothing on standard input.
    #[track_caller]
    pub fn run(&self, line: &str) -> Output {
        self.command(line).start().finish()
    }

    /// Runs a command line that must succeed; its standard output without the last newline.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.run(line).expect(0).text()
    }

    /// Runs a command line that must fail with this exit code and words on standard error: one
    /// line, which a usage may follow.
    #[track_caller]
    pub fn fails(&self, line: &str, code: i32, part: &str) {
        let output = self.run(line).expect(code).says(part);
        if !is_docker() {
            let message = output.stderr.split("\n\n").next().unwrap_or_default();
            assert_eq!(
                message.trim_end().lines().count(),
                1,
                "`{line}` answers in more than a line: {}",
                output.stderr
            );
            assert!(!message.contains("panicked"), "`{line}` panics: {}", output.stderr);
        }
    }

    /// One value of a container, by a template.
    #[track_caller]
    pub fn inspect(&self, name: &str, template: &str) -> String {
        self.ok(&format!("inspect --format '{template}' {name}"))
    }

    /// Waits until the template's value for the container is `value`.
    #[track_caller]
    pub fn wait_for(&self, name: &str, template: &str, value: &str) {
        let what = format!("{name}: {template} == {value}");
        wait_until(&what, || (self.inspect(name, template) == value).then_some(()));
    }

    /// Waits until the container's log contains `part`; the log.
    #[track_caller]
    pub fn wait_for_log(&self, name: &str, part: &str) -> String {
        wait_until(&format!("`{part}` in the log of {name}"), || {
            let output = self.run(&format!("logs {name}")).expect(0);
            let log = format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr);
            log.contains(part).then_some(log)
        })
    }

    /// Writes a file in the sandbox's directory; its path.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        write(&self.dir, name, bytes.as_ref())
    }

    /// Makes a directory in the sandbox's directory; its path.
    pub fn mkdir(&self, name: &str) -> String {
        let path = self.dir.join(name);
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path.to_str().expect("test paths are UTF-8").to_owned()
    }

    /// The pid of the container's first process.
    pub fn pid(&self, name: &str) -> u32 {
        self.inspect(name, "{{.State.Pid}}").parse().expect("a pid")
    }

    /// Everything goes: containers, and in docker's case what would disturb the next test.
    fn remove_all(&self) {
        let containers = self.command("ps -aq --no-trunc").start().finish().text().replace('\n', " ");
        if !containers.is_empty() {
            self.command(&format!("rm -f -v {containers}")).start().finish();
        }
        if is_docker() {
            for kind in ["volume ls -q", "images -aq"] {
                let names = self.command(kind).start().finish().text().replace('\n', " ");
                let verb = if kind.starts_with("volume") { "volume rm -f" } else { "rmi -f" };
                if !names.is_empty() {
                    self.command(&format!("{verb} {names}")).start().finish();
                }
            }
        }
    }
}

impl Drop for Brig {
    fn drop(&mut self) {
        let ids = leaks::container_ids(&self.root());
        let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.remove_all()));
        let left = if is_docker() { Vec::new() } else { leaks::find(self, &ids) };
        if !left.is_empty() || removed.is_err() {
            leaks::clean(&self.dir, &ids);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            assert!(removed.is_ok(), "removing all containers failed");
            assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
        }
    }
}

/// A command line of a sandbox with its environment.
pub struct Line<'a> {
    brig: &'a Brig,
    line: &'a str,
    env: Vec<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    /// Adds a variable to the program's environment.
    pub fn env(mut self, name: &'a str, value: &'a str) -> Line<'a> {
        self.env.push((name, value));
        self
    }

    fn build(&self) -> Command {
        let mut command = self.brig.bare();
        command.args(words::split(self.line)).envs(self.env.iter().copied());
        command
    }

    /// Starts it and leaves it running.
    pub fn start(&self) -> Process {
        Process::start(self.build(), self.line)
    }

    /// Runs it with these bytes on standard input.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> Output {
        let mut process = self.start();
        process.send(bytes);
        process.finish()
    }

    /// Starts it on a terminal of its own.
    pub fn terminal(&self) -> Terminal {
        Terminal::start(self.build(), self.line)
    }
}
