//! What a process of a container gets from whoever called us, and what they get from it: descriptors and
//! terminal, pid file, pidfd. Sockets are connected before anything is made, so that a wrong path costs nothing.

use crate::runtime::failure::Failure;
use crate::runtime::parse::Parsed;
use kernel::{socket, terminal};
use runtime::Stdio;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where to send what.
#[derive(Debug)]
pub struct Handover {
    console: Option<OwnedFd>,
    pidfd: Option<OwnedFd>,
    /// Absolute.
    pid_file: Option<PathBuf>,
}

impl Handover {
    /// `terminal` and `detached` say whether a console socket is needed, or useless.
    pub fn prepare(parsed: &Parsed, program: &str, terminal: bool, detached: bool) -> Result<Handover, Failure> {
        let given = |name: &str| parsed.text(name).filter(|value| !value.is_empty());
        let console = given("console-socket");
        if detached && terminal && console.is_none() {
            return Err(Failure::new(format!(
                "cannot allocate tty if {program} will detach without setting console socket"
            )));
        }
        if !(detached && terminal) && console.is_some() {
            return Err(Failure::new(format!(
                "cannot use console socket if {program} will not detach or allocate tty"
            )));
        }
        let connect = |path: &str| socket::connect_path(Path::new(path));
        let absolute = |path: &str| std::path::absolute(path).map_err(|error| Failure::new(error.to_string()));
        Ok(Handover {
            console: console.map(connect).transpose()?,
            pidfd: given("pidfd-socket").map(connect).transpose()?,
            pid_file: given("pid-file").map(absolute).transpose()?,
        })
    }

    /// Hands on what there is of a process that has not started.
    pub fn deliver(&self, pid: i32, pidfd: impl AsFd, console: Option<&OwnedFd>) -> Result<(), Failure> {
        match (&self.console, console) {
            (Some(socket), Some(console)) => socket::send_fd(socket, console.as_fd(), b"/dev/ptmx")?,
            // Ours to relay, and set before anything can be written to it.
            (None, Some(console)) => terminal::keep_line_feeds(console)?,
            (_, None) => {}
        }
        if let Some(socket) = &self.pidfd {
            socket::send_fd(socket, pidfd.as_fd(), b"pidfd")?;
        }
        match &self.pid_file {
            Some(path) => write_pid(path, pid),
            None => Ok(()),
        }
    }
}

/// Under a temporary name first: who reads it reads a whole number.
fn write_pid(path: &Path, pid: i32) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}"));
    let write = || {
        OpenOptions::new().write(true).create_new(true).open(&new)?.write_all(pid.to_string().as_bytes())?;
        std::fs::rename(&new, path)
    };
    let failed =
        |error: std::io::Error| Failure::new(format!("open {}: {}", path.display(), crate::failure::plain(&error)));
    write().map_err(failed)
}

/// The service manager's, if one waits for us to be ready (sd_notify(3)).
pub fn notify_socket() -> Option<PathBuf> {
    std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Ours, or a new terminal.
pub fn stdio(terminal: bool, size: Option<(u16, u16)>) -> Result<Stdio, Failure> {
    if terminal {
        let (width, height) = size.unwrap_or_default();
        return Ok(Stdio::Terminal { width, height });
    }
    let copy = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned().map_err(|error| Failure::new(format!("duplicate standard stream: {error}")))
    };
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    Ok(Stdio::Fds { stdin: copy(stdin.as_fd())?, stdout: copy(stdout.as_fd())?, stderr: copy(stderr.as_fd())? })
}

/// How many descriptors from 3 on the program gets: those of LISTEN_FDS (sd_listen_fds(3)), which `environment` then
/// tells it of, and those asked for.
pub fn preserved(parsed: &Parsed, environment: &mut Vec<String>) -> Result<u32, Failure> {
    let listening = listening();
    if listening > 0 {
        environment.push(format!("LISTEN_FDS={listening}"));
        environment.push("LISTEN_PID=1".to_owned());
    }
    let asked = u32::try_from(parsed.number("preserve-fds")).unwrap_or(0);
    for index in 0..asked {
        if !kernel::exec::is_inherited(3 + listening + index) {
            let text = format!("unable to stat preserved-fd {index} (of {asked}): no such file or directory");
            return Err(Failure::new(text));
        }
    }
    Ok(listening + asked)
}

/// 0 unless they are meant for this process.
fn listening() -> u32 {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count))
            if pid == std::process::id() && (0..count).all(|n| kernel::exec::is_inherited(3 + n)) =>
        {
            count
        }
        _ => 0,
    }
}
