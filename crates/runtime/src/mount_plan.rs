//! The specification's `mounts`, made ready in the parent: options parsed, and everything that comes from
//! the host (binds, the container's cgroups) already cloned as detached mounts, while the host's paths still
//! mean what the user meant. `mounts.rs` attaches them in the child.

use crate::error::{Result, invalid};
use crate::mount_options::Options;
use kernel::cgroup::{Cgroup, Layout};
use kernel::mount::{Attributes, Mount, Propagation};
use kernel::pidfd::PidFd;
use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

pub(crate) const PROC_SUPER_MAGIC: u64 = 0x9fa0;
/// The root directory of every procfs.
const PROC_ROOT_INODE: u64 = 1;

pub(crate) struct Planned {
    /// Absolute, without `.` and `..`; links in it are resolved inside the container's root.
    pub destination: PathBuf,
    pub options: Options,
    pub kind: Kind,
}

pub(crate) enum Kind {
    Bind {
        mount: Mount,
        is_directory: bool,
        is_proc_root: bool,
    },
    Proc,
    Sysfs,
    Tmpfs {
        source: String,
    },
    Other {
        name: String,
        source: String,
    },
    CgroupV1(Hierarchies),
    /// With a bind of the container's own cgroup, for where the file system cannot be mounted.
    CgroupV2 {
        own: Option<Mount>,
    },
}

/// Version 1: the container's own directory of each hierarchy, and other names of hierarchies.
pub(crate) struct Hierarchies {
    pub mounts: Vec<(OsString, Mount)>,
    pub links: Vec<(OsString, OsString)>,
}

pub(crate) fn prepare(mounts: &[spec::runtime::Mount], cgroup: Option<&Cgroup>) -> Result<Vec<Planned>> {
    mounts.iter().map(|mount| plan(mount, cgroup)).collect()
}

fn plan(mount: &spec::runtime::Mount, cgroup: Option<&Cgroup>) -> Result<Planned> {
    let options = Options::parse(&mount.options)?;
    let destination = clean(&mount.destination)
        .ok_or_else(|| invalid(format!("mount destination {:?} is not absolute", mount.destination)))?;
    let kind = match (mount.kind.as_str(), options.bind) {
        (_, Some(recursive)) => bind(&mount.source, recursive, &options)?,
        ("bind", None) => bind(&mount.source, false, &options)?,
        ("proc", _) => Kind::Proc,
        ("sysfs", _) => Kind::Sysfs,
        ("tmpfs", _) => Kind::Tmpfs { source: mount.source.clone() },
        ("cgroup", _) => cgroup_kind(cgroup)?,
        ("cgroup2", _) => Kind::CgroupV2 { own: own_cgroup(cgroup)? },
        ("", None) => return Err(invalid(format!("mount on {:?} has neither a type nor bind", mount.destination))),
        (name, _) => Kind::Other { name: name.to_owned(), source: mount.source.clone() },
    };
    Ok(Planned { destination, options, kind })
}

/// Resolves `.` and `..` in the text, as docker does with what users type.
pub(crate) fn clean(destination: &str) -> Option<PathBuf> {
    let mut clean = PathBuf::from("/");
    if !destination.starts_with('/') {
        return None;
    }
    for component in Path::new(destination).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(clean)
}

/// A path through `/proc/PID/root` leads into another mount namespace, from which mounts must be fetched there.
fn clone_source(path: &Path, recursive: bool) -> kernel::Result<Mount> {
    let of_process = || {
        let (pid, inside) = path.to_str()?.strip_prefix("/proc/")?.split_once("/root/")?;
        Some((pid.parse().ok()?, Path::new("/").join(inside)))
    };
    match of_process() {
        Some((pid, inside)) => Mount::bind_of_process(PidFd::open(pid)?, &inside, recursive),
        None => Mount::bind(path, recursive),
    }
}

fn bind(source: &str, recursive: bool, options: &Options) -> Result<Kind> {
    let path = Path::new(source);
    let mount = clone_source(path, recursive).map_err(|error| match error.errno {
        Errno::NOENT => invalid(format!("bind source path does not exist: {source}")),
        _ => error.into(),
    })?;
    if !options.data.is_empty() {
        let names: Vec<&str> = options.data.iter().map(|(key, _)| key.as_str()).collect();
        return Err(invalid(format!("unknown options of the bind mount of {source}: {}", names.join(","))));
    }
    set_bind_attributes(&mount, recursive, options)?;
    let stat = rustix::fs::fstat(&mount).map_err(|errno| kernel::Error::at("stat", path, errno))?;
    let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
    let is_proc_root = is_directory && stat.st_ino == PROC_ROOT_INODE && is_on_proc(&mount)?;
    Ok(Kind::Bind { mount, is_directory, is_proc_root })
}

/// While the mount is still detached, so that nobody sees it without them.
fn set_bind_attributes(mount: &Mount, recursive: bool, options: &Options) -> Result<()> {
    // Private unless asked otherwise: the clone is a peer of the host's mount, and what the container mounts
    // below must not appear on the host.
    let (propagation, all) = options.propagation.unwrap_or((Propagation::Private, true));
    let none = Attributes::NONE;
    if all && recursive {
        mount.set_attributes(options.recursive_set, options.recursive_clear, Some(propagation), true)?;
        if options.set != none || options.clear != none {
            mount.set_attributes(options.set, options.clear, None, false)?;
        }
        return Ok(());
    }
    if recursive && (options.recursive_set != none || options.recursive_clear != none) {
        mount.set_attributes(options.recursive_set, options.recursive_clear, None, true)?;
    }
    let set = options.set.with(options.recursive_set);
    let clear = options.clear.with(options.recursive_clear).without(set);
    Ok(mount.set_attributes(set, clear, Some(propagation), false)?)
}

pub(crate) fn is_on_proc(fd: impl AsFd) -> Result<bool> {
    let stat = rustix::fs::fstatfs(fd).map_err(|errno| kernel::Error::new("stat file system", errno))?;
    Ok(stat.f_type as u64 == PROC_SUPER_MAGIC)
}

fn cgroup_kind(cgroup: Option<&Cgroup>) -> Result<Kind> {
    let is_v2 = match cgroup {
        Some(Cgroup::V2(_)) => true,
        Some(Cgroup::V1(_)) => false,
        None => Layout::detect()?.is_v2(),
    };
    if is_v2 {
        return Ok(Kind::CgroupV2 { own: own_cgroup(cgroup)? });
    }
    let mut hierarchies = Hierarchies { mounts: Vec::new(), links: Vec::new() };
    for directory in cgroup.map(Cgroup::directories).unwrap_or_default() {
        let Some(name) = hierarchy_name(&directory) else { continue };
        let mount = match Mount::bind(&directory, false) {
            // A hierarchy in which the container has no group of its own.
            Err(error) if error.errno == Errno::NOENT => continue,
            mount => mount?,
        };
        let attributes = Attributes::READ_ONLY.with(Attributes::NOSUID).with(Attributes::NODEV);
        let attributes = attributes.with(Attributes::NOEXEC);
        mount.set_attributes(attributes, Attributes::NONE, Some(Propagation::Private), false)?;
        // `cpu,cpuacct` is known as `cpu` and as `cpuacct` too.
        let text = name.to_string_lossy();
        if text.contains(',') {
            hierarchies.links.extend(text.split(',').map(|part| (OsString::from(part), name.clone())));
        }
        hierarchies.mounts.push((name, mount));
    }
    Ok(Kind::CgroupV1(hierarchies))
}

fn own_cgroup(cgroup: Option<&Cgroup>) -> Result<Option<Mount>> {
    let Some(directory) = cgroup.and_then(|cgroup| cgroup.directories().into_iter().next()) else {
        return Ok(None);
    };
    let mount = Mount::bind(&directory, false)?;
    mount.set_attributes(Attributes::NONE, Attributes::NONE, Some(Propagation::Private), false)?;
    Ok(Some(mount))
}

/// The first component below where hierarchies are mounted: `memory` of `/sys/fs/cgroup/memory/brig/x`.
fn hierarchy_name(directory: &Path) -> Option<OsString> {
    let below = directory.strip_prefix("/sys/fs/cgroup").ok()?;
    below.components().next().map(|name| name.as_os_str().to_owned())
}

/// `/dev/null` of the host as a mount, to put over files that shall not be read. Made sure to be the device: a
/// file in its place would hand every container the same writable file (CVE-2025-31133 is of that kind).
pub(crate) fn null_device() -> Result<Mount> {
    use kernel::device::{Kind, NULL, kind_of};
    let mount = Mount::bind_at(CWD, Path::new("/dev/null"), false)?;
    if kind_of(&mount)? != Some(Kind::Character(NULL)) {
        return Err(kernel::Error::at("mask files with", "/dev/null", Errno::NODEV).into());
    }
    mount.set_attributes(Attributes::NONE, Attributes::NONE, Some(Propagation::Private), false)?;
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_cleaned() {
        assert_eq!(clean("/a/../b/./c"), Some("/b/c".into()));
        assert_eq!(clean("/../.."), Some("/".into()));
        assert_eq!(clean("a"), None);
    }

    #[test]
    fn hierarchies_have_the_name_of_their_mount() {
        assert_eq!(hierarchy_name(Path::new("/sys/fs/cgroup/memory/brig/x")), Some("memory".into()));
        assert_eq!(hierarchy_name(Path::new("/cgroup/x")), None);
    }

    #[test]
    fn a_missing_bind_source_is_named() {
        let mount = spec::runtime::Mount {
            destination: "/x".into(),
            source: "/nonexistent".into(),
            options: vec!["rbind".into()],
            ..Default::default()
        };
        let Err(error) = prepare(&[mount], None) else { panic!("accepted") };
        assert_eq!(error.to_string(), "bind source path does not exist: /nonexistent");
    }
}
