//! The last part of every process that becomes a container's program, the first one and those of `exec`: from
//! a process of the host, already inside the container's root, to execve. Here rights are given up, so the
//! order is everything; each step says why it stands where it does.

use crate::bundle::{self, Ending};
use crate::error::{Error, Result};
use crate::listener::Listener;
use crate::prepare::{Filter, Process};
use crate::reaper;
use crate::sync::{Message, Socket};
use kernel::Context;
use kernel::capability::{self, Capability, Set};
use kernel::{clone, exec, identity, prctl, pty, rlimit, seccomp};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Standard input, output and error, or a terminal for all three.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Streams<'a> {
    Fds([BorrowedFd<'a>; 3]),
    Terminal { width: u16, height: u16 },
}

/// An error, and the socket to tell it through where that has changed its number.
pub(crate) struct Failure {
    error: Error,
    socket: Option<Socket>,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { error: error.into(), socket: None }
    }
}

impl Failure {
    /// Tells the parent; the result is the exit code.
    pub fn report(self, socket: &Socket) -> i32 {
        let code = match &self.error {
            Error::Exec(error) => error.kind.exit_code(),
            _ => 125,
        };
        // When this fails the parent is gone and nobody waits for the reason.
        let _ = self.socket.as_ref().unwrap_or(socket).send(&Message::Failed(self.error));
        code
    }
}

pub(crate) fn close_parents_end(ours: &Socket) {
    exec::close_copy(ours.as_fd());
}

/// What needs the host's `/proc`, in the cgroup and before anybody else is let near.
pub(crate) fn prepare_self(process: &Process<'_>) -> Result<()> {
    adjust_oom_score(process)?;
    process.attributes.in_cgroup()?;
    match process.filter.as_ref().and_then(|filter| filter.listener.as_ref()) {
        Some(listener) => listener.learn_pid(),
        None => Ok(()),
    }
}

/// Raising the score is free, lowering it needs CAP_SYS_RESOURCE.
fn adjust_oom_score(process: &Process<'_>) -> Result<()> {
    const PATH: &str = "/proc/self/oom_score_adj";
    match process.oom_score_adjustment {
        None => Ok(()),
        Some(adjustment) => Ok(std::fs::write(PATH, adjustment.to_string()).during_at("write", PATH)?),
    }
}

/// Never returns without an error. The caller is root in the container's user namespace, its root directory is
/// the container's.
pub(crate) fn become_program(
    process: &Process<'_>,
    streams: &Streams<'_>,
    terminal: Option<OwnedFd>,
    ending: &Ending<'_>,
    socket: &Socket,
) -> Result<Infallible, Failure> {
    // 1. A session of its own: the caller's terminal and keys are out of reach. With a reaper the program
    //    gets the terminal, not pid 1.
    identity::new_session()?;
    if ending.wants_keyring() {
        identity::new_session_keyring()?;
    }
    if let (Some(terminal), false) = (&terminal, process.reaper) {
        pty::make_controlling(terminal)?;
    }
    // 2. Streams, and nothing else open: below here no descriptor of the host exists but the socket
    //    (CVE-2024-21626). Before limits, which may allow fewer descriptors than we hold.
    let Kept { socket, gate, agent } = take_streams(process, streams, terminal, ending, socket)?;
    // From here on the socket has a new number, and failures must carry it.
    let located = match with_streams(process, ending, &socket, agent) {
        Ok(located) => located,
        Err(error) => return Err(Failure { error, socket: Some(socket) }),
    };
    match gate {
        None => match execute(process, ending, &located, &socket) {
            Ok(never) => match never {},
            Err(error) => Err(Failure { error, socket: Some(socket) }),
        },
        Some(gate) => {
            // The end of file lets our maker go. From here on nobody listens, and what fails is told on standard error.
            drop(socket);
            clone::exit(wait_and_execute(process, ending, &located, gate))
        }
    }
}

/// Up to the parent's word to go on.
fn with_streams<'a>(
    process: &'a Process<'_>,
    ending: &Ending<'_>,
    socket: &Socket,
    agent: Option<OwnedFd>,
) -> Result<Located<'a>> {
    // 3. Limits while we may still raise them, up to our own.
    for limit in &process.limits {
        rlimit::set(limit.resource, limit.soft, limit.hard)?;
    }
    process.attributes.before_rights_go()?;
    identity::set_umask(process.umask);
    // 4. The directory as root, for one that the user may be in but not reach, as runc; else as the user.
    let entered = rustix::process::chdir(process.working_directory.as_c_str());
    // 5. Rights: the bounding set while we have CAP_SETPCAP, ids while we have CAP_SETUID, and of the rest
    //    only what the program gets and what step 8 needs.
    let last = change_identity(process)?;
    enter_directory(process, entered)?;
    if process.no_new_privileges {
        prctl::no_new_privileges()?;
    }
    // 6. With the program's own rights, so that what is found can be executed.
    let program = process.program.locate()?;
    exec::reset_signals()?;
    if ending.bundle.is_some_and(|bundle| bundle.gate.is_some()) {
        bundle::prepare_gate()?;
    }
    // 7. All that can fail has been tried. The end of file means that the parent has ended.
    socket.send(&Message::Ready)?;
    match socket.receive_plain()? {
        Some(Message::Start) => Ok(Located { program, last, agent: Cell::new(agent) }),
        _ => Err(Error::Ended),
    }
}

/// The program's file, the rights that are given up after the filter, if any, and who is asked by the filter.
struct Located<'a> {
    program: &'a CStr,
    last: Option<capability::Process>,
    agent: Cell<Option<OwnedFd>>,
}

/// The exit code, after an error: runc's, for nobody else is there to judge.
fn wait_and_execute(process: &Process<'_>, ending: &Ending<'_>, located: &Located<'_>, gate: OwnedFd) -> i32 {
    let result: Result<Infallible> = bundle::wait_at_gate(&gate).and_then(|()| {
        // Closed before hooks and the program could have a copy.
        drop(gate);
        finish(process, ending, located)?;
        Err(process.program.execute(located.program))
    });
    let error: Error = match result {
        Ok(never) => match never {},
        Err(error) => error,
    };
    let text = match &error {
        Error::Exec(error) => format!("exec {}: {}\n", error.program, error.reason),
        error => format!("{error}\n"),
    };
    // The last that this process can do.
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    255
}

fn execute(process: &Process<'_>, ending: &Ending<'_>, located: &Located<'_>, socket: &Socket) -> Result<Infallible> {
    finish(process, ending, located)?;
    if process.reaper {
        return reaper::run(process, located.program, socket);
    }
    Err(process.program.execute(located.program))
}

fn finish(process: &Process<'_>, ending: &Ending<'_>, located: &Located<'_>) -> Result<()> {
    // 8. The filter last, for it may forbid what was needed until now. Without no_new_privs that takes CAP_SYS_ADMIN,
    //    which goes right after if the program must not have it.
    match &process.filter {
        Some(Filter { program, flags, listener: None }) => seccomp::load(program, *flags)?,
        Some(Filter { program, flags, listener: Some(listener) }) => {
            let agent =
                located.agent.take().ok_or_else(|| kernel::Error::new("find the seccomp agent", Errno::BADF))?;
            let text = listener.text();
            let deliver = move |fd: OwnedFd| kernel::socket::send_fd(agent, fd.as_fd(), &text);
            seccomp::load_with_listener(program, *flags, deliver)?;
        }
        None => {}
    }
    if let Some(last) = &located.last {
        last.apply()?;
    }
    // 9. With exactly the rights of the program.
    ending.hooks_before_program()
}

fn take_streams(
    process: &Process<'_>,
    streams: &Streams<'_>,
    terminal: Option<OwnedFd>,
    ending: &Ending<'_>,
    socket: &Socket,
) -> Result<Kept> {
    let fds = match (streams, &terminal) {
        (Streams::Fds(fds), _) => *fds,
        (Streams::Terminal { .. }, Some(terminal)) => [terminal.as_fd(); 3],
        (Streams::Terminal { .. }, None) => return Err(kernel::Error::new("open terminal", Errno::NOTTY).into()),
    };
    if process.user != 0 {
        for fd in fds {
            give_pipe(fd, process.user)?;
        }
    }
    let mut fds = fds;
    let null = if ending.bundle.is_some() { own_null(&fds)? } else { None };
    if let Some(null) = &null {
        fds.iter_mut().filter(|fd| is_null(**fd)).for_each(|fd| *fd = null.as_fd());
    }
    let gate = ending.bundle.and_then(|bundle| bundle.gate);
    let agent = process.filter.as_ref().and_then(|filter| filter.listener.as_ref()).map(Listener::agent);
    let others: Vec<BorrowedFd<'_>> = std::iter::once(socket.as_fd()).chain(gate).chain(agent).collect();
    let mut kept = exec::keep_only(fds, ending.preserved(), &others)?.into_iter();
    // Closed by number above: dropping it would close whatever has that number now.
    std::mem::forget((terminal, null));
    let socket = kept.next().expect("as many are kept as were given");
    let gate = gate.and_then(|_| kept.next());
    Ok(Kept { socket: Socket::from_fd(socket), gate, agent: kept.next() })
}

/// The container's own null device, if a stream is the host's: that lies on a mount which nobody in the container can
/// name, and which CRIU cannot find. `None` also when the container has no such device.
fn own_null(fds: &[BorrowedFd<'_>]) -> Result<Option<OwnedFd>> {
    if !fds.iter().any(|fd| is_null(*fd)) {
        return Ok(None);
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    match rustix::fs::open("/dev/null", flags, Mode::empty()) {
        Ok(null) if is_null(null.as_fd()) => {
            rustix::fs::fcntl_setfl(&null, OFlags::RDWR).during("make /dev/null blocking")?;
            Ok(Some(null))
        }
        _ => Ok(None),
    }
}

fn is_null(fd: BorrowedFd<'_>) -> bool {
    let null = rustix::fs::makedev(1, 3);
    let is_null = |stat: rustix::fs::Stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == null
    };
    rustix::fs::fstat(fd).is_ok_and(is_null)
}

/// Descriptors of ours that are open until execve.
struct Kept {
    socket: Socket,
    gate: Option<OwnedFd>,
    agent: Option<OwnedFd>,
}

/// Pipes become the user's, so that programs can open /dev/stdout. Files and terminals of the host do not.
fn give_pipe(fd: BorrowedFd<'_>, user: u32) -> Result<()> {
    let stat = rustix::fs::fstat(fd).during("stat standard stream")?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo || stat.st_uid == user {
        return Ok(());
    }
    let owner = rustix::fs::Uid::from_raw(user);
    match rustix::fs::fchown(fd, Some(owner), None) {
        // A user that the namespace does not map, or a pipe of somebody else: the program can write all the same.
        Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS) => Ok(()),
        Err(errno) => Err(errno).during("set owner of standard stream").map_err(Error::from),
    }
}

/// Returns the sets to apply after the filter, where they differ from those applied here.
fn change_identity(process: &Process<'_>) -> Result<Option<capability::Process>> {
    let wanted = &process.capabilities;
    let had = capability::Process::current()?.permitted;
    // What we do not have ourselves cannot be given; the specification wants that to be no error.
    let permitted = wanted.permitted.intersection(had);
    let last = capability::Process {
        permitted,
        effective: wanted.effective.intersection(permitted),
        inheritable: wanted.inheritable.intersection(had),
    };
    capability::limit_bounding(wanted.bounding, wanted.all)?;
    prctl::keep_capabilities(true)?;
    // Groups before the user, which takes the right to change them.
    set_groups(process.groups)?;
    identity::set_group(process.group)?;
    identity::set_user(process.user)?;
    prctl::keep_capabilities(false)?;
    let for_filter = match process.filter {
        Some(_) if !process.no_new_privileges => Set::EMPTY.with(Capability::SYS_ADMIN).intersection(had),
        _ => Set::EMPTY,
    };
    let now = capability::Process {
        permitted: last.permitted.union(for_filter),
        effective: last.effective.union(for_filter),
        inheritable: last.inheritable,
    };
    now.apply()?;
    // Ambient ones must be permitted and inheritable, so only now.
    capability::set_ambient(wanted.ambient.intersection(permitted).intersection(last.inheritable))?;
    Ok((now != last).then_some(last))
}

/// A user namespace made without privileges forbids setgroups for good; without groups to set that is no error.
fn set_groups(groups: &[u32]) -> Result<()> {
    match identity::set_groups(groups) {
        Err(error) if error.errno == Errno::PERM && groups.is_empty() => Ok(()),
        result => Ok(result?),
    }
}

fn enter_directory(process: &Process<'_>, entered: rustix::io::Result<()>) -> Result<()> {
    let path: &CStr = &process.working_directory;
    let entered = match entered {
        Err(Errno::ACCESS | Errno::PERM) => rustix::process::chdir(path),
        result => result,
    };
    entered.map_err(|errno| process.program.no_working_directory(path, errno))?;
    // A directory outside our root shows as "(unreachable)…" (getcwd(2)): a leaked descriptor led us out (CVE-2024-21626).
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        _ => Err(kernel::Error::new("enter a working directory outside of the container", Errno::XDEV).into()),
    }
}
