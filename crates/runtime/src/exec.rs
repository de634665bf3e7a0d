//! Another process in a running container. It joins all namespaces of the container's first process by that
//! process's descriptor, in one call, and then becomes its program as the first one did. Nothing that it finds
//! inside is trusted: files and mounts there may be anything by now. Refusing a paused container is the caller's.

use crate::attributes::Attributes;
use crate::bundle::{Bundle, Ending};
use crate::create::{Created, Stdio, filter, finish};
use crate::error::Result;
use crate::prepare::Process;
use crate::process::{self, Failure, Streams};
use crate::sync::{self, Socket};
use crate::{rootfs, spawn};
use kernel::Context;
use kernel::beneath::Root;
use kernel::cgroup::Entry;
use kernel::clone::Options;
use kernel::namespace::{self, Kind, Set};
use kernel::pidfd::PidFd;
use kernel::process::ProcessId;
use kernel::{identity, pivot, prctl};
use rustix::fs::{Mode, OFlags};
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

pub struct Exec<'a> {
    /// The container's first process.
    pub target: ProcessId,
    pub process: &'a spec::runtime::Process,
    pub stdio: Stdio,
    /// The container's, entered before anything else.
    pub cgroup: Option<Entry>,
    /// Compiled ahead; else `profile` is compiled here.
    pub seccomp: Option<&'a kernel::seccomp::Program>,
    /// The container's profile; its flags count for `seccomp` too.
    pub profile: Option<&'a spec::runtime::Seccomp>,
    /// The container's, for what all its processes share: personality and memory policy.
    pub linux: Option<&'a spec::runtime::Linux>,
    /// As in [`crate::Create`]; it has no gate and its hooks are the first process's.
    pub bundle: Option<Bundle<'a>>,
}

struct Plan<'a> {
    target: PidFd,
    namespaces: Set,
    /// Of a container whose root is not that of a mount namespace.
    root: Option<OwnedFd>,
    entry: Option<Entry>,
    streams: Streams<'a>,
    process: Process<'a>,
    ending: Ending<'a>,
}

/// Makes the process up to its execve. The caller must have one thread only. `ESRCH` when the container's first
/// process has ended.
pub fn exec(exec: Exec<'_>) -> Result<Created> {
    let target = exec.target.open()?;
    let root = if exec.linux.is_some_and(shares_mounts) { Some(root_of(exec.target.pid, &target)?) } else { None };
    let plan = Plan {
        target,
        root,
        namespaces: namespaces_of(exec.target.pid)?,
        entry: exec.cgroup,
        streams: exec.stdio.streams(),
        process: Process::prepare(
            exec.process,
            Attributes::of_exec(exec.process, exec.linux)?,
            filter(exec.seccomp, exec.profile, exec.bundle.map(|bundle| (bundle.state, false)))?,
            false,
        )?,
        ending: Ending { bundle: exec.bundle, hooks: None, environment: &exec.process.env },
    };
    let (ours, theirs) = sync::pair()?;
    let cgroup = plan.entry.as_ref().and_then(Entry::directory);
    let options = Options { cgroup, ..Options::default() };
    let child = spawn::spawn(options, Some(plan.target.as_fd()), || run(&plan, &ours, &theirs))?;
    // Our copy must go, or the child's end would not be the end of file.
    drop(theirs);
    finish(child, ours, &plan.ending, |_, _| Ok(()))
}

/// All but the pid namespace, which is joined around the clone. Joining the user namespace that we are in is an
/// error to the kernel, and not every kernel has time namespaces, so these two only where they differ from ours.
fn namespaces_of(target: i32) -> Result<Set> {
    let always = [Kind::Mount, Kind::Ipc, Kind::Uts, Kind::Network, Kind::Cgroup];
    let mut set: Set = always.into_iter().collect();
    for kind in [Kind::User, Kind::Time] {
        let id = |pid: &str| {
            let path = format!("/proc/{pid}/ns/{}", kind.file_name());
            rustix::fs::stat(path.as_str()).map(|stat| (stat.st_dev, stat.st_ino)).ok()
        };
        if id("self") != id(&target.to_string()) {
            set = set.with(kind);
        }
    }
    Ok(set)
}

/// Whether the root may be another than that of the mount namespace: one that is named may be the caller's.
fn shares_mounts(linux: &spec::runtime::Linux) -> bool {
    let is_new =
        |one: &spec::runtime::Namespace| one.kind == spec::runtime::NamespaceKind::Mount && one.path.is_empty();
    !linux.namespaces.iter().any(is_new)
}

/// The root directory of the process that `pidfd` stands for.
fn root_of(pid: i32, pidfd: &PidFd) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(path.as_str(), flags, Mode::empty()).during_at("open", path)?;
    // Still alive, so that the number was its own.
    pidfd.send_signal(0)?;
    Ok(root)
}

fn run(plan: &Plan<'_>, ours: &Socket, theirs: &Socket) -> i32 {
    // The parent's end was copied by the clone: as long as we hold it, its owner's death would not reach us.
    process::close_parents_end(ours);
    match enter(plan, theirs) {
        Ok(never) => match never {},
        Err(failure) => failure.report(theirs),
    }
}

fn enter(plan: &Plan<'_>, socket: &Socket) -> Result<Infallible, Failure> {
    plan.process.attributes.before_cgroup()?;
    // 1. The cgroup first: what follows is counted and limited.
    if let Some(entry) = &plan.entry {
        entry.enter().during("enter the cgroup")?;
    }
    // 2. While the /proc that we see is the host's.
    process::prepare_self(&plan.process)?;
    // 3. Out of the sight of the container's processes, which have seen our pid since the clone (CVE-2016-9962).
    prctl::forbid_inspection()?;
    // 4. All at once: with the mount namespace the root and the working directory become the container's.
    namespace::join_process(&plan.target, plan.namespaces)?;
    if let Some(root) = &plan.root {
        pivot::chroot(root)?;
    }
    if plan.namespaces.contains(Kind::User) {
        identity::set_groups(&[])?;
        identity::set_group(0)?;
        identity::set_user(0)?;
    }
    // 5. The terminal from the container's devpts, so that ttyname(3) finds it there.
    let terminal = match plan.streams {
        Streams::Fds(_) => None,
        Streams::Terminal { width, height } => Some(open_terminal(plan, width, height, socket)?),
    };
    // 6. From host's process to container's: streams, limits, rights, program.
    process::become_program(&plan.process, &plan.streams, terminal, &plan.ending, socket)
}

fn open_terminal(plan: &Plan<'_>, width: u16, height: u16, socket: &Socket) -> Result<OwnedFd> {
    let devpts = Root::open(Path::new("/"))?.open_dir("/dev/pts")?;
    let pty = rootfs::open_terminal(devpts, width, height, plan.process.user)?;
    socket.send(&sync::Message::Console(pty.master))?;
    Ok(pty.slave)
}
