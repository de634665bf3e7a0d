//! What only a container from a bundle needs, one that an engine hands to `brig runtime`: who it is for its hooks and
//! seccomp agents, the gate at which its first process waits for `start`, and what it inherits. `create` and
//! `exec` take it as an option, so that `brig run`, which has none of it, pays for none of it.

use crate::error::{Error, Result, invalid};
use crate::hooks::{self, Moment};
use crate::sync::{Message, Socket};
use kernel::Context;
use kernel::signal::{Signal, SignalFd, SignalSet, set_mask};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use spec::runtime::{Hooks, State, Status};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A container's identity and its ways to the outside.
#[derive(Debug, Clone, Copy)]
pub struct Bundle<'a> {
    /// As hooks and seccomp agents are told; status and pid are filled in here.
    pub state: &'a State,
    /// A FIFO, open for reading and writing. [`crate::Created::start`] then only lets go of the process: it waits, with
    /// nobody attached, until a byte is in the FIFO. `None`: the program starts at once.
    pub gate: Option<BorrowedFd<'a>>,
    /// So many descriptors from 3 on are handed to the program as they are. They must be the caller's caller's: nothing
    /// that was opened since.
    pub preserved: u32,
    pub root: RootChange,
    pub keyring: Keyring,
}

/// How the container's root takes the place of the host's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RootChange {
    #[default]
    Pivot,
    /// For a host on a RAM disk, which cannot be pivoted away. The host's root stays mounted below the container's.
    Move,
}

/// The session keyring (session-keyring(7)) of the container's processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keyring {
    #[default]
    New,
    Inherited,
}

/// The last part of a process's life before its program, as it concerns what is said here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ending<'a> {
    pub bundle: Option<Bundle<'a>>,
    pub hooks: Option<&'a Hooks>,
    /// The program's, which hooks in the container share unless they have their own.
    pub environment: &'a [String],
}

impl Ending<'_> {
    pub fn preserved(&self) -> u32 {
        self.bundle.map_or(0, |bundle| bundle.preserved)
    }

    pub fn wants_keyring(&self) -> bool {
        self.bundle.is_none_or(|bundle| bundle.keyring == Keyring::New)
    }

    /// In the child, with its mounts made and the host's root still around: the parent runs its hooks and we run ours.
    /// Ours start in the container's root, as with runc.
    pub fn hooks_before_pivot(&self, root: impl AsFd, socket: &Socket) -> Result<()> {
        let Some(hooks) = self.hooks.filter(|hooks| !before_pivot(hooks)) else {
            return Ok(());
        };
        socket.send(&Message::Hooks)?;
        let pid = match socket.receive_plain()? {
            Some(Message::HooksDone { pid }) => pid,
            _ => return Err(Error::Ended),
        };
        rustix::process::fchdir(root).during("change to the container's root")?;
        hooks::run(Moment::CreateContainer, &hooks.create_container, &[], &self.state(Status::Created, pid)?)
    }

    /// In the parent, when the child has asked for it.
    pub fn hooks_of_parent(&self, pid: i32) -> Result<()> {
        let Some(hooks) = self.hooks else { return Ok(()) };
        let state = self.state(Status::Created, pid)?;
        hooks::run(Moment::Prestart, &hooks.prestart, &[], &state)?;
        hooks::run(Moment::CreateRuntime, &hooks.create_runtime, &[], &state)
    }

    /// In the child, with nothing left to do but execve.
    pub fn hooks_before_program(&self) -> Result<()> {
        match self.hooks {
            Some(hooks) if !hooks.start_container.is_empty() => {
                let state = self.state(Status::Created, rustix::process::getpid().as_raw_nonzero().get())?;
                hooks::run(Moment::StartContainer, &hooks.start_container, self.environment, &state)
            }
            _ => Ok(()),
        }
    }

    /// The environment exists when the first hook runs, which makes the container a created one (runtime.md, state and
    /// lifecycle, steps 2 to 5).
    fn state(&self, status: Status, pid: i32) -> Result<State> {
        match self.bundle {
            Some(bundle) => Ok(State { status, pid: Some(pid), ..bundle.state.clone() }),
            None => Err(invalid("hooks need a container from a bundle")),
        }
    }
}

fn before_pivot(hooks: &Hooks) -> bool {
    hooks.prestart.is_empty() && hooks.create_runtime.is_empty() && hooks.create_container.is_empty()
}

/// Signals that end a process at the gate. As pid 1 of its namespace it would never hear of them otherwise
/// (pid_namespaces(7)), and `kill` of a container that was not started would have no effect.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Before anybody may know of the process: a signal from now on waits until the gate looks for it.
pub(crate) fn prepare_gate() -> Result<()> {
    set_mask(SignalSet::of(&ENDING))?;
    Ok(())
}

/// Waits until somebody writes into the gate, after [`prepare_gate`]. We hold its other end open too, so that this is no end of file.
pub(crate) fn wait_at_gate(gate: &OwnedFd) -> Result<()> {
    let signals = SignalFd::new(SignalSet::of(&ENDING))?;
    loop {
        let mut fds = [PollFd::new(gate, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(kernel::Error::new("wait for the container's start", errno).into()),
        }
        if let Some(signal) = signals.read() {
            kernel::clone::exit(128 + signal.number());
        }
        if !fds[0].revents().is_empty() {
            rustix::io::read(gate, &mut [0u8; 1]).during("wait for the container's start")?;
            set_mask(SignalSet::EMPTY)?;
            return Ok(());
        }
    }
}
