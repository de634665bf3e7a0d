//! The container's first process as its monitor has it: made by us or taken over from a killed
//! monitor, with its cgroup.

use super::stdio::{self, Stdio};
use crate::container::{Container, cgroup_name};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::oci_runtime::{self, OciRuntime};
use crate::run::{Launch, start_error};
use kernel::cgroup::{Cgroup, Layout, Making};
use kernel::pidfd::{Exit, PidFd};
use kernel::process::ProcessId;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A live container.
#[derive(Debug)]
pub struct Process {
    pub pidfd: PidFd,
    pub cgroup: Cgroup,
    /// `None` for our own child.
    stranger: Option<ProcessId>,
    /// `None` for brig's own.
    runtime: Option<OciRuntime>,
}

/// A container whose init waits for the word to execute its command.
pub struct Ready {
    pub id: ProcessId,
    cgroup: Cgroup,
    stdio: Stdio,
    created: Created,
}

/// By whom it was made.
enum Created {
    Own(runtime::Created),
    Other(OciRuntime, oci_runtime::Created),
}

/// Everything but execve. On an error nothing is left but files in the run folder. `connect` is given the network
/// namespace while the rest is being made, where it is ours to make.
pub fn create(
    engine: &Engine,
    container: &Container,
    launch: &Launch,
    connect: impl FnOnce(BorrowedFd<'_>),
) -> Result<Ready> {
    let ready = match OciRuntime::of(engine, &container.record) {
        None => create_own(engine, container, launch, connect)?,
        Some(runtime) => create_other(engine, container, launch, runtime)?,
    };
    // Only now is everything open that the specification names by the number of another container's process.
    match launch.joined.check() {
        Ok(()) => Ok(ready),
        Err(error) => {
            ready.abandon();
            Err(error)
        }
    }
}

fn create_own(
    engine: &Engine,
    container: &Container,
    launch: &Launch,
    connect: impl FnOnce(BorrowedFd<'_>),
) -> Result<Ready> {
    let linux = launch.spec.linux.as_ref();
    let resources =
        linux.and_then(|linux| linux.resources.as_ref()).map(runtime::cgroup::resources).unwrap_or_default();
    let making = Layout::detect()?.begin(&cgroup_name(container.id()), &resources)?;
    let result = create_in(engine, container, launch, &making, connect);
    let cgroup = making.group().clone();
    if result.is_err() {
        let _ = cgroup.remove();
    }
    let (created, stdio) = result?;
    match ProcessId::of(created.pid) {
        Ok(id) => Ok(Ready { id, cgroup, stdio, created: Created::Own(created) }),
        Err(error) => {
            created.abandon();
            let _ = cgroup.remove();
            Err(error.into())
        }
    }
}

/// Another runtime makes the cgroup itself, as the specification names it.
fn create_other(engine: &Engine, container: &Container, launch: &Launch, runtime: OciRuntime) -> Result<Ready> {
    let user = launch.spec.process.as_ref().map(|process| process.user.clone()).unwrap_or_default();
    let (theirs, ours) = streams(engine, container, &user)?;
    let cgroup = container.cgroup()?;
    let mut created = runtime.create(launch, theirs).map_err(failed_to_start)?;
    let stdio = stdio_of(ours, created.console.take())?;
    Ok(Ready { id: created.id, cgroup, stdio, created: Created::Other(runtime, created) })
}

fn create_in(
    engine: &Engine,
    container: &Container,
    launch: &Launch,
    making: &Making,
    connect: impl FnOnce(BorrowedFd<'_>),
) -> Result<(runtime::Created, Stdio)> {
    let user = launch.spec.process.as_ref().map(|process| process.user.clone()).unwrap_or_default();
    let (theirs, ours) = streams(engine, container, &user)?;
    let complete = || Ok(making.complete()?);
    if !runtime::enters_cgroup_late(&launch.spec) {
        making.complete()?;
    }
    let request = runtime::Create {
        spec: &launch.spec,
        rootfs: runtime::Rootfs::Detached(&launch.rootfs),
        mount_point: &engine.paths().mount_point(),
        stdio: theirs,
        cgroup: Some(runtime::Group::Begun { making, complete: &complete }),
        seccomp: launch.program.as_ref(),
        reaper: container.record.options.process.init,
        bundle: None,
    };
    let mut created = runtime::create_and_connect(request, connect).map_err(start_error)?;
    let stdio = stdio_of(ours, created.console.take())?;
    Ok((created, stdio))
}

/// The container's ends, and ours unless they come with its terminal.
fn streams(
    engine: &Engine,
    container: &Container,
    user: &spec::runtime::User,
) -> Result<(runtime::Stdio, Option<Stdio>)> {
    let options = &container.record.options.process;
    if options.tty {
        let (width, height) = options.console_size.unwrap_or((80, 24));
        return Ok((runtime::Stdio::Terminal { width, height }, None));
    }
    let (theirs, ours) = stdio::make(&engine.paths().run(container.id()), user.uid, user.gid, options.stdin_open)?;
    Ok((theirs, Some(ours)))
}

fn stdio_of(ours: Option<Stdio>, console: Option<OwnedFd>) -> Result<Stdio> {
    match (ours, console) {
        (Some(ours), _) => Ok(ours),
        (None, Some(console)) => Stdio::terminal(console),
        (None, None) => Stdio::none(),
    }
}

impl Ready {
    /// Takes everything back.
    pub fn abandon(self) {
        match self.created {
            Created::Own(created) => created.abandon(),
            Created::Other(runtime, created) => runtime.abandon(created),
        }
        let _ = self.cgroup.remove();
    }

    /// Executes the command. On an error the process is gone and its cgroup removed.
    pub fn start(self) -> Result<(Process, Stdio)> {
        let started = match self.created {
            Created::Own(created) => created.start().map(|running| (running.pidfd, None)).map_err(start_error),
            Created::Other(runtime, created) => match runtime.start() {
                Ok(()) => Ok((created.pidfd, Some(runtime))),
                Err(error) => {
                    runtime.abandon(created);
                    Err(failed_to_start(error))
                }
            },
        };
        match started {
            Ok((pidfd, runtime)) => Ok((Process { pidfd, cgroup: self.cgroup, stranger: None, runtime }, self.stdio)),
            Err(error) => {
                let _ = self.cgroup.remove();
                Err(error)
            }
        }
    }
}

/// What another runtime complains of, in the words of our own.
fn failed_to_start(error: Error) -> Error {
    let words = |text: String| format!("failed to start container: {text}");
    match error {
        Error::CommandNotFound(text) => Error::CommandNotFound(words(text)),
        Error::CommandNotExecutable(text) => Error::CommandNotExecutable(words(text)),
        Error::Failed(text) => Error::Failed(words(text)),
        other => other,
    }
}

/// Takes over a running container.
pub fn adopt(engine: &Engine, container: &Container, id: ProcessId) -> Result<(Process, Stdio)> {
    let runtime = OciRuntime::of(engine, &container.record);
    let process = Process { pidfd: id.open()?, cgroup: container.cgroup()?, stranger: Some(id), runtime };
    if let Some(runtime) = &process.runtime {
        runtime.finish_start()?;
    }
    let stdio = if container.record.options.process.tty {
        Stdio::none()?
    } else {
        stdio::reopen(&engine.paths().run(container.id()))?
    };
    Ok((process, stdio))
}

impl Process {
    /// The exit status of the ended process; `None` when nobody can tell any more.
    pub fn reap(&self) -> Result<Option<Exit>> {
        match self.stranger {
            None => Ok(Some(self.pidfd.wait()?)),
            Some(id) => Ok(kernel::stranger::exit(&self.pidfd, id)),
        }
    }

    /// Ends what is left in the cgroup (processes of a container with the host's pid namespace) and removes it.
    pub fn clean_up(&self) {
        self.end_rest();
        let _ = self.runtime.as_ref().map_or(Ok(()), OciRuntime::delete);
        let _ = self.cgroup.remove();
    }

    /// A signal for the first process.
    pub fn signal(&self, number: i32) {
        let signal = kernel::signal::Signal::from_number(number);
        let told = |runtime: &OciRuntime| signal.is_some_and(|signal| runtime.kill(signal).is_ok());
        if !self.runtime.as_ref().is_some_and(told) {
            // It fails when the process has ended, or for a number that is no signal.
            let _ = self.pidfd.send_signal(number);
        }
    }

    /// Ends what is left in the cgroup.
    pub fn end_rest(&self) {
        if self.cgroup.processes().is_ok_and(|left| !left.is_empty()) {
            let _ = self.cgroup.kill(kernel::signal::Signal::KILL);
        }
    }
}
