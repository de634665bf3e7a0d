//! Seccomp listeners (config-linux.md, `listenerPath`): a filter with SCMP_ACT_NOTIFY asks an agent about calls. The
//! agent's socket is connected to in the parent, before anything is made; the child sends it the listener's descriptor,
//! together with what container it is, at the moment in which the filter is loaded.

use crate::error::{Result, invalid};
use kernel::Context;
use spec::runtime::{ContainerProcessState, Seccomp, State, Status};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

pub(crate) struct Listener<'a> {
    agent: OwnedFd,
    metadata: &'a str,
    state: State,
    /// As the host counts; the child learns it.
    pid: Cell<i32>,
    is_first: bool,
}

impl<'a> Listener<'a> {
    /// `None` for a profile that asks nobody. `container` is its state and whether this is for its first process, of which
    /// neither status nor pid are known yet.
    pub fn connect(profile: &'a Seccomp, container: Option<(&State, bool)>) -> Result<Option<Listener<'a>>> {
        if !crate::seccomp::asks(profile) {
            return Ok(None);
        }
        if profile.listener_path.is_empty() {
            return Err(invalid("seccomp action SCMP_ACT_NOTIFY needs a listenerPath, the socket of who decides"));
        }
        let (state, is_first) = container.ok_or_else(|| {
            invalid(
                "seccomp action SCMP_ACT_NOTIFY is for containers of brig runtime; use SCMP_ACT_ERRNO or SCMP_ACT_LOG",
            )
        })?;
        let agent = kernel::socket::connect_path(Path::new(&profile.listener_path)).map_err(|error| {
            let action = format!("failed to connect with seccomp agent: {}", error.action);
            kernel::Error { action, ..error }
        })?;
        let metadata = &profile.listener_metadata;
        Ok(Some(Listener { agent, metadata, state: state.clone(), pid: Cell::new(0), is_first }))
    }

    /// While the `/proc` that we see is the host's: what we know ourselves is our pid in the container.
    pub fn learn_pid(&self) -> Result<()> {
        let target = rustix::fs::readlink("/proc/self", Vec::new()).during_at("read link", "/proc/self")?;
        let pid = target.to_str().ok().and_then(|text| text.parse().ok());
        self.pid.set(pid.ok_or_else(|| kernel::Error::at("read pid in", "/proc/self", rustix::io::Errno::INVAL))?);
        Ok(())
    }

    pub fn agent(&self) -> BorrowedFd<'_> {
        self.agent.as_fd()
    }

    /// What goes with the descriptor.
    pub fn text(&self) -> Vec<u8> {
        let pid = self.pid.get();
        let mut state = self.state.clone();
        if self.is_first {
            state.status = Status::Creating;
            state.pid = Some(pid);
        }
        let message = ContainerProcessState {
            oci_version: spec::runtime::VERSION.to_owned(),
            fds: vec![ContainerProcessState::SECCOMP_FD.to_owned()],
            pid,
            metadata: self.metadata.to_owned(),
            state,
        };
        serde_json::to_vec(&message).expect("text and numbers")
    }
}
