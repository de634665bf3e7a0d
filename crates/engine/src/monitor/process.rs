//! The container's first process as its monitor has it: made by us or taken over from a killed
//! monitor, with its cgroup.

use super::stdio::{self, Stdio};
use crate::container::{Container, cgroup_name};
use crate::engine::Engine;
use crate::error::Result;
use crate::run::{Launch, start_error};
use kernel::cgroup::{Cgroup, Layout};
use kernel::pidfd::{Exit, PidFd};
use kernel::process::ProcessId;

/// A live container.
#[derive(Debug)]
pub struct Process {
    pub pidfd: PidFd,
    pub cgroup: Cgroup,
    /// `None` for our own child.
    stranger: Option<ProcessId>,
}

/// A container whose init waits for the word to execute its command.
pub struct Ready {
    pub id: ProcessId,
    cgroup: Cgroup,
    stdio: Stdio,
    created: runtime::Created,
}

/// Everything but execve. On an error nothing is left but files in the run folder.
pub fn create(engine: &Engine, container: &Container, launch: &Launch) -> Result<Ready> {
    let process = launch.spec.process.as_ref();
    let linux = launch.spec.linux.as_ref();
    let resources =
        linux.and_then(|linux| linux.resources.as_ref()).map(runtime::cgroup::resources).unwrap_or_default();
    let cgroup = Layout::detect()?.create(&cgroup_name(container.id()), &resources)?;
    let result = create_in(engine, container, launch, process, &cgroup);
    if result.is_err() {
        let _ = cgroup.remove();
    }
    let (created, stdio) = result?;
    // Only now is everything open that the specification names by the number of another container's process.
    match launch.joined.check().and_then(|()| Ok(ProcessId::of(created.pid)?)) {
        Ok(id) => Ok(Ready { id, cgroup, stdio, created }),
        Err(error) => {
            created.abandon();
            let _ = cgroup.remove();
            Err(error)
        }
    }
}

fn create_in(
    engine: &Engine,
    container: &Container,
    launch: &Launch,
    process: Option<&spec::runtime::Process>,
    cgroup: &Cgroup,
) -> Result<(runtime::Created, Stdio)> {
    let options = &container.record.options.process;
    let user = process.map(|process| process.user.clone()).unwrap_or_default();
    let (theirs, ours) = if options.tty {
        let (width, height) = options.console_size.unwrap_or((80, 24));
        (runtime::Stdio::Terminal { width, height }, None)
    } else {
        let (theirs, ours) = stdio::make(&engine.paths().run(container.id()), user.uid, user.gid, options.stdin_open)?;
        (theirs, Some(ours))
    };
    let mut created = runtime::create(runtime::Create {
        spec: &launch.spec,
        rootfs: runtime::Rootfs::Detached(&launch.rootfs),
        mount_point: &engine.paths().mount_point(),
        stdio: theirs,
        cgroup: Some(cgroup),
        seccomp: launch.program.as_ref(),
        reaper: options.init,
        bundle: None,
    })
    .map_err(start_error)?;
    let stdio = match (ours, created.console.take()) {
        (Some(ours), _) => ours,
        (None, Some(console)) => Stdio::terminal(console)?,
        (None, None) => Stdio::none()?,
    };
    Ok((created, stdio))
}

impl Ready {
    /// Takes everything back.
    pub fn abandon(self) {
        self.created.abandon();
        let _ = self.cgroup.remove();
    }

    /// Executes the command. On an error the process is gone and its cgroup removed.
    pub fn start(self) -> Result<(Process, Stdio)> {
        match self.created.start() {
            Ok(running) => {
                let process = Process { pidfd: running.pidfd, cgroup: self.cgroup, stranger: None };
                Ok((process, self.stdio))
            }
            Err(error) => {
                let _ = self.cgroup.remove();
                Err(start_error(error))
            }
        }
    }
}

/// Takes over a running container.
pub fn adopt(engine: &Engine, container: &Container, id: ProcessId) -> Result<(Process, Stdio)> {
    let process = Process { pidfd: id.open()?, cgroup: container.cgroup()?, stranger: Some(id) };
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
        let _ = self.cgroup.remove();
    }

    /// Ends what is left in the cgroup.
    pub fn end_rest(&self) {
        if self.cgroup.processes().is_ok_and(|left| !left.is_empty()) {
            let _ = self.cgroup.kill(kernel::signal::Signal::KILL);
        }
    }
}
