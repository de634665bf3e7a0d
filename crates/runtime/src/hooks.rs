//! Hooks (config.md, POSIX-platform hooks): programs of the user's that run at moments of a container's life, with its
//! state on their standard input. `create` and the child run those around the start; those after the start and after
//! the end are the caller's to run. The first that fails ends the list.

use crate::error::{Error, Result};
use kernel::Context;
use kernel::pidfd::PidFd;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use spec::runtime::{Hook, State};
use std::fmt;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

/// When a hook runs, by its name in the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Moment::Prestart => "prestart",
            Moment::CreateRuntime => "createRuntime",
            Moment::CreateContainer => "createContainer",
            Moment::StartContainer => "startContainer",
            Moment::Poststart => "poststart",
            Moment::Poststop => "poststop",
        })
    }
}

/// So much of what a failed hook has written is told.
const OUTPUT_BYTES_MAX: usize = 4096;

/// Runs `hooks` one after the other. One without an environment of its own gets `environment`, or the caller's if that
/// is empty, as with runc. [`Error::Hook`] tells which has failed and what it wrote.
pub fn run(moment: Moment, hooks: &[Hook], environment: &[String], state: &State) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_vec(state).expect("a state is text and numbers");
    for (index, hook) in hooks.iter().enumerate() {
        let failed = |reason: String| Error::Hook(format!("error running {moment} hook #{index}: {reason}"));
        run_one(hook, environment, &text).map_err(failed)?;
    }
    Ok(())
}

fn run_one(hook: &Hook, environment: &[String], state: &[u8]) -> Result<(), String> {
    let in_words = |error: std::io::Error| format!("fork/exec {}: {}", hook.path, words(&error));
    // Files in memory instead of pipes: a hook that does not read, or that writes much, cannot block us.
    let file = || memory_file().map_err(|error| error.to_string());
    let (mut stdin, stdout, stderr) = (file()?, file()?, file()?);
    stdin.write_all(state).and_then(|()| stdin.seek(SeekFrom::Start(0))).map_err(in_words)?;
    let mut command = Command::new(&hook.path);
    if let Some((name, arguments)) = hook.args.split_first() {
        command.arg0(name).args(arguments);
    }
    let variables = if hook.env.is_empty() { environment } else { &hook.env };
    if !variables.is_empty() {
        command.env_clear().envs(variables.iter().filter_map(|variable| variable.split_once('=')));
    }
    let copies = (stdout.try_clone().map_err(in_words)?, stderr.try_clone().map_err(in_words)?);
    let mut child = command.stdin(stdin).stdout(copies.0).stderr(copies.1).spawn().map_err(in_words)?;
    let status = wait(&mut child, hook.timeout).map_err(|error| error.to_string())?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{}, stdout: {}, stderr: {}", outcome(status), text(&stdout), text(&stderr))),
        None => Err(format!("hook ran past specified timeout of {:.1}s", hook.timeout.unwrap_or_default() as f64)),
    }
}

fn memory_file() -> kernel::Result<File> {
    rustix::fs::memfd_create("hook", MemfdFlags::CLOEXEC).map(File::from).during("make file in memory")
}

/// `None` when the hook ran too long; it is ended then.
fn wait(child: &mut Child, timeout_seconds: Option<i64>) -> std::io::Result<Option<ExitStatus>> {
    if let Some(seconds) = timeout_seconds.filter(|seconds| *seconds > 0) {
        let pidfd = PidFd::open(child.id() as i32).map_err(|error| std::io::Error::from(error.errno))?;
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let ready = loop {
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Err(Errno::INTR) => {}
                ready => break ready?,
            }
        };
        if ready == 0 {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
    }
    child.wait().map(Some)
}

/// In Go's words, which those who read runc's messages look for.
fn outcome(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(31)) => "signal: bad system call".to_owned(),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "unknown status".to_owned(),
    }
}

fn text(file: &File) -> String {
    let mut bytes = vec![0; OUTPUT_BYTES_MAX];
    let count = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).trim_end().to_owned()
}

fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime::Status;

    fn state() -> State {
        State {
            oci_version: "1.3.0".into(),
            id: "x".into(),
            status: Status::Creating,
            pid: Some(7),
            bundle: "/b".into(),
            annotations: Default::default(),
        }
    }

    fn shell(script: &str, timeout: Option<i64>) -> Hook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        Hook { path: "/bin/sh".into(), args, timeout, ..Hook::default() }
    }

    fn check_fails(hook: Hook, words: &str) {
        let error = run(Moment::Poststop, &[shell("true", None), hook], &[], &state()).unwrap_err().to_string();
        assert!(error.starts_with("error running poststop hook #1: "), "{error}");
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn state_arrives_and_failures_are_told() {
        run(Moment::Prestart, &[shell("grep -q '\"pid\":7' && grep -c x || test $? = 1", None)], &[], &state())
            .unwrap();
        check_fails(shell("echo out; echo why >&2; exit 3", None), "exit status 3, stdout: out, stderr: why");
        check_fails(shell("kill -SYS $$", None), "bad system call");
        check_fails(shell("sleep 100", Some(1)), "timeout of 1.0s");
        check_fails(Hook { path: "/nonexistent".into(), ..Hook::default() }, "no such file");
    }

    #[test]
    fn the_environment_is_its_own_or_the_given_one() {
        let given = ["A=given".to_owned()];
        run(Moment::Poststart, &[shell("test \"$A\" = given", None)], &given, &state()).unwrap();
        let own = Hook { env: vec!["A=own".into()], ..shell("test \"$A\" = own", None) };
        run(Moment::Poststart, &[own], &given, &state()).unwrap();
    }
}
