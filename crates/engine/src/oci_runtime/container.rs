//! Processes made by another OCI runtime: a container's first one and those of `exec`. Its parent is whoever calls: the
//! runtime itself ends once the process is there, and a subreaper inherits it. The rootfs is attached in a mount namespace
//! of the monitor's own, so that the runtime finds it until the container is deleted, and nobody else ever does.

use super::OciRuntime;
use super::call::{Streams, call, in_memory, path_of};
use super::console::Console;
use crate::container::cgroup_name;
use crate::error::{Error, Result};
use crate::file;
use crate::run::Launch;
use kernel::Context;
use kernel::mount::{Mount, Propagation, set_propagation};
use kernel::namespace::{self, Kind, Set, unshare};
use kernel::pidfd::PidFd;
use kernel::process::ProcessId;
use runtime::Stdio;
use rustix::fs::CWD;
use spec::runtime::{NamespaceKind, Process, Resources, Spec};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A process of which we are the parent.
#[derive(Debug)]
pub struct Created {
    pub id: ProcessId,
    pub pidfd: PidFd,
    /// Master side of the terminal, if one was asked for.
    pub console: Option<OwnedFd>,
}

impl Created {
    /// Kills it and waits for its end.
    fn end(&self) {
        // Either fails only when it has ended and been reaped already.
        let _ = self.pidfd.send_signal(kernel::signal::Signal::KILL.number());
        let _ = self.pidfd.wait();
    }
}

impl OciRuntime {
    /// A container up to the moment before its program, which waits for `start`. The calling process, its monitor, is a
    /// subreaper with a mount namespace of its own from now on. On an error nothing is left but files in the run folder.
    pub fn create(&self, launch: &Launch, stdio: Stdio) -> Result<Created> {
        self.delete()?; // what a former monitor may have left
        let created = self.create_anew(launch, stdio).inspect_err(|_| drop(self.delete()))?;
        match bring_up_loopback(&launch.spec, created.id.pid)
            .and_then(|()| self.check_limits(&launch.spec, created.id.pid))
        {
            Ok(()) => Ok(created),
            Err(error) => {
                self.abandon(created);
                Err(error)
            }
        }
    }

    /// Ends a process that `create` made, and takes back what belongs to it. In this order: runsc's `delete` waits until
    /// the process is gone, which it is only when we have reaped it.
    pub fn abandon(&self, created: Created) {
        created.end();
        let _ = self.delete();
    }

    fn create_anew(&self, launch: &Launch, stdio: Stdio) -> Result<Created> {
        file::make_directory(&self.folder)?;
        file::make_directory(&self.rootfs)?;
        let bundle = self.rootfs.parent().unwrap_or(&self.rootfs);
        file::write_json(&bundle.join("config.json"), &launch.spec)?;
        attach_apart(&launch.rootfs, &self.rootfs)?;
        self.make_process(&["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str()], stdio)
    }

    /// A further process in the container. The calling process is a subreaper from now on.
    pub fn exec(&self, process: &Process, stdio: Stdio) -> Result<Created> {
        let document = in_memory("process")?;
        let text = serde_json::to_vec(process).map_err(|e| Error::Failed(format!("encode process: {e}")))?;
        use std::io::Write;
        let mut file = std::fs::File::from(document);
        file.write_all(&text).during("write process")?;
        let path = path_of(&file);
        self.make_process(&["exec".as_ref(), "--detach".as_ref(), "--process".as_ref(), path.as_ref()], stdio)
    }

    /// `words`, and who the process is, in a file, because that is how runtimes tell it.
    fn make_process(&self, words: &[&OsStr], stdio: Stdio) -> Result<Created> {
        kernel::prctl::become_subreaper()?;
        let pid_file = self.folder.join(format!("pid-{}", std::process::id()));
        let console = match &stdio {
            Stdio::Terminal { .. } => Some(Console::listen(&self.folder)?),
            Stdio::Fds { .. } => None,
        };
        let socket = console.as_ref().map(Console::path);
        let mut words = words.to_vec();
        words.extend([OsStr::new("--pid-file"), pid_file.as_os_str()]);
        words.extend(socket.iter().flat_map(|path| [OsStr::new("--console-socket"), path.as_os_str()]));
        words.push(self.id.as_str().as_ref());
        let streams = match &stdio {
            Stdio::Fds { stdin, stdout, stderr } => Streams::Fds([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]),
            Stdio::Terminal { .. } => Streams::None,
        };
        let called = call(self, &words, streams);
        let pid = std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok());
        let _ = std::fs::remove_file(&pid_file);
        called?;
        let no_pid = || Error::Failed(format!("runtime {} has not said which process it made", self.program.display()));
        // Ours to reap: though it may have ended by now, its number is no other's.
        let id = ProcessId::of(pid.ok_or_else(no_pid)?)?;
        let mut created = Created { id, pidfd: PidFd::open(id.pid)?, console: None };
        if let (Some(console), Stdio::Terminal { width, height }) = (console, stdio) {
            match console.receive() {
                Ok(master) => {
                    if (width, height) != (0, 0) {
                        kernel::pty::set_size(&master, width, height)?;
                    }
                    created.console = Some(master);
                }
                Err(error) => {
                    created.end();
                    return Err(error);
                }
            }
        }
        Ok(created)
    }

    /// A runtime may be told to keep away from cgroups; then it cannot keep limits that were asked for.
    fn check_limits(&self, spec: &Spec, pid: i32) -> Result<()> {
        let asked = spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
        let limited =
            asked.is_some_and(|asked| Resources { devices: Vec::new(), ..asked.clone() } != Resources::default());
        if !limited || is_in_cgroup(pid, &cgroup_name(&self.id)) {
            return Ok(());
        }
        Err(Error::Unsupported(format!(
            "runtime {} has put the container in no cgroup, so limits cannot be kept: leave them away, or let it use cgroups",
            self.program.display()
        )))
    }
}

/// In a network namespace that the runtime has made: not all of them do it (runsc leaves it down), and names are resolved
/// through it.
fn bring_up_loopback(spec: &Spec, pid: i32) -> Result<()> {
    let mut namespaces = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    if !namespaces.any(|one| one.kind == NamespaceKind::Network && one.path.is_empty()) {
        return Ok(());
    }
    let namespace = namespace::open(Path::new(&format!("/proc/{pid}/ns/net")))?;
    Ok(kernel::netlink::within(namespace, kernel::loopback::bring_up)?)
}

/// Later mounts of the host still come in, ours never get out.
fn attach_apart(mount: &Mount, place: &Path) -> kernel::Result<()> {
    unshare(Set::NONE.with(Kind::Mount))?;
    set_propagation(Path::new("/"), Propagation::Slave, true)?;
    mount.attach_at(CWD, place)
}

/// Whether a hierarchy has the process in the group `name` or beneath it.
fn is_in_cgroup(pid: i32, name: &str) -> bool {
    let list = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    list.lines().any(|line| line.contains(name))
}
