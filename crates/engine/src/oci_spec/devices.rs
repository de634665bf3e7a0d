//! Device nodes and the rules for using them: `--device` and `--privileged`.

use crate::error::{Error, Result};
use crate::options::Device as Asked;
use crate::record::Record;
use rustix::fs::{FileType, Stat, major, minor};
use spec::runtime::{Device, DeviceRule};
use std::path::{Path, PathBuf};

/// Nodes beyond the runtime's own six.
pub fn nodes(record: &Record) -> Result<Vec<Device>> {
    let security = &record.options.security;
    let mut nodes = Vec::new();
    if security.privileged {
        walk(Path::new("/dev"), Path::new("/dev"), &mut |node| nodes.push(node));
    }
    for asked in &security.devices {
        for_each_node(asked, &mut |node| {
            nodes.retain(|other: &Device| other.path != node.path);
            nodes.push(node);
        })?;
    }
    Ok(nodes)
}

/// Rules that `--device` adds to the default ones.
pub fn rules(devices: &[Asked]) -> Result<Vec<DeviceRule>> {
    let mut rules = Vec::new();
    for asked in devices {
        for_each_node(asked, &mut |node| {
            rules.push(DeviceRule {
                allow: true,
                kind: node.kind,
                major: Some(node.major),
                minor: Some(node.minor),
                access: asked.permissions.clone(),
            });
        })?;
    }
    Ok(rules)
}

/// A device file gives itself, a directory all device files below it.
fn for_each_node(asked: &Asked, each: &mut dyn FnMut(Device)) -> Result<()> {
    let path = Path::new(&asked.host_path);
    let target = Path::new(&asked.container_path);
    let failed = |reason: String| {
        Error::Invalid(format!(
            "error gathering device information while adding custom device \"{}\": {reason}",
            asked.host_path
        ))
    };
    let stat = rustix::fs::stat(path).map_err(|errno| failed(errno.to_string()))?;
    if let Some(node) = node(target, &stat) {
        each(node);
        return Ok(());
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(failed("not a device node".into()));
    }
    let mut found = false;
    walk(path, target, &mut |node| {
        found = true;
        each(node);
    });
    if found { Ok(()) } else { Err(failed("no device files in this directory".into())) }
}

/// Files that vanish or cannot be looked at are left out; links are not followed.
fn walk(host: &Path, target: &Path, each: &mut dyn FnMut(Device)) {
    // Mounted anew in every container, or made by the runtime.
    const SKIPPED: [&str; 8] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"];
    let Ok(entries) = std::fs::read_dir(host) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| SKIPPED.contains(&name)) {
            continue;
        }
        let (host, target): (PathBuf, PathBuf) = (host.join(&name), target.join(&name));
        let Ok(stat) = rustix::fs::lstat(&host) else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            walk(&host, &target, each);
        } else if let Some(node) = node(&target, &stat) {
            each(node);
        }
    }
}

fn node(target: &Path, stat: &Stat) -> Option<Device> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        _ => return None,
    };
    Some(Device {
        kind,
        path: target.to_str()?.to_owned(),
        major: i64::from(major(stat.st_rdev)),
        minor: i64::from(minor(stat.st_rdev)),
        file_mode: Some(stat.st_mode & 0o7777),
        uid: Some(stat.st_uid),
        gid: Some(stat.st_gid),
    })
}
