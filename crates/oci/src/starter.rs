//! A container whose first process waits for its maker's word. The maker hands on the terminal and writes pid files
//! first; then [`Starter::start`]. If it is dropped, nothing is left of the container; if its owner is killed, the
//! process ends by itself and what is on disk is taken away by `delete --force`.

use crate::container::Container;
use crate::delete;
use crate::error::Result;
use kernel::lock::Lock;
use kernel::pidfd::PidFd;
use runtime::{Created, Running, hooks};
use spec::runtime::Status;
use std::os::fd::OwnedFd;

pub struct Starter {
    container: Container,
    /// Taken by `start`.
    created: Option<Created>,
    warnings: Vec<String>,
    /// Held from the name's reservation until the container runs or waits. The last one, so that it is dropped when
    /// everything it guards is in order.
    _lock: Lock,
}

impl Starter {
    pub(crate) fn new(container: Container, created: Created, lock: Lock, warnings: Vec<String>) -> Starter {
        Starter { container, created: Some(created), warnings, _lock: lock }
    }

    pub fn container(&self) -> &Container {
        &self.container
    }

    pub fn pid(&self) -> i32 {
        self.container.record.init_process_pid
    }

    pub fn pidfd(&self) -> &PidFd {
        &self.created().pidfd
    }

    /// What was asked for and is not so, for people.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The terminal's master, if one was asked for.
    pub fn console(&self) -> Option<&OwnedFd> {
        self.created().console.as_ref()
    }

    fn created(&self) -> &Created {
        self.created.as_ref().expect("only `start` takes it, which takes us too")
    }

    /// Lets the process go: to its program, or to its gate. On an error nothing of the container is left.
    pub fn start(mut self) -> Result<(Container, Running)> {
        let waits = self.container.gate().exists();
        let created = self.created.take().expect("only we take it");
        let running = match created.start() {
            Ok(running) => running,
            Err(error) => {
                self.remove();
                return Err(error.into());
            }
        };
        if !waits && let Some(hooks) = &self.container.record.config.hooks {
            let state = self.container.state(Status::Running);
            if let Err(error) = hooks::run(hooks::Moment::Poststart, &hooks.poststart, &[], &state) {
                // Ours to end and to reap; either fails only when it has ended by itself.
                let _ = running.pidfd.send_signal(9);
                let _ = running.pidfd.wait();
                self.remove();
                return Err(error.into());
            }
        }
        Ok((self.container.clone(), running))
    }

    /// Why the container is not wanted is what counts, and is told; what cannot be taken back the next `delete` tells.
    fn remove(&self) {
        let _ = delete::remove(&self.container);
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        if let Some(created) = self.created.take() {
            created.abandon();
            self.remove();
        }
    }
}
