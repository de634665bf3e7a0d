//! Containers whose namespaces another one joins. They are found once for a start, and the specification names what they
//! have by the number of their first process, for paths are all that it knows. Once everything behind such a path is
//! open, `check` tells whether the number still means that process; before, it might have been another's.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::{Ipc, Namespaces, Network, Sharing};
use kernel::process::ProcessId;

/// Those of one start.
#[derive(Debug, Default)]
pub struct Joined {
    pub pid: Option<Other>,
    pub ipc: Option<Other>,
    pub network: Option<Other>,
}

/// A running container.
#[derive(Debug)]
pub struct Other {
    name: String,
    process: ProcessId,
}

impl Joined {
    /// `NotFound`, or `Conflict` when one does not run or keeps its IPC to itself.
    pub fn find(engine: &Engine, asked: &Namespaces) -> Result<Joined> {
        let mut joined = Joined::default();
        if let Sharing::Container(name) = &asked.pid {
            joined.pid = Some(running(&Container::find(engine, name)?, "pid")?);
        }
        if let Ipc::Container(name) = &asked.ipc {
            let other = Container::find(engine, name)?;
            require_shareable_ipc(&other)?;
            joined.ipc = Some(running(&other, "ipc")?);
        }
        if let Network::Container(name) = &asked.network {
            joined.network = Some(running(&Container::find(engine, name)?, "network")?);
        }
        Ok(joined)
    }

    /// `Conflict` when one of them has ended since. To be asked after all paths have been opened.
    pub fn check(&self) -> Result<()> {
        match [&self.pid, &self.ipc, &self.network].into_iter().flatten().find(|other| !other.process.is_alive()) {
            None => Ok(()),
            Some(ended) => Err(Error::Conflict(format!(
                "container {} ended while its namespaces were being joined; start it first",
                ended.name
            ))),
        }
    }
}

impl Other {
    /// `/proc/PID/` and more, for the specification.
    pub fn path(&self, below: &str) -> String {
        format!("/proc/{}/{below}", self.process.pid)
    }
}

fn running(other: &Container, what: &str) -> Result<Other> {
    let process = other.process().ok_or_else(|| {
        Error::Conflict(format!(
            "cannot join {what} namespace of a non running container: container {} is not running; start it first",
            other.name()
        ))
    })?;
    Ok(Other { name: other.name().to_owned(), process })
}

fn require_shareable_ipc(other: &Container) -> Result<()> {
    match other.record.options.namespaces.ipc {
        Ipc::Shareable | Ipc::Host => Ok(()),
        _ => Err(Error::Conflict(format!(
            "cannot join IPC namespace of container {}: it is private; start that container with --ipc shareable",
            other.name()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_means_another_process_by_now_is_noticed() {
        let other = |process| Some(Other { name: "box".to_owned(), process });
        let own = ProcessId::own().unwrap();
        assert!(Joined::default().check().is_ok());
        assert!(Joined { pid: other(own), ipc: other(own), network: None }.check().is_ok());
        let former = ProcessId { start_time: own.start_time - 1, ..own };
        let error = Joined { pid: other(own), ipc: other(former), network: None }.check().unwrap_err();
        assert!(error.to_string().contains("container box ended"), "{error}");
    }
}
