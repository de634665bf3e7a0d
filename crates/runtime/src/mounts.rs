//! Attaching the planned mounts beneath the container's root, in the child and before the root is changed. Every
//! destination is opened beneath the root and the mount goes onto that very descriptor: a link in an image or
//! in a volume cannot lead it elsewhere, however often it is changed meanwhile.

use crate::copy_up;
use crate::error::{Error, Result, invalid};
use crate::mount_options::Options;
use crate::mount_plan::{Hierarchies, Kind, Planned, is_on_proc};
use kernel::beneath::Root;
use kernel::mount::{Attributes, Filesystem, Mount, Propagation};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Files of /proc that something may be mounted over: lxcfs does, with figures of the container instead of the
/// machine's. Anything else there could mislead programs of ours and of others (CVE-2019-16884, -19921).
const PROC_FILES_ALLOWED: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Attaches all in order. Returns the procfs mounted on `/proc`, if one was.
pub(crate) fn attach_all(root: &Root, planned: &[Planned]) -> Result<Option<Mount>> {
    let mut proc = None;
    for entry in planned {
        let attached = attach(root, entry).map_err(|error| in_words(error, &entry.destination))?;
        if matches!(entry.kind, Kind::Proc) && entry.destination == Path::new("/proc") {
            proc = attached;
        }
    }
    Ok(proc)
}

fn in_words(error: Error, destination: &Path) -> Error {
    match error {
        Error::Setup(error) if error.path.is_none() => {
            let hint = match error.errno {
                Errno::NOTDIR => " (a directory cannot be mounted on a file, nor a file on a directory)",
                _ => "",
            };
            Error::Setup(kernel::Error::at(format!("{}{hint} on", error.action), destination, error.errno))
        }
        Error::Setup(error) => {
            let action = format!("mount on {}: {}", destination.display(), error.action);
            Error::Setup(kernel::Error { action, ..error })
        }
        other => other,
    }
}

/// Returns the mount where it was made here.
fn attach(root: &Root, entry: &Planned) -> Result<Option<Mount>> {
    let target = target(root, entry)?;
    check_proc(entry, &target)?;
    let options = &entry.options;
    let mount = match &entry.kind {
        Kind::Bind { mount, is_directory, .. } => {
            check_same_type(&target, *is_directory)?;
            mount.attach_to(&target)?;
            return Ok(None);
        }
        Kind::CgroupV1(hierarchies) => {
            attach_hierarchies(hierarchies, options, &target)?;
            return Ok(None);
        }
        Kind::Proc => filesystem("proc", "proc", options)?,
        Kind::Sysfs => sysfs(options)?,
        Kind::Tmpfs { source } => tmpfs(source, options, &target)?,
        Kind::CgroupV2 { own } => match (filesystem("cgroup2", "cgroup", options), own) {
            (Err(Error::Setup(error)), Some(own)) if matches!(error.errno, Errno::PERM | Errno::BUSY) => {
                own.set_attributes(options.set, Attributes::NONE, None, false)?;
                own.attach_to(&target)?;
                return Ok(None);
            }
            (result, _) => result?,
        },
        Kind::Other { name, source } => filesystem(name, source, options)?,
    };
    if let Some((propagation, _)) = options.propagation.filter(|(p, _)| *p != Propagation::Private) {
        mount.set_attributes(Attributes::NONE, Attributes::NONE, Some(propagation), false)?;
    }
    mount.attach_to(&target)?;
    Ok(Some(mount))
}

/// Opens what the mount goes on, and creates it if it is missing: a directory, or an empty file for a bound file.
fn target(root: &Root, entry: &Planned) -> Result<OwnedFd> {
    let destination = entry.destination.as_path();
    match &entry.kind {
        Kind::Bind { is_directory: false, .. } => bind_file_target(root, destination),
        Kind::Proc | Kind::Sysfs => {
            drop(root.create_dir_all(destination, DIRECTORY_MODE)?);
            // No link even inside the root: what comes later relies on /proc being there (CVE-2019-19921).
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            Ok(root.open_file(destination, flags, Mode::empty())?)
        }
        _ => Ok(root.create_dir_all(destination, DIRECTORY_MODE)?),
    }
}

/// Opens the file at `path` to mount over it; creates it, and directories above it, if there is none.
pub(crate) fn bind_file_target(root: &Root, path: &Path) -> Result<OwnedFd> {
    match root.open_file(path, OFlags::PATH, Mode::empty()) {
        Err(error) if error.errno == Errno::NOENT => {}
        found => return Ok(found?),
    }
    if let Some(parent) = path.parent() {
        root.create_dir_all(parent, DIRECTORY_MODE)?;
    }
    // Non-blocking, in case somebody puts a pipe there at this moment.
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(root.open_file(path, flags, Mode::from_raw_mode(0o755))?)
}

/// The kernel's EINVAL would not say what is wrong.
fn check_same_type(target: &OwnedFd, is_directory: bool) -> Result<()> {
    let stat = rustix::fs::fstat(target).map_err(|errno| kernel::Error::new("stat mount point", errno))?;
    if FileType::from_raw_mode(stat.st_mode).is_dir() == is_directory {
        return Ok(());
    }
    Err(kernel::Error::new("attach mount", Errno::NOTDIR).into())
}

/// Nothing but procfs goes on /proc, and nothing into it but the files known to be harmless.
fn check_proc(entry: &Planned, target: &OwnedFd) -> Result<()> {
    let destination = entry.destination.as_path();
    if destination == Path::new("/proc") {
        let is_proc = matches!(entry.kind, Kind::Proc | Kind::Bind { is_proc_root: true, .. });
        return if is_proc { Ok(()) } else { Err(invalid("only a file system of type proc can be mounted on /proc")) };
    }
    // Where the target really is counts, whatever links led to it.
    if !is_on_proc(target)? || PROC_FILES_ALLOWED.iter().any(|allowed| destination == Path::new(allowed)) {
        return Ok(());
    }
    Err(invalid(format!("mount on {} is refused, because it is inside /proc", destination.display())))
}

fn filesystem(name: &str, source: &str, options: &Options) -> Result<Mount> {
    let mut filesystem = Filesystem::open(name)?;
    if !source.is_empty() {
        filesystem = filesystem.set_string("source", source)?;
    }
    for (key, value) in &options.data {
        filesystem = match value {
            Some(value) => filesystem.set_string(key, value.as_str())?,
            None => filesystem.set_flag(key)?,
        };
    }
    Ok(filesystem.mount(options.set)?)
}

fn tmpfs(source: &str, options: &Options, target: &OwnedFd) -> Result<Mount> {
    let source = if source.is_empty() { "tmpfs" } else { source };
    let mut options = options.clone();
    if !options.has_data("mode") {
        // It covers a directory with the same permissions, so that /tmp stays open to all.
        let stat = rustix::fs::fstat(target).map_err(|errno| kernel::Error::new("stat mount point", errno))?;
        options.data.push(("mode".to_owned(), Some(format!("{:o}", stat.st_mode & 0o7777))));
    }
    if !options.copy_up {
        return filesystem("tmpfs", source, &options);
    }
    // Writable until it is filled.
    let wanted = options.set;
    options.set = wanted.without(Attributes::READ_ONLY);
    let mount = filesystem("tmpfs", source, &options)?;
    copy_up::copy_tree(target, &mount)?;
    mount.set_attributes(wanted, Attributes::NONE, None, false)?;
    Ok(mount)
}

/// A new sysfs shows the network namespace we are in. One that belongs to the host's user namespace cannot be
/// mounted anew from within another; the host's own is bound then.
fn sysfs(options: &Options) -> Result<Mount> {
    match filesystem("sysfs", "sysfs", options) {
        Err(Error::Setup(error)) if error.errno == Errno::PERM => {
            let mount = Mount::bind(Path::new("/sys"), true)?;
            mount.set_attributes(options.set, Attributes::NONE, Some(Propagation::Private), true)?;
            Ok(mount)
        }
        result => result,
    }
}

/// A small tmpfs with one directory for each hierarchy, read-only in the end, as programs expect it.
fn attach_hierarchies(hierarchies: &Hierarchies, options: &Options, target: &OwnedFd) -> Result<()> {
    let mode = Options { data: vec![("mode".to_owned(), Some("755".to_owned()))], ..Options::default() };
    let top = filesystem("tmpfs", "cgroup", &Options { set: options.set.without(Attributes::READ_ONLY), ..mode })?;
    top.attach_to(target)?;
    let context = |action: &str, errno| kernel::Error::new(action, errno);
    for (name, mount) in &hierarchies.mounts {
        rustix::fs::mkdirat(&top, name.as_os_str(), DIRECTORY_MODE).map_err(|e| context("make directory", e))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = rustix::fs::openat(&top, name.as_os_str(), flags, Mode::empty());
        mount.attach_to(place.map_err(|e| context("open directory", e))?)?;
        if !options.set.contains(Attributes::READ_ONLY) {
            mount.set_attributes(Attributes::NONE, Attributes::READ_ONLY, None, false)?;
        }
    }
    for (link, name) in &hierarchies.links {
        match rustix::fs::symlinkat(name.as_os_str(), &top, link.as_os_str()) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(context("make link", errno).into()),
        }
    }
    if options.set.contains(Attributes::READ_ONLY) {
        top.set_attributes(Attributes::READ_ONLY, Attributes::NONE, None, false)?;
    }
    Ok(())
}
