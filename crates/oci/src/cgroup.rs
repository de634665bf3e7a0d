//! Where a container's cgroup is and what it limits: `linux.cgroupsPath` and `linux.resources` as runc reads them.
//! The conversion to the kernel's files is `runtime::cgroup`'s and `kernel::cgroup`'s.

use crate::error::{Result, invalid};
use kernel::cgroup::Layout;
use spec::runtime::{DeviceRule, Linux, Resources};
use std::path::{Component, Path};

/// The path from the mount point on. An absolute one counts from there; a relative one, and the name of a container
/// that asks for none, from beside the caller's own cgroup on version 2, where processes are in leaves only.
pub fn path(layout: &Layout, linux: Option<&Linux>, id: &str) -> Result<String> {
    let asked = linux.map_or("", |linux| linux.cgroups_path.as_str());
    let wanted = clean(if asked.is_empty() { id } else { asked });
    if wanted.is_empty() {
        return Err(invalid(format!("cgroupsPath {asked:?} is the root of all cgroups: name one below it")));
    }
    if asked.starts_with('/') || !layout.is_v2() {
        return Ok(wanted);
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let beside = Path::new(own).parent().unwrap_or(Path::new("/"));
    Ok(clean(&format!("{}/{wanted}", beside.display())))
}

/// Without `.`, and `..` only ever leads up to the root.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}

/// What the container may use. Devices are forbidden but for those that are listed and those without which no program
/// runs, which come last as in runc, so that no list can take them away.
pub fn resources(linux: Option<&Linux>) -> Resources {
    let mut resources = linux.and_then(|linux| linux.resources.clone()).unwrap_or_default();
    let deny = DeviceRule { allow: false, kind: 'a', major: None, minor: None, access: "rwm".to_owned() };
    let asked = std::mem::take(&mut resources.devices);
    resources.devices = std::iter::once(deny).chain(asked).chain(always_allowed()).collect();
    resources
}

fn always_allowed() -> impl Iterator<Item = DeviceRule> {
    // Making any node is harmless without the right to open it; then null, zero, full, random, urandom, tty, terminals.
    let rules: [(char, Option<i64>, Option<i64>, &str); 10] = [
        ('c', None, None, "m"),
        ('b', None, None, "m"),
        ('c', Some(1), Some(3), "rwm"),
        ('c', Some(1), Some(8), "rwm"),
        ('c', Some(1), Some(7), "rwm"),
        ('c', Some(5), Some(0), "rwm"),
        ('c', Some(1), Some(5), "rwm"),
        ('c', Some(1), Some(9), "rwm"),
        ('c', Some(136), None, "rwm"),
        ('c', Some(5), Some(2), "rwm"),
    ];
    rules.into_iter().map(|(kind, major, minor, access)| DeviceRule {
        allow: true,
        kind,
        major,
        minor,
        access: access.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_mount() {
        for (path, expected) in [("/a/b", "a/b"), ("a/../b", "b"), ("/../..", ""), ("../../a", "a"), ("./a//b/", "a/b")]
        {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn devices_are_denied_first_and_necessary_ones_allowed_last() {
        let devices = resources(None).devices;
        assert!(!devices[0].allow && devices[0].kind == 'a');
        assert!(devices[1..].iter().all(|rule| rule.allow));
    }
}
