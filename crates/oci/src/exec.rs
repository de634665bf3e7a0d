//! Another process in a running container. What is not said is as for the first process: user, environment, working
//! directory, rights.

use crate::container::{Container, Status};
use crate::environment;
use crate::error::{Error, Result, invalid};
use kernel::cgroup::Layout;
use runtime::{Bundle, Created, Exec, Keyring, RootChange, Stdio};
use spec::runtime::Process;
use std::path::PathBuf;

/// How the process comes into the container.
pub struct Request {
    pub process: Process,
    pub stdio: Stdio,
    /// Descriptors from 3 on that the program gets.
    pub preserved: u32,
    /// Cgroups below the container's: `[controller,…:]path`, the path from there.
    pub cgroups: Vec<String>,
    pub paused: Paused,
}

/// What to do about a paused container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    Refused,
    /// The process stops when it enters, until the container is resumed.
    Ignored,
}

/// Makes the process up to its execve; it is not recorded anywhere.
pub fn exec(container: &Container, mut request: Request) -> Result<Created> {
    match container.status()? {
        Status::Stopped | Status::Creating => return Err(invalid("cannot exec in a stopped container")),
        Status::Paused if request.paused == Paused::Refused => {
            return Err(invalid("cannot exec in a paused container (use --ignore-paused to override)"));
        }
        _ => {}
    }
    let target = container.init().ok_or(Error::NotRunning)?;
    let root = PathBuf::from(format!("/proc/{}/root", target.pid));
    request.process.env = environment::complete(&request.process.env, request.process.user.uid, &root);
    let below = request.cgroups.first().map_or("", String::as_str);
    let group = Layout::detect()?.open(&sub_cgroup(&container.record.cgroup, below)?)?;
    let state = container.state(spec::runtime::Status::Running);
    let keyring = if container.record.no_new_keyring { Keyring::Inherited } else { Keyring::New };
    let bundle = Bundle { state: &state, gate: None, preserved: request.preserved, root: RootChange::Pivot, keyring };
    let created = runtime::exec(Exec {
        target,
        process: &request.process,
        stdio: request.stdio,
        cgroup: Some(&group),
        seccomp: None,
        profile: container.record.config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()),
        bundle: Some(bundle),
    });
    Ok(created?)
}

fn sub_cgroup(container: &str, below: &str) -> Result<String> {
    let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(invalid(format!("bad sub cgroup path: {below} is not a sub cgroup path")));
    }
    Ok(std::iter::once(container).chain(parts).collect::<Vec<_>>().join("/"))
}
