//! A further process in a running container. The caller itself joins the container and is the
//! process's parent; there is no monitor in between. Health checks run through the same door.

use crate::attach::{Local, Outcome, Relay};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::oci_runtime::OciRuntime;
use crate::oci_spec;
use crate::options::Security;
use crate::run::runtime_error;
use crate::state::Status;
use crate::{resolve, user};
use kernel::pidfd::PidFd;
use kernel::signal::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    pub command: Vec<String>,
    /// `KEY=value`, over the container's own.
    pub env: Vec<String>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub tty: bool,
    pub stdin_open: bool,
    pub privileged: bool,
    /// Nobody reads its output.
    pub detach: bool,
    /// (width, height) in characters; only with `tty`.
    pub console_size: Option<(u16, u16)>,
}

/// A process that has been executed; dropping it leaves the process alone.
#[derive(Debug)]
pub struct Session {
    pub(crate) pidfd: PidFd,
    pub(crate) ends: Ends,
}

/// Our ends of its streams.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    console: Option<OwnedFd>,
}

/// Starts `options.command`. `Ok` means that it has been executed.
pub fn exec(engine: &Engine, container: &Container, options: &ExecOptions) -> Result<Session> {
    let target = container.require_running()?;
    if container.status() == Status::Paused {
        return Err(Error::Conflict(format!(
            "container {} is paused, unpause the container before exec",
            container.name()
        )));
    }
    if options.command.is_empty() {
        return Err(Error::Invalid("No exec command specified".into()));
    }
    let process = process(engine, container, options)?;
    if let Some(runtime) = OciRuntime::of(engine, &container.record) {
        return exec_other(&runtime, &process, options);
    }
    let cgroup = container.cgroup()?;
    let program = oci_spec::program(&container.record.options.security)?;
    let filter = oci_spec::seccomp(&container.record.options.security)?;
    let (stdio, mut ends) = stdio(options, process.user.uid, process.user.gid)?;
    let exec = runtime::Exec {
        target,
        process: &process,
        stdio,
        cgroup: Some(cgroup.entry()?),
        seccomp: program.as_ref(),
        profile: filter.as_ref(),
        linux: None,
        bundle: None,
    };
    let running =
        runtime::exec(exec).and_then(runtime::Created::start).map_err(|error| runtime_error("exec failed", error))?;
    ends.console = running.console;
    Ok(Session { pidfd: running.pidfd, ends })
}

fn exec_other(runtime: &OciRuntime, process: &spec::runtime::Process, options: &ExecOptions) -> Result<Session> {
    let (stdio, mut ends) = stdio(options, process.user.uid, process.user.gid)?;
    let created = runtime.exec(process, stdio).map_err(|error| match error {
        Error::CommandNotFound(text) => Error::CommandNotFound(format!("exec failed: {text}")),
        Error::CommandNotExecutable(text) => Error::CommandNotExecutable(format!("exec failed: {text}")),
        other => other,
    })?;
    ends.console = created.console;
    Ok(Session { pidfd: created.pidfd, ends })
}

fn process(engine: &Engine, container: &Container, options: &ExecOptions) -> Result<spec::runtime::Process> {
    let record = &container.record;
    let rootfs = container.users(engine)?;
    let name = options.user.as_ref().unwrap_or(&record.process.user);
    let groups: &[String] = if options.user.is_some() { &[] } else { &record.options.process.group_add };
    let user = user::resolve(&rootfs, name, groups)?;
    let security = Security {
        privileged: options.privileged || record.options.security.privileged,
        ..record.options.security.clone()
    };
    let mut env = oci_spec::environment(record, &user, options.tty);
    env = resolve::merge_env(env, &options.env);
    let workdir =
        options.workdir.clone().filter(|path| !path.is_empty()).unwrap_or_else(|| record.process.workdir.clone());
    Ok(spec::runtime::Process {
        terminal: options.tty,
        console_size: options.console_size.map(|(width, height)| spec::runtime::ConsoleSize { width, height }),
        user: oci_spec::runtime_user(&user),
        args: options.command.clone(),
        env,
        cwd: if workdir.is_empty() { "/".to_owned() } else { workdir },
        capabilities: Some(oci_spec::capabilities(&security, user.uid)?),
        rlimits: oci_spec::rlimits(&record.options.resources)?,
        no_new_privileges: record.options.security.no_new_privileges,
        oom_score_adj: record.options.resources.oom_score_adj,
        ..Default::default()
    })
}

/// The process's streams and our ends of them. Pipes and never our own descriptors: through them
/// the process could reach our terminal or truncate our files.
fn stdio(options: &ExecOptions, uid: u32, gid: u32) -> Result<(runtime::Stdio, Ends)> {
    use kernel::Context;
    if options.tty {
        let (width, height) = options.console_size.unwrap_or((80, 24));
        return Ok((runtime::Stdio::Terminal { width, height }, Ends::default()));
    }
    let null = |flags| openat(CWD, "/dev/null", flags | OFlags::CLOEXEC, Mode::empty()).during_at("open", "/dev/null");
    // The process may open /dev/stdout anew, which asks for the owner.
    let own =
        |fd: &OwnedFd| fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).during("change owner of pipe");
    let mut ends = Ends::default();
    let stdin = if options.stdin_open {
        let (read, write) = kernel::fifo::pipe()?;
        own(&read)?;
        kernel::fifo::set_nonblocking(&write)?;
        ends.stdin = Some(write);
        read
    } else {
        null(OFlags::RDONLY)?
    };
    if options.detach {
        return Ok((
            runtime::Stdio::Fds { stdin, stdout: null(OFlags::WRONLY)?, stderr: null(OFlags::WRONLY)? },
            Ends::default(),
        ));
    }
    let (out_read, stdout) = kernel::fifo::pipe()?;
    let (err_read, stderr) = kernel::fifo::pipe()?;
    own(&stdout)?;
    own(&stderr)?;
    ends.stdout = Some(out_read);
    ends.stderr = Some(err_read);
    Ok((runtime::Stdio::Fds { stdin, stdout, stderr }, ends))
}

impl Session {
    /// Relays until the process has ended and its output has been read, or the user detaches.
    pub fn relay(mut self, relay: &Relay<'_>) -> Result<Outcome> {
        let mut local = Local::new(relay)?;
        let mut pending = Vec::new();
        if let Some(console) = self.ends.console.take() {
            // One terminal for both directions: one descriptor each, so that each can be closed.
            kernel::fifo::set_nonblocking(&console)?;
            self.ends.stdin = relay
                .stdin
                .is_some()
                .then(|| console.try_clone())
                .transpose()
                .map_err(|e| Error::Failed(format!("duplicate terminal: {e}")))?;
            self.ends.stdout = Some(console);
        }
        let mut exit = None;
        loop {
            let ready = self.wait(&local, &pending, exit.is_some())?;
            if ready.signal {
                while let Some(signal) = local.next_signal() {
                    self.forward(signal, &local)?;
                }
            }
            if ready.typed {
                match local.read_input()? {
                    crate::attach::Input::Data(data) => pending = data,
                    crate::attach::Input::End => self.ends.stdin = None,
                    crate::attach::Input::Detach => return Ok(Outcome::Detached),
                }
            }
            if !self.feed(&mut pending) {
                self.ends.stdin = None;
            }
            let mut quiet = true;
            for to_stderr in [false, true] {
                match self.pass_on(to_stderr, &local)? {
                    Passed::Some => quiet = false,
                    Passed::Nothing => {}
                    Passed::Closed => return Ok(Outcome::OutputClosed),
                }
            }
            if exit.is_none() && ready.exited {
                exit = self.pidfd.try_wait()?;
                continue; // what was written before the end is read once more
            }
            // Grandchildren may hold the pipes open for ever: the end of the process counts.
            if let (Some(exit), true) = (exit, quiet) {
                return Ok(Outcome::Exited(exit.code()));
            }
        }
    }

    fn wait(&self, local: &Local<'_>, pending: &[u8], ended: bool) -> Result<Ready> {
        let (signals, typed) = local.poll_fds(pending.is_empty() && self.ends.stdin.is_some());
        let mut fds = vec![signals];
        let typed_index = typed.map(|fd| {
            fds.push(fd);
            fds.len() - 1
        });
        fds.push(PollFd::new(&self.pidfd, PollFlags::IN));
        let exit_index = fds.len() - 1;
        for end in [&self.ends.stdout, &self.ends.stderr].into_iter().flatten() {
            fds.push(PollFd::new(end, PollFlags::IN));
        }
        if let (Some(stdin), false) = (&self.ends.stdin, pending.is_empty()) {
            fds.push(PollFd::new(stdin, PollFlags::OUT));
        }
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, ended.then_some(&now)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(kernel::Error::new("poll", errno).into()),
        }
        let ready = |index: usize| !fds[index].revents().is_empty();
        Ok(Ready { signal: ready(0), typed: typed_index.is_some_and(ready), exited: ready(exit_index) })
    }

    /// Writes what fits into the process's input; false when it no longer reads.
    fn feed(&self, pending: &mut Vec<u8>) -> bool {
        let Some(stdin) = &self.ends.stdin else {
            pending.clear();
            return true;
        };
        while !pending.is_empty() {
            match rustix::io::write(stdin, pending) {
                Ok(count) => drop(pending.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => {
                    pending.clear();
                    return false;
                }
            }
        }
        true
    }

    fn pass_on(&mut self, to_stderr: bool, local: &Local<'_>) -> Result<Passed> {
        let end = if to_stderr { &mut self.ends.stderr } else { &mut self.ends.stdout };
        let Some(fd) = end.as_ref() else { return Ok(Passed::Nothing) };
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        if !matches!(poll(&mut fds, Some(&now)), Ok(1..)) {
            return Ok(Passed::Nothing);
        }
        let mut buffer = [0; 65536];
        match rustix::io::read(fd, &mut buffer) {
            // EIO: the last descriptor of the terminal's other side is closed.
            Ok(0) | Err(Errno::IO) => {
                *end = None;
                Ok(Passed::Nothing)
            }
            Ok(count) => {
                let open = local.write(to_stderr, &buffer[..count], |signal| self.forward(signal, local))?;
                Ok(if open { Passed::Some } else { Passed::Closed })
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Passed::Nothing),
            Err(errno) => Err(kernel::Error::new("read output", errno).into()),
        }
    }

    fn forward(&self, signal: Signal, local: &Local<'_>) -> Result<()> {
        if signal == Signal::WINCH {
            if let (Some(terminal), Some((width, height))) = (&self.ends.stdout, local.size()) {
                kernel::pty::set_size(terminal, width, height)?;
            }
            return Ok(());
        }
        match self.pidfd.send_signal(signal.number()) {
            Err(e) if e.errno != Errno::SRCH => Err(e.into()),
            _ => Ok(()),
        }
    }
}

struct Ready {
    signal: bool,
    typed: bool,
    exited: bool,
}

enum Passed {
    Some,
    Nothing,
    Closed,
}
