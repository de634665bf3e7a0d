//! Where another OCI runtime hands over the terminal that it has made (`--console-socket`): a socket of ours that is
//! reached through a descriptor, because its path would be too long for unix(7).

use super::call::path_of;
use crate::error::{Error, Result};
use kernel::Context;
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

pub(super) struct Console {
    directory: OwnedFd,
    name: String,
    listener: OwnedFd,
}

impl Console {
    /// `directory` is ours alone; so is the name in it.
    pub fn listen(directory: &Path) -> Result<Console> {
        let name = format!("console-{}", std::process::id());
        let listener = kernel::socket::listen(directory, &name)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, directory, flags, Mode::empty()).during_at("open", directory)?;
        Ok(Console { directory, name, listener })
    }

    pub fn path(&self) -> OsString {
        format!("{}/{}", path_of(&self.directory), self.name).into()
    }

    /// The terminal's master side, once the runtime is done: what it sent waits here.
    pub fn receive(&self) -> Result<OwnedFd> {
        let missing = || Error::Failed("the runtime has made no terminal".into());
        let connection = kernel::socket::accept(self.listener.as_fd())?.ok_or_else(missing)?;
        kernel::socket::receive_fd(&connection)?.ok_or_else(missing)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Left behind it goes with the container's folder.
        let _ = rustix::fs::unlinkat(&self.directory, self.name.as_str(), rustix::fs::AtFlags::empty());
    }
}
