//! Capabilities, seccomp and rlimits: the defaults, what was asked, and what this process has
//! to give. What was asked for by name and cannot be had is an error; defaults degrade.

use crate::defaults;
use crate::error::{Error, Result};
use crate::options::{self, Resources, Security};
use kernel::capability::{self, Capability, Set};
use spec::runtime::{Capabilities, Rlimit, Seccomp};

/// Soft and hard bound of open files, as systemd gives services: programs that loop over all
/// possible descriptors suffer from more.
const NOFILE: (u64, u64) = (1024, 524_288);

/// The sets for a process of user `uid`: a user other than root has them in reach (bounding) but not in hand.
pub fn capabilities(security: &Security, uid: u32) -> Result<Capabilities> {
    let names: Vec<String> = capability_set(security)?.iter().map(|capability| capability.to_string()).collect();
    let held = if uid == 0 { names.clone() } else { Vec::new() };
    Ok(Capabilities {
        effective: held.clone(),
        permitted: held,
        bounding: names,
        inheritable: Vec::new(),
        ambient: Vec::new(),
    })
}

/// What a container's root may have, within what this process has itself.
pub fn capability_set(security: &Security) -> Result<Set> {
    let own = capability::Process::current()?.permitted;
    if security.privileged {
        return Ok(own);
    }
    let add = parse(&security.cap_add)?;
    let drop = parse(&security.cap_drop)?;
    let default: Set = defaults::capabilities::NAMES.iter().filter_map(|name| Capability::from_name(name)).collect();
    let asked = match (add, drop) {
        (Asked::All, Asked::Some(drop)) => own.difference(drop),
        (Asked::All, Asked::All) => Set::EMPTY,
        (Asked::Some(add), Asked::All) => require(add, own)?,
        (Asked::Some(add), Asked::Some(drop)) => default.difference(drop).intersection(own).union(require(add, own)?),
    };
    Ok(asked)
}

/// Docker's word for every capability, as `capability_name` gives it.
pub const CAPABILITY_ALL: &str = "CAP_ALL";

/// The kernel's name for what users write: with or without `CAP_`, in any case.
pub fn capability_name(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
}

enum Asked {
    All,
    Some(Set),
}

fn parse(names: &[String]) -> Result<Asked> {
    let mut set = Set::EMPTY;
    for name in names {
        let full = capability_name(name);
        if full == CAPABILITY_ALL {
            return Ok(Asked::All);
        }
        let capability =
            Capability::from_name(&full).ok_or_else(|| Error::Invalid(format!("invalid capability: {name}")))?;
        set = set.with(capability);
    }
    Ok(Asked::Some(set))
}

fn require(add: Set, own: Set) -> Result<Set> {
    match add.difference(own).iter().next() {
        None => Ok(add),
        Some(missing) => Err(Error::Unsupported(format!(
            "cannot add capability {missing}: brig itself runs without it, so run brig with it or leave --cap-add {missing} away"
        ))),
    }
}

/// The filter as a document; `None` for no filter and for the default one, which `program` gives compiled.
pub fn seccomp(security: &Security) -> Result<Option<Seccomp>> {
    match &security.seccomp {
        _ if security.privileged => Ok(None),
        options::Seccomp::Default | options::Seccomp::Unconfined => Ok(None),
        options::Seccomp::Profile(text) => {
            let capabilities = capability_set(security)?;
            crate::seccomp::from_json(text.as_bytes(), capabilities.0, crate::seccomp::kernel_version())
                .map(Some)
                .map_err(|e| Error::Invalid(format!("seccomp profile: {e}")))
        }
    }
}

/// The default filter as a document; `None` where it is not wanted.
pub fn default_seccomp(security: &Security) -> Result<Option<Seccomp>> {
    if security.privileged || security.seccomp != options::Seccomp::Default {
        return Ok(None);
    }
    Ok(Some(crate::seccomp::default_profile(capability_set(security)?.0, crate::seccomp::kernel_version())))
}

/// The default filter, compiled for the container's capabilities; `None` where it is not wanted.
pub fn program(security: &Security) -> Result<Option<kernel::seccomp::Program>> {
    if security.privileged || security.seccomp != options::Seccomp::Default {
        return Ok(None);
    }
    Ok(Some(crate::seccomp::default_program(capability_set(security)?.0, crate::seccomp::kernel_version())))
}

/// `--ulimit`, and a bound for open files where none was asked.
pub fn rlimits(resources: &Resources) -> Result<Vec<Rlimit>> {
    let mut limits: Vec<Rlimit> = resources
        .ulimits
        .iter()
        .map(|limit| Rlimit {
            kind: format!("RLIMIT_{}", limit.name.to_ascii_uppercase()),
            soft: limit.soft,
            hard: limit.hard,
        })
        .collect();
    if !limits.iter().any(|limit| limit.kind == "RLIMIT_NOFILE") {
        let present = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let hard = NOFILE.1.min(present);
        limits.push(Rlimit { kind: "RLIMIT_NOFILE".into(), soft: NOFILE.0.min(hard), hard });
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &[&str], drop: &[&str]) -> Vec<String> {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let security = Security { cap_add: words(add), cap_drop: words(drop), ..Security::default() };
        capability_set(&security).unwrap().iter().map(|c| c.to_string()).collect()
    }

    #[test]
    fn adding_and_dropping_as_docker_does() {
        if capability::Process::current().unwrap().permitted.0 == 0 {
            return; // not root: nothing can be given
        }
        assert_eq!(set(&[], &["all"]), Vec::<String>::new());
        assert_eq!(set(&["net_admin"], &["ALL"]), ["CAP_NET_ADMIN"]);
        assert!(!set(&[], &["chown"]).contains(&"CAP_CHOWN".to_owned()));
        assert!(set(&["ALL"], &["CAP_CHOWN"]).len() > 14);
        assert_eq!(set(&["CAP_CHOWN"], &["CHOWN"]).iter().filter(|name| *name == "CAP_CHOWN").count(), 1);
    }

    #[test]
    fn another_user_has_no_capability_in_hand() {
        let capabilities = capabilities(&Security::default(), 1000).unwrap();
        assert!(capabilities.effective.is_empty() && capabilities.permitted.is_empty());
    }
}
