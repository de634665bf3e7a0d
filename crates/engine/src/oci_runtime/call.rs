//! One command of another OCI runtime, executed and awaited. What it complains of is read from its log (`--log`, in the
//! JSON that runc, crun and runsc agree on), because its streams may be the container's. The log and all else that is
//! handed over by name are descriptors of ours under /proc: nothing is left when anybody is killed.

use super::OciRuntime;
use crate::error::{Error, Result};
use kernel::Context;
use kernel::exec::{Strings, execve, reset_signals};
use kernel::pidfd::Exit;
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, memfd_create, openat};
use rustix::io::Errno;
use serde::Deserialize;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Far above any log of one command.
const LOG_BYTES_MAX: usize = 1 << 20;
/// They speak of the caller's own place under systemd; a runtime would pass them on into the container.
const NOT_FOR_CONTAINERS: [&str; 4] = ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// Standard input, output and error of the command, and of the process that it makes.
pub(super) enum Streams<'a> {
    None,
    Fds([BorrowedFd<'a>; 3]),
}

/// Runs the command `words`. An error says what the runtime has said.
pub(super) fn call(runtime: &OciRuntime, words: &[&OsStr], streams: Streams<'_>) -> Result<()> {
    let log = in_memory("log")?;
    let (arguments, environment) = strings(runtime, &log, words)?;
    let path = arguments.get(0).map(CString::from).unwrap_or_default();
    let null =
        openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).during_at("open", "/dev/null")?;
    let child = kernel::clone::fork(|| {
        let error = match be_a_program(&streams, null.as_fd()) {
            Ok(()) => kernel::Error::at("execute", &runtime.program, execve(&path, &arguments, &environment)),
            Err(error) => error,
        };
        // When this cannot be written the exit code is all there is to say.
        let _ = rustix::io::write(&log, error.to_string().as_bytes());
        1
    })?;
    match child.pidfd.wait()? {
        Exit::Code(0) => Ok(()),
        exit => Err(failure(runtime, &log, exit)),
    }
}

/// As `call`, with nothing on its streams; what it has printed.
pub(super) fn output_of(runtime: &OciRuntime, words: &[&OsStr]) -> Result<Vec<u8>> {
    let null =
        openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).during_at("open", "/dev/null")?;
    let output = in_memory("output")?;
    call(runtime, words, Streams::Fds([null.as_fd(), output.as_fd(), null.as_fd()]))?;
    Ok(contents(&output))
}

/// A file without a name.
pub(super) fn in_memory(what: &str) -> Result<OwnedFd> {
    Ok(memfd_create(what, MemfdFlags::CLOEXEC).during("create memfd")?)
}

/// By which another process opens what we have open. Not by inheritance: what a runtime inherits might reach the container.
pub(super) fn path_of(fd: impl AsFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), fd.as_fd().as_raw_fd())
}

fn strings(runtime: &OciRuntime, log: &OwnedFd, words: &[&OsStr]) -> Result<(Strings, Strings)> {
    let log = path_of(log);
    let root = runtime.folder.join("root");
    let globals: [&OsStr; 7] = [
        runtime.program.as_ref(),
        "--root".as_ref(),
        root.as_ref(),
        "--log".as_ref(),
        log.as_ref(),
        "--log-format".as_ref(),
        "json".as_ref(),
    ];
    let arguments = Strings::new(globals.into_iter().chain(words.iter().copied()).map(|word| word.as_bytes().to_vec()));
    let kept = std::env::vars_os().filter(|(name, _)| !NOT_FOR_CONTAINERS.iter().any(|other| name == other));
    let environment = Strings::new(kept.map(|(mut setting, value)| {
        setting.push("=");
        setting.push(value);
        setting.into_vec()
    }));
    arguments
        .zip(environment)
        .ok_or_else(|| Error::Invalid(format!("the path {} holds a NUL", runtime.program.display())))
}

/// The last steps of a forked process before execve. Everything else that we have open is close-on-exec.
fn be_a_program(streams: &Streams<'_>, null: BorrowedFd<'_>) -> kernel::Result<()> {
    let [stdin, stdout, stderr] = match streams {
        Streams::None => [null; 3],
        Streams::Fds(fds) => *fds,
    };
    rustix::process::chdir("/").during_at("change to", "/")?;
    // Ours are above 2 here: standard streams are always open.
    rustix::stdio::dup2_stdin(stdin).during("replace standard input")?;
    rustix::stdio::dup2_stdout(stdout).during("replace standard output")?;
    rustix::stdio::dup2_stderr(stderr).during("replace standard error")?;
    reset_signals()
}

fn contents(fd: &OwnedFd) -> Vec<u8> {
    let mut bytes = vec![0; LOG_BYTES_MAX];
    let count = loop {
        match rustix::io::pread(fd, &mut bytes, 0) {
            Err(Errno::INTR) => {}
            result => break result.unwrap_or(0),
        }
    };
    bytes.truncate(count);
    bytes
}

fn failure(runtime: &OciRuntime, log: &OwnedFd, exit: Exit) -> Error {
    let said = complaint(&String::from_utf8_lossy(&contents(log)));
    let program = runtime.program.display();
    match said {
        Some(said) => worded(format!("runtime {program}: {said}"), &said),
        None => Error::Failed(format!("runtime {program} ended with status {} and gave no reason", exit.code())),
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    level: String,
    #[serde(default)]
    msg: String,
}

/// The last error of a log: JSON documents one after the other, on a line each or (crun) on several. What is no JSON was
/// said before there was a log to write to, and counts as an error up to its end.
fn complaint(log: &str) -> Option<String> {
    let mut documents = serde_json::Deserializer::from_str(log).into_iter::<Line>();
    let errors =
        documents.by_ref().map_while(Result::ok).filter(|line| matches!(line.level.as_str(), "error" | "fatal"));
    let last = errors.last().map(|line| line.msg);
    let rest = log.get(documents.byte_offset()..).unwrap_or_default().trim();
    let said = if rest.is_empty() { last } else { Some(rest.to_owned()) };
    said.filter(|text| !text.is_empty())
}

/// Docker reads the same words to tell a command that is missing from one that cannot be executed.
fn worded(text: String, said: &str) -> Error {
    let said = said.to_ascii_lowercase();
    // crun of a directory and of a file without the right, runsc of the latter.
    let refused = ["is not a regular file", "it is not executable", "creating process: failed to load"];
    if refused.iter().any(|words| said.contains(words)) {
        return Error::CommandNotExecutable(text);
    }
    let of_command = said.contains("exec") || said.contains("executable");
    if of_command && (said.contains("not found") || said.contains("no such file or directory")) {
        Error::CommandNotFound(text)
    } else if of_command && (said.contains("permission denied") || said.contains("is a directory")) {
        Error::CommandNotExecutable(text)
    } else {
        Error::Failed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_counts() {
        let check = |log: &str, expected: Option<&str>| assert_eq!(complaint(log).as_deref(), expected, "{log}");
        check("", None);
        check("{\"level\":\"warning\",\"msg\":\"old\"}\n", None);
        check("{\"level\":\"error\",\"msg\":\"one\"}\n{\"level\":\"debug\",\"msg\":\"two\"}\n", Some("one"));
        check("{\"msg\":\"a\",\"level\":\"error\",\"time\":\"now\"}\nplain\n", Some("plain"));
        check("{\n \"msg\": \"a\",\n \"level\": \"error\"\n}\n", Some("a"));
        check("{\"msg\":\"a\",\"level\":\"error\"}{\"msg\":\"b\",\"level\":\"warning\"}", Some("a"));
    }

    #[test]
    fn commands_that_cannot_be_executed_are_told_apart() {
        let kind = |said: &str| worded(String::new(), said);
        let runc =
            "runc create failed: unable to start container process: exec: \"x\": executable file not found in $PATH";
        assert!(matches!(kind(runc), Error::CommandNotFound(_)));
        assert!(matches!(
            kind("executable file `x` not found in $PATH: No such file or directory"),
            Error::CommandNotFound(_)
        ));
        for said in [
            "exec: \"/etc\": permission denied",
            "the path `/etc` is not a regular file: Operation not permitted",
            "the path `/etc/passwd` exists but it is not executable: Operation not permitted",
            "starting sandbox: creating process: failed to load /etc/passwd: permission denied",
        ] {
            assert!(matches!(kind(said), Error::CommandNotExecutable(_)), "{said}");
        }
        assert!(matches!(kind("mount `proc` to `/proc`: permission denied"), Error::Failed(_)));
    }
}
