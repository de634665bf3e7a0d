//! Attaching the planned mounts beneath the container's root, in the child and before the root is changed. Every
//! destination is opened beneath the root and the mount goes onto that very descriptor: a link in an image or
//! in a volume cannot lead it elsewhere, however often it is changed meanwhile.

use crate::copy_up;
use crate::error::{Error, Result, invalid};
use crate::mount_options::Options;
use crate::mount_plan::{
    self, FileSystem, Hierarchies, IdMap, Kind, Planned, in_words, is_on_proc, set_bind_attributes,
};
use kernel::beneath::Root;
use kernel::mount::{Attributes, Filesystem, Mount, Propagation, set_attributes_at};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o755);

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

/// What of the mounts is needed once more.
#[derive(Default)]
pub(crate) struct Attached {
    /// The procfs on `/proc`.
    pub proc: Option<Mount>,
    /// To be made read-only once devices and other mounts have their places in them.
    read_only: Vec<Mount>,
}

impl Attached {
    pub fn make_read_only(&self) -> Result<()> {
        for mount in &self.read_only {
            mount.set_attributes(Attributes::READ_ONLY, Attributes::NONE, None, false)?;
        }
        Ok(())
    }
}

/// To be called in the order of the specification: each may be mounted on one before.
pub(crate) fn attach(root: &Root, entry: &Planned, attached: &mut Attached) -> Result<()> {
    let mount = attach_any(root, entry).map_err(|error| in_words(error, &entry.source, &entry.destination))?;
    match (&entry.kind, mount) {
        (Kind::New(FileSystem::Proc), mount) if entry.destination == Path::new("/proc") => attached.proc = mount,
        (_, Some(mount)) if entry.is_read_only_tmpfs() => attached.read_only.push(mount),
        _ => {}
    }
    Ok(())
}

/// Returns the mount where it was made here.
fn attach_any(root: &Root, entry: &Planned) -> Result<Option<Mount>> {
    match &entry.kind {
        Kind::Bind { mount, is_directory, .. } => attach_bind(root, entry, mount, *is_directory).map(|()| None),
        Kind::BindInside { source, recursive, ids, locked } => {
            let mount = bind_inside(root, source, *recursive, ids.as_ref())?;
            set_bind_attributes(&mount, *recursive, &entry.options, *locked)?;
            attach_bind(root, entry, &mount, is_directory(&mount)?).map(|()| None)
        }
        Kind::BindInTurn { source, namespace, recursive } => {
            let mount = Mount::bind_fd_in(namespace, source, *recursive)?;
            // Not in a user namespace of its own, where we could not have joined the other.
            let kind = mount_plan::bound(mount, &entry.source, *recursive, &entry.options, false)?;
            let (source, destination) = (entry.source.clone(), entry.destination.clone());
            attach_any(root, &Planned { source, destination, options: entry.options.clone(), kind })
        }
        Kind::Remount => remount(root, entry).map(|()| None),
        Kind::New(file_system) => attach_new(root, entry, file_system),
    }
}

fn attach_new(root: &Root, entry: &Planned, file_system: &FileSystem) -> Result<Option<Mount>> {
    let options = &entry.options;
    let target = directory_target(root, entry)?;
    check_proc(entry, &target.fd)?;
    let mount = match file_system {
        FileSystem::CgroupV1(hierarchies) => {
            attach_hierarchies(hierarchies, options, &target.fd)?;
            return Ok(None);
        }
        FileSystem::AwaitedCgroupV1(cgroup) => {
            attach_hierarchies(&Hierarchies::of(cgroup, options)?, options, &target.fd)?;
            return Ok(None);
        }
        FileSystem::Proc => filesystem("proc", "proc", options)?,
        FileSystem::Sysfs => sysfs(options)?,
        FileSystem::Tmpfs { source } => tmpfs(source, options, &target)?,
        FileSystem::CgroupV2 { own } => match (filesystem("cgroup2", "cgroup", options), own) {
            (Err(Error::Setup(error)), Some(own)) if matches!(error.errno, Errno::PERM | Errno::BUSY) => {
                own.set_attributes(options.set, Attributes::NONE, None, false)?;
                own.attach_to(&target.fd)?;
                return Ok(None);
            }
            (result, _) => result?,
        },
        FileSystem::Other { name, source } => filesystem(name, source, options)?,
    };
    if let Some((propagation, _)) = options.propagation.filter(|(p, _)| *p != Propagation::Private) {
        mount.set_attributes(Attributes::NONE, Attributes::NONE, Some(propagation), false)?;
    }
    mount.attach_to(&target.fd)?;
    Ok(Some(mount))
}

fn attach_bind(root: &Root, entry: &Planned, mount: &Mount, from_directory: bool) -> Result<()> {
    let destination = entry.destination.as_path();
    let target = if from_directory {
        root.create_dir_all(destination, DIRECTORY_MODE)?
    } else {
        bind_file_target(root, destination)?
    };
    check_proc(entry, &target)?;
    if is_directory(&target)? != from_directory {
        // The kernel's EINVAL would not say what is wrong.
        return Err(kernel::Error::new("attach mount", Errno::NOTDIR).into());
    }
    Ok(mount.attach_to(&target)?)
}

/// Of what lies beneath the container's root now, with what was mounted there so far.
fn bind_inside(root: &Root, source: &Path, recursive: bool, ids: Option<&IdMap>) -> Result<Mount> {
    let found = root.open_file(source, OFlags::PATH, Mode::empty()).map_err(|error| match error.errno {
        Errno::NOENT => invalid(format!("bind source path does not exist in the container: {}", source.display())),
        _ => error.into(),
    })?;
    let mount = Mount::bind_fd(found, recursive)?;
    if let Some(ids) = ids {
        ids.apply(&mount)?;
    }
    Ok(mount)
}

/// Changes the mount that is there: its attributes, and with `bind` nothing else, as mount(8) has it; else its file
/// system too, for all mounts of it.
fn remount(root: &Root, entry: &Planned) -> Result<()> {
    let options = &entry.options;
    let target = root.open_file(&entry.destination, OFlags::PATH, Mode::empty())?;
    if options.bind.is_none() && !(options.superblock.is_empty() && options.data.is_empty()) {
        with_options(Filesystem::pick(&target)?, options)?.reconfigure()?;
    }
    let recursive = options.recursive_set.with(options.recursive_clear);
    if !recursive.is_empty() {
        let (set, clear) = (options.recursive_set, options.recursive_clear);
        set_attributes_at(&target, Path::new(""), set, clear, None, true)?;
    }
    let propagation = options.propagation.map(|(propagation, _)| propagation);
    Ok(set_attributes_at(&target, Path::new(""), options.set, options.clear, propagation, false)?)
}

/// What a mount goes on, and whether it was there before.
struct Target {
    fd: OwnedFd,
    existed: bool,
}

/// Opens the directory that the mount goes on, and creates it if it is missing.
fn directory_target(root: &Root, entry: &Planned) -> Result<Target> {
    let destination = entry.destination.as_path();
    let existing = match root.open_dir(destination) {
        Err(error) if error.errno == Errno::NOENT => None,
        found => Some(found?),
    };
    let existed = existing.is_some();
    let fd = match existing {
        Some(fd) => fd,
        None => root.create_dir_all(destination, DIRECTORY_MODE)?,
    };
    if !matches!(entry.kind, Kind::New(FileSystem::Proc | FileSystem::Sysfs)) {
        return Ok(Target { fd, existed });
    }
    // No link even inside the root: what comes later relies on /proc being there (CVE-2019-19921).
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    match root.open_file(destination, flags, Mode::empty()) {
        Ok(fd) => Ok(Target { fd, existed }),
        Err(error) if matches!(error.errno, Errno::NOTDIR | Errno::LOOP) => {
            Err(invalid(format!("{} must be mounted on ordinary directory", destination.display())))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_directory(fd: impl AsFd) -> Result<bool> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| kernel::Error::new("stat mount point", errno))?;
    Ok(FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// Opens the file at `path` to mount over it; creates it, and directories above it, if there is none.
pub(crate) fn bind_file_target(root: &Root, path: &Path) -> Result<OwnedFd> {
    match root.open_file(path, OFlags::PATH, Mode::empty()) {
        Err(error) if error.errno == Errno::NOENT => Ok(root.create_file_all(path, FILE_MODE, DIRECTORY_MODE)?),
        found => Ok(found?),
    }
}

/// Nothing but procfs goes on /proc, and nothing into it but the files known to be harmless.
fn check_proc(entry: &Planned, target: &OwnedFd) -> Result<()> {
    let destination = entry.destination.as_path();
    if destination == Path::new("/proc") {
        let is_proc = matches!(entry.kind, Kind::New(FileSystem::Proc) | Kind::Bind { is_proc_root: true, .. });
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
    Ok(with_options(filesystem, options)?.mount(options.set)?)
}

fn with_options(mut filesystem: Filesystem, options: &Options) -> Result<Filesystem> {
    for flag in &options.superblock {
        filesystem = filesystem.set_flag(flag)?;
    }
    for (key, value) in &options.data {
        filesystem = match value {
            Some(value) => filesystem.set_string(key, value.as_str())?,
            None => filesystem.set_flag(key)?,
        };
    }
    Ok(filesystem)
}

fn tmpfs(source: &str, options: &Options, target: &Target) -> Result<Mount> {
    let source = if source.is_empty() { "tmpfs" } else { source };
    let mut options = options.clone();
    if target.existed && !options.has_data("mode") {
        // It covers a directory with the same permissions, so that /tmp stays open to all.
        let stat = rustix::fs::fstat(&target.fd).map_err(|errno| kernel::Error::new("stat mount point", errno))?;
        options.data.push(("mode".to_owned(), Some(format!("{:o}", stat.st_mode & 0o7777))));
    }
    // Writable until all is in it, see `Attached`.
    options.set = options.set.without(Attributes::READ_ONLY);
    let mount = filesystem("tmpfs", source, &options)?;
    if options.copy_up {
        copy_up::copy_tree(&target.fd, &mount)?;
    }
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
