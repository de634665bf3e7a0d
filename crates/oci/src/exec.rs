//! Another process in a running container. What is not said is as for the first process: user, environment, working
//! directory, rights.

use crate::container::{Container, Status};
use crate::error::{Error, Result, invalid};
use crate::{environment, rdt};
use kernel::cgroup::{Below, Controller, Entry};
use runtime::{Bundle, Created, Exec, Keyring, RootChange, Stdio};
use rustix::io::Errno;
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
    let entry = entry(container, &request.cgroups)?;
    let state = container.state(spec::runtime::Status::Running);
    let keyring = if container.record.no_new_keyring { Keyring::Inherited } else { Keyring::New };
    let bundle = Bundle { state: &state, gate: None, preserved: request.preserved, root: RootChange::Pivot, keyring };
    let membership = rdt::of(&container.record)?;
    let created = runtime::exec(Exec {
        target,
        process: &request.process,
        stdio: request.stdio,
        cgroup: entry,
        seccomp: None,
        profile: container.record.config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()),
        linux: container.record.config.linux.as_ref(),
        bundle: Some(bundle),
    })?;
    match membership.map_or(Ok(()), |membership| membership.add(created.pid)) {
        Ok(()) => Ok(created),
        Err(error) => {
            created.abandon();
            Err(error)
        }
    }
}

fn entry(container: &Container, wanted: &[String]) -> Result<Option<Entry>> {
    if wanted.is_empty() {
        return Ok(container.cgroup()?.map(|group| group.entry()).transpose()?);
    }
    let group = container.cgroup_needed()?;
    let below = below(wanted)?;
    group.entry_below(&below).map(Some).map_err(|error| match &error.path {
        Some(path) if error.errno == Errno::NOENT => {
            let directory = if path.ends_with("tasks") { path.parent().unwrap_or(path) } else { path };
            let (pid, directory) = (std::process::id(), directory.display());
            invalid(format!(
                "error adding pid {pid} to cgroups: open {directory}/cgroup.procs: no such file or directory"
            ))
        }
        _ => error.into(),
    })
}

/// From `[controller,…:]path`, each.
fn below(wanted: &[String]) -> Result<Below> {
    let mut below = Below::default();
    for wanted in wanted {
        let (controllers, path) = match wanted.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, wanted.as_str()),
        };
        let path = relative(path)?;
        let Some(controllers) = controllers else {
            below.everywhere = path;
            continue;
        };
        for name in controllers.split(',') {
            let known = |c: &Controller| c.directory() == name || c.option() == name;
            let controller = Controller::ALL.into_iter().find(known);
            let controller =
                controller.ok_or_else(|| invalid(format!("unknown controller {name} in SubCgroupPaths")))?;
            below.controllers.push((controller, path.clone()));
        }
    }
    Ok(below)
}

fn relative(path: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(invalid(format!("bad sub cgroup path: {path} is not a sub cgroup path")));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &[&str], expected: Result<&str, &str>) {
        let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
        match (below(&wanted), expected) {
            (Ok(below), Ok(expected)) => {
                let own = below.controllers.iter().map(|(c, path)| format!(" {}={path}", c.directory()));
                assert_eq!(below.everywhere.clone() + &own.collect::<String>(), expected);
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, _) => panic!("{wanted:?}: {found:?}"),
        }
    }

    #[test]
    fn groups_are_below_the_containers() {
        check(&["/a//b/"], Ok("a/b"));
        check(&["memory:m", "cpu,cpuacct:c"], Ok(" memory=m cpu=c cpuacct=c"));
        check(&[".."], Err(" .. is not a sub cgroup path"));
        check(&["whaaat:/"], Err("unknown controller "));
    }
}
