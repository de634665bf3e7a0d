//! Cgroups that systemd makes: a transient scope for each container, handed over to us (systemd's documentation,
//! "Control Group APIs and Delegation"). For `brig runtime --systemd-cgroup`, where the manager above expects its
//! containers among the units. Limits are told to systemd, which would else set its own at the next reload, and
//! written by the caller too: systemd does not know them all.

mod annotations;
mod connection;
mod limits;
mod message;

pub use message::{Property, Value};

use crate::error::{Error, Result, invalid};
use connection::Connection;
use kernel::cgroup::Resources;
use kernel::clone::{self, Child};
use limits::limits;
use message::Writer;
use std::collections::BTreeMap;
use std::path::Path;

/// True when systemd is the machine's init.
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// A unit by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    slice: String,
    name: String,
    id: String,
}

impl Unit {
    /// From a `cgroupsPath` of the form `slice:prefix:name`, as runc has it; an empty one is `system.slice:runc:ID`.
    pub fn parse(cgroups_path: &str, id: &str) -> Result<Unit> {
        let parts: Vec<&str> = cgroups_path.split(':').collect();
        let (slice, prefix, name) = match parts.as_slice() {
            [""] => ("", "runc", id),
            [slice, prefix, name] => (*slice, *prefix, *name),
            _ => {
                let text = format!(
                    "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {cgroups_path:?} instead"
                );
                return Err(invalid(text));
            }
        };
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        check(slice)?;
        let unit = match (name.ends_with(".slice"), prefix.is_empty()) {
            (true, _) => return Err(invalid(format!("cgroupsPath {cgroups_path:?}: a container cannot be a slice"))),
            (false, true) => format!("{name}.scope"),
            (false, false) => format!("{prefix}-{name}.scope"),
        };
        check(&unit)?;
        Ok(Unit { slice: slice.to_owned(), name: unit, id: id.to_owned() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The group, below the root of the hierarchies: each dash of a slice is a slice in a slice (systemd.slice(5)).
    pub fn group(&self) -> Result<String> {
        let Some(stem) = self.slice.strip_suffix(".slice") else {
            return Err(invalid(format!("invalid slice name: {}", self.slice)));
        };
        if stem == "-" {
            return Ok(self.name.clone());
        }
        if stem.split('-').any(str::is_empty) {
            return Err(invalid(format!("invalid slice name: {}", self.slice)));
        }
        let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
        let slices: String = ends.map(|end| format!("{}.slice/", &stem[..end])).collect();
        Ok(slices + &self.name)
    }

    /// Starts the scope. systemd gives none without a process: a small one of ours is in it until the guard is dropped,
    /// by when the container's first process should have taken its place.
    /// Annotations are those of the bundle; some are properties.
    pub fn start(
        &self,
        resources: &Resources,
        is_v2: bool,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Placeholder> {
        let asked = annotations::properties(annotations)?;
        let placeholder = Placeholder::new()?;
        let mut properties = vec![
            ("Description", Value::Text(format!("brig container {}", self.id))),
            ("Slice", Value::Text(self.slice.clone())),
            ("Delegate", Value::Bool(true)),
            ("PIDs", Value::Numbers(vec![placeholder.child.pid as u32])),
            ("DefaultDependencies", Value::Bool(false)),
        ];
        let counted = ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"];
        properties.extend(counted.map(|name| (name, Value::Bool(true))));
        properties.extend(limits(resources, is_v2));
        properties.extend(asked.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut connection = Connection::open()?;
        // What a container of the same name has left in systemd's memory, if anything.
        let _ = connection.call("ResetFailedUnit", "s", one_text(&self.name));
        let mut body = Writer::default();
        body.text(&self.name);
        body.text("replace");
        body.properties(&properties);
        // No further units.
        body.array(&[(); 0], 8, |_, ()| {});
        let job = connection.call("StartTransientUnit", "ssa(sv)a(sa(sv))", body)?;
        connection.wait_for_job(job.first().map_or("", String::as_str))?;
        Ok(placeholder)
    }
}

/// Changes the limits that systemd knows of the unit `name`, until the next boot.
pub fn set(name: &str, resources: &Resources, is_v2: bool) -> Result<()> {
    let properties = limits(resources, is_v2);
    if properties.is_empty() {
        return Ok(());
    }
    let mut body = Writer::default();
    body.text(name);
    body.bool(true);
    body.properties(&properties);
    Connection::open()?.call("SetUnitProperties", "sba(sv)", body).map(drop)
}

/// Stops the unit `name` and ends what is in it; `Ok` when it is gone.
pub fn stop(name: &str) -> Result<()> {
    let mut connection = Connection::open()?;
    let mut body = Writer::default();
    body.text(name);
    body.text("replace");
    match connection.call("StopUnit", "ss", body) {
        Ok(job) => connection.wait_for_job(job.first().map_or("", String::as_str))?,
        Err(Error::Invalid(text)) if text.contains("NoSuchUnit") => return Ok(()),
        Err(error) => return Err(error),
    }
    // So that the name is free also after a failure.
    let _ = connection.call("ResetFailedUnit", "s", one_text(name));
    Ok(())
}

fn one_text(text: &str) -> Writer {
    let mut body = Writer::default();
    body.text(text);
    body
}

/// A process that only is there.
#[derive(Debug)]
pub struct Placeholder {
    child: Child,
}

impl Placeholder {
    fn new() -> Result<Placeholder> {
        let own = kernel::pidfd::PidFd::open(std::process::id() as i32)?;
        let child = clone::fork(|| {
            // Until it is killed, or its maker is gone.
            let mut fds = [rustix::event::PollFd::new(&own, rustix::event::PollFlags::IN)];
            while rustix::event::poll(&mut fds, None).is_err() {}
            0
        })?;
        Ok(Placeholder { child })
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        crate::spawn::reap(&self.child.pidfd);
    }
}

/// Characters that systemd allows in names of units (systemd.unit(5)).
fn check(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if name.len() < 256 && name.chars().all(allowed) {
        return Ok(());
    }
    Err(invalid(format!("{name:?} cannot be the name of a unit of systemd: letters, digits and :-_.\\@ can")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_units() {
        let check = |path: &str, group: &str| {
            assert_eq!(Unit::parse(path, "id").unwrap().group().unwrap(), group, "{path}");
        };
        check("", "system.slice/runc-id.scope");
        check(":cri:x", "system.slice/cri-x.scope");
        check("user-1000.slice::x", "user.slice/user-1000.slice/x.scope");
        check("-.slice:p:x", "p-x.scope");
        check("a-b-c.slice:p:x", "a.slice/a-b.slice/a-b-c.slice/p-x.scope");
        assert!(Unit::parse("/a/b", "id").is_err());
        assert!(Unit::parse("a/b.slice:p:x", "id").is_err());
        assert!(Unit::parse("a--b.slice:p:x", "id").unwrap().group().is_err());
    }
}
