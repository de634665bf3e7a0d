//! The specification's `mounts`, made ready in the parent: options parsed, and everything that comes from
//! the host (binds, the container's cgroups) already cloned as detached mounts, while the host's paths still
//! mean what the user meant. `mounts.rs` attaches them in the child.

use crate::error::{Error, Result, invalid};
use crate::mount_options::Options;
use crate::namespaces::{Namespaces, mappings};
use kernel::Context;
use kernel::cgroup::{Cgroup, Layout};
use kernel::mount::{Attributes, Mount, Propagation};
use kernel::namespace::IdMapping;
use kernel::pidfd::PidFd;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

pub(crate) const PROC_SUPER_MAGIC: u64 = 0x9fa0;
/// The root directory of every procfs.
const PROC_ROOT_INODE: u64 = 1;

pub(crate) struct Planned {
    /// As the specification has it, for messages.
    pub source: String,
    /// Absolute, without `.` and `..`; links in it are resolved inside the container's root.
    pub destination: PathBuf,
    pub options: Options,
    pub kind: Kind,
}

impl Planned {
    pub fn is_read_only_tmpfs(&self) -> bool {
        let is_tmpfs = matches!(self.kind, Kind::New(FileSystem::Tmpfs { .. }));
        is_tmpfs && self.options.set.contains(Attributes::READ_ONLY)
    }

    /// It shows the network namespace of whoever mounts it.
    pub fn needs_network(&self) -> bool {
        matches!(self.kind, Kind::New(FileSystem::Sysfs))
    }

    /// It shows the cgroup, or is filled with files that take up memory.
    pub fn needs_group(&self) -> bool {
        let shows = |file_system: &FileSystem| {
            matches!(
                file_system,
                FileSystem::AwaitedCgroupV1(_) | FileSystem::CgroupV1(_) | FileSystem::CgroupV2 { .. }
            )
        };
        self.options.copy_up || matches!(&self.kind, Kind::New(file_system) if shows(file_system))
    }
}

pub(crate) enum Kind {
    Bind {
        mount: Mount,
        is_directory: bool,
        is_proc_root: bool,
    },
    /// Of something in the container itself, which earlier mounts may have changed: cloned when its turn comes.
    BindInside {
        source: PathBuf,
        recursive: bool,
        /// For an id-mapped mount.
        ids: Option<IdMap>,
        locked: bool,
    },
    /// Of something on the host, cloned when its turn comes: the kernel lists mounts in the order in which they were made
    /// (Linux 6.8), and who compares its list with a bundle's expects the bundle's order.
    BindInTurn {
        source: OwnedFd,
        /// The mount namespace that it is in.
        namespace: Rc<OwnedFd>,
        recursive: bool,
    },
    /// Of what is mounted there already.
    Remount,
    New(FileSystem),
}

/// A file system that the child mounts.
pub(crate) enum FileSystem {
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
    /// One that the parent is still making: its directories are opened when they are there.
    AwaitedCgroupV1(Cgroup),
    /// With a bind of the container's own cgroup, for where the file system cannot be mounted.
    CgroupV2 {
        own: Option<Mount>,
    },
}

/// How a mount shows owners: by the mapping of a user namespace, and whether that holds for the mounts below too.
pub(crate) struct IdMap {
    namespace: Rc<OwnedFd>,
    recursive: bool,
}

impl IdMap {
    pub fn apply(&self, mount: &Mount) -> Result<()> {
        Ok(mount.map_ids(&self.namespace, self.recursive)?)
    }
}

/// Version 1: the container's own directory of each hierarchy, and other names of hierarchies.
#[derive(Default)]
pub(crate) struct Hierarchies {
    pub mounts: Vec<(OsString, Mount)>,
    pub links: Vec<(OsString, OsString)>,
}

/// What mounts depend on beside themselves.
pub(crate) struct Surroundings<'a> {
    pub cgroup: Option<&'a Cgroup>,
    /// The cgroup has no directories yet.
    pub awaits_cgroup: bool,
    pub namespaces: &'a Namespaces,
    /// The root as a directory of the host, where it is one: paths beneath it mean the container's files.
    pub root: Option<&'a Path>,
    /// The caller's mount namespace, where binds are to be cloned in their turn.
    pub in_turn: Option<Rc<OwnedFd>>,
    /// The SELinux context of new file systems (`mountLabel`).
    pub label: &'a str,
}

pub(crate) fn prepare(mounts: &[spec::runtime::Mount], around: &Surroundings<'_>) -> Result<Vec<Planned>> {
    let mut maps = IdMaps::default();
    let in_words = |mount: &spec::runtime::Mount, error| in_words(error, &mount.source, Path::new(&mount.destination));
    mounts.iter().map(|mount| plan(mount, around, &mut maps).map_err(|error| in_words(mount, error))).collect()
}

/// Says which mount a failed step belongs to, as runc does.
pub(crate) fn in_words(error: Error, source: &str, destination: &Path) -> Error {
    let Error::Setup(error) = error else { return error };
    let hint = match error.errno {
        Errno::NOTDIR => " (a directory cannot be mounted on a file, nor a file on a directory)",
        _ => "",
    };
    let path = error.path.map(|path| format!(" {}", path.display())).unwrap_or_default();
    let action = format!("error mounting {source:?} to rootfs at {destination:?}: {}{path}{hint}", error.action);
    Error::Setup(kernel::Error::new(action, error.errno))
}

fn plan(mount: &spec::runtime::Mount, around: &Surroundings<'_>, maps: &mut IdMaps) -> Result<Planned> {
    let mut options = Options::parse(&mount.options)?;
    // A destination without a slash is deprecated and means one below the root (config.md, mounts).
    let destination = clean(&format!("/{}", mount.destination)).filter(|_| !mount.destination.is_empty());
    let mut destination = destination.ok_or_else(|| invalid("a mount has no destination"))?;
    if let Some(inside) = around.root.and_then(|root| inside(root, &destination)) {
        destination = inside;
    }
    let is_bind = options.bind.is_some() || mount.kind == "bind";
    if !is_bind && !options.remount {
        options = options.of_one_mount();
    }
    let ids = maps.wanted(mount, &options, is_bind, around.namespaces)?;
    if !around.label.is_empty() && !is_bind && !matches!(mount.kind.as_str(), "proc" | "sysfs" | "cgroup" | "cgroup2") {
        options.data.push(("context".to_owned(), Some(around.label.to_owned())));
    }
    let recursive = options.bind.unwrap_or(false);
    let locked = around.namespaces.has_own_users();
    let kind = match mount.kind.as_str() {
        _ if options.remount => Kind::Remount,
        _ if is_bind => {
            check_bind(&mount.source, &options)?;
            match around.root.and_then(|root| inside(root, Path::new(&mount.source))) {
                Some(source) => Kind::BindInside { source, recursive, ids, locked },
                None => match &around.in_turn {
                    // Through /proc it may be another namespace's.
                    Some(namespace) if ids.is_none() && !mount.source.starts_with("/proc/") => {
                        let namespace = Rc::clone(namespace);
                        Kind::BindInTurn { source: open_source(&mount.source)?, namespace, recursive }
                    }
                    _ => bind(&mount.source, recursive, &options, ids, locked)?,
                },
            }
        }
        "proc" => Kind::New(FileSystem::Proc),
        "sysfs" => Kind::New(FileSystem::Sysfs),
        "tmpfs" => Kind::New(FileSystem::Tmpfs { source: mount.source.clone() }),
        "cgroup" => Kind::New(cgroups(around, &options)?),
        "cgroup2" => Kind::New(FileSystem::CgroupV2 { own: own_cgroup(around.cgroup)? }),
        "" => return Err(invalid(format!("mount on {:?} has neither a type nor bind", mount.destination))),
        name => Kind::New(FileSystem::Other { name: name.to_owned(), source: mount.source.clone() }),
    };
    Ok(Planned { source: mount.source.clone(), destination, options, kind })
}

/// A path of the host as one of the container, if it leads into the directory `root` by its text.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(root).ok().filter(|_| root != Path::new("/"))?;
    // One that leads out again, perhaps through a link: only the host knows where to.
    let stays = rest.components().all(|component| matches!(component, Component::Normal(_)));
    stays.then(|| Path::new("/").join(rest))
}

/// User namespaces for id-mapped mounts, one for all mounts with the same mapping.
#[derive(Default)]
struct IdMaps(Vec<(Vec<IdMapping>, Vec<IdMapping>, Rc<OwnedFd>)>);

impl IdMaps {
    fn wanted(
        &mut self,
        mount: &spec::runtime::Mount,
        options: &Options,
        is_bind: bool,
        namespaces: &Namespaces,
    ) -> Result<Option<IdMap>> {
        let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
        if !mapped && options.map_ids.is_none() {
            return Ok(None);
        }
        let refused = |what: &str| invalid(format!("mount on {:?}: {what}", mount.destination));
        if !is_bind {
            return Err(refused("id-mapped mounts are only supported for bind-mounts"));
        }
        if mapped && (mount.uid_mappings.is_empty() || mount.gid_mappings.is_empty()) {
            return Err(refused("id-mapped mounts must have both uid and gid mappings specified"));
        }
        let recursive = options.map_ids == Some(true);
        let namespace = match namespaces.joined(kernel::namespace::Kind::User) {
            // Without mappings of its own it has the container's.
            Some(joined) if !mapped => Rc::new(joined.try_clone_to_owned().during("copy descriptor")?),
            _ if !mapped && namespaces.users.is_empty() => {
                return Err(refused("idmap needs uidMappings and gidMappings, or a user namespace to take them from"));
            }
            _ if !mapped => self.namespace(namespaces.users.clone(), namespaces.groups.clone())?,
            _ => self.namespace(mappings(&mount.uid_mappings)?, mappings(&mount.gid_mappings)?)?,
        };
        Ok(Some(IdMap { namespace, recursive }))
    }

    fn namespace(&mut self, users: Vec<IdMapping>, groups: Vec<IdMapping>) -> Result<Rc<OwnedFd>> {
        if let Some((_, _, known)) = self.0.iter().find(|(u, g, _)| *u == users && *g == groups) {
            return Ok(Rc::clone(known));
        }
        let made = Rc::new(kernel::namespace::new_user(&users, &groups)?);
        self.0.push((users, groups, Rc::clone(&made)));
        Ok(made)
    }
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

/// The kernel would leave options for the file system away without a word.
fn check_bind(source: &str, options: &Options) -> Result<()> {
    if options.data.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = options.data.iter().map(|(key, _)| key.as_str()).collect();
    Err(invalid(format!(
        "unknown options of the bind mount of {source}: {}; bind mounts cannot have any filesystem-specific options applied",
        names.join(",")
    )))
}

fn bind(source: &str, recursive: bool, options: &Options, ids: Option<IdMap>, locked: bool) -> Result<Kind> {
    let mount = clone_source(Path::new(source), recursive).map_err(|error| no_source(source, error))?;
    if let Some(ids) = ids {
        ids.apply(&mount)?;
    }
    bound(mount, source, recursive, options, locked)
}

fn open_source(source: &str) -> Result<OwnedFd> {
    let opened = rustix::fs::open(source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.during_at("open", source).map_err(|error| no_source(source, error))
}

fn no_source(source: &str, error: kernel::Error) -> Error {
    match error.errno {
        Errno::NOENT => invalid(format!("bind source path does not exist: {source}")),
        _ => error.into(),
    }
}

/// Of a clone, what is to be attached.
pub(crate) fn bound(mount: Mount, source: &str, recursive: bool, options: &Options, locked: bool) -> Result<Kind> {
    set_bind_attributes(&mount, recursive, options, locked)?;
    let stat = rustix::fs::fstat(&mount).map_err(|errno| kernel::Error::at("stat", source, errno))?;
    let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
    let is_proc_root = is_directory && stat.st_ino == PROC_ROOT_INODE && is_on_proc(&mount)?;
    Ok(Kind::Bind { mount, is_directory, is_proc_root })
}

/// Attributes that a mount in a user namespace keeps, because they bind the host's root (mount_namespaces(7)).
const LOCKED: Attributes =
    Attributes::READ_ONLY.with(Attributes::NOSUID).with(Attributes::NODEV).with(Attributes::NOEXEC);
const ACCESS_TIME: Attributes = Attributes::ATIME_MASK.with(Attributes::NODIRATIME);

/// While the mount is still detached, so that nobody sees it without them. `locked` for a container in a user namespace
/// of its own, which must not get more than the kernel would let it take: we ourselves could.
pub(crate) fn set_bind_attributes(mount: &Mount, recursive: bool, options: &Options, locked: bool) -> Result<()> {
    let none = Attributes::NONE;
    let (set, clear) = if options.has_attributes { changes(mount, options, locked)? } else { (none, none) };
    // Private unless asked otherwise: the clone is a peer of the host's mount, and what the container mounts
    // below must not appear on the host.
    let (propagation, all) = options.propagation.unwrap_or((Propagation::Private, true));
    if all && recursive {
        mount.set_attributes(options.recursive_set, options.recursive_clear, Some(propagation), true)?;
        if set != none || clear != none {
            mount.set_attributes(set, clear, None, false)?;
        }
        return Ok(());
    }
    if recursive && (options.recursive_set != none || options.recursive_clear != none) {
        mount.set_attributes(options.recursive_set, options.recursive_clear, None, true)?;
    }
    let set = set.with(options.recursive_set);
    let clear = clear.with(options.recursive_clear).without(set);
    Ok(mount.set_attributes(set, clear, Some(propagation), false)?)
}

/// What to set and to clear where any attribute is named: those that are not named are cleared, as mount(2) does in a
/// remount and with it runc; but the choice of access time stays unless one is set.
fn changes(mount: &Mount, options: &Options, locked: bool) -> Result<(Attributes, Attributes)> {
    let had = kernel::mount::attributes_of(mount)?;
    let plain = LOCKED.with(Attributes::NOSYMFOLLOW);
    let mut set = options.set.without(ACCESS_TIME);
    if locked {
        let kept = had.intersection(LOCKED);
        let access_time = options.set.intersection(ACCESS_TIME);
        let moves_time = options.sets_access_time && access_time != had.intersection(ACCESS_TIME);
        if options.clear.intersects(kept) || moves_time {
            return Err(kernel::Error::new("change locked attributes of mount", Errno::PERM).into());
        }
        set = set.with(kept);
    }
    // What `rro` and its kin ask for holds for this mount too.
    let mut clear = plain.without(set).without(options.recursive_set);
    if options.sets_access_time && !locked {
        set = set.with(options.set.intersection(ACCESS_TIME));
        clear = clear.with(ACCESS_TIME);
    }
    Ok((set, clear))
}

pub(crate) fn is_on_proc(fd: impl AsFd) -> Result<bool> {
    let stat = rustix::fs::fstatfs(fd).map_err(|errno| kernel::Error::new("stat file system", errno))?;
    Ok(stat.f_type as u64 == PROC_SUPER_MAGIC)
}

fn cgroups(around: &Surroundings<'_>, options: &Options) -> Result<FileSystem> {
    Ok(match around.cgroup {
        Some(cgroup @ Cgroup::V1(_)) if around.awaits_cgroup => FileSystem::AwaitedCgroupV1(cgroup.clone()),
        Some(cgroup @ Cgroup::V1(_)) => FileSystem::CgroupV1(Hierarchies::of(cgroup, options)?),
        Some(Cgroup::V2(_)) => FileSystem::CgroupV2 { own: own_cgroup(around.cgroup)? },
        None if Layout::detect()?.is_v2() => FileSystem::CgroupV2 { own: None },
        None => FileSystem::CgroupV1(Hierarchies::default()),
    })
}

impl Hierarchies {
    pub fn of(cgroup: &Cgroup, options: &Options) -> Result<Hierarchies> {
        let mut hierarchies = Hierarchies::default();
        for directory in cgroup.directories() {
            let Some(name) = hierarchy_name(&directory) else { continue };
            let mount = match Mount::bind(&directory, false) {
                // A hierarchy in which the container has no group of its own.
                Err(error) if error.errno == Errno::NOENT => continue,
                mount => mount?,
            };
            // All of it here: once attached in a user namespace of the container's, it could not be taken back.
            let attributes = Attributes::NOSUID.with(Attributes::NODEV).with(Attributes::NOEXEC).with(options.set);
            mount.set_attributes(attributes, Attributes::NONE, Some(Propagation::Private), false)?;
            // `cpu,cpuacct` is known as `cpu` and as `cpuacct` too.
            let text = name.to_string_lossy();
            if text.contains(',') {
                hierarchies.links.extend(text.split(',').map(|part| (OsString::from(part), name.clone())));
            }
            hierarchies.mounts.push((name, mount));
        }
        Ok(hierarchies)
    }
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

    fn prepare_one(mount: spec::runtime::Mount) -> Result<Vec<Planned>> {
        let namespaces = Namespaces::default();
        prepare(
            &[mount],
            &Surroundings {
                cgroup: None,
                awaits_cgroup: false,
                namespaces: &namespaces,
                root: Some(Path::new("/r")),
                in_turn: None,
                label: "",
            },
        )
    }

    #[test]
    fn id_maps_are_for_binds_and_complete() {
        let one = vec![spec::runtime::IdMapping { container_id: 0, host_id: 1, size: 1 }];
        let mount = |kind: &str, options: &[&str], uid_mappings| spec::runtime::Mount {
            destination: "/x".into(),
            kind: kind.into(),
            source: "/tmp".into(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            uid_mappings,
            ..Default::default()
        };
        let check = |mount, word: &str| match prepare_one(mount) {
            Err(error) => assert!(error.to_string().contains(word), "{error}"),
            Ok(_) => panic!("accepted, wanted an error about {word}"),
        };
        check(mount("tmpfs", &["idmap"], Vec::new()), "only supported for bind");
        check(mount("", &["bind", "idmap"], Vec::new()), "idmap needs");
        check(mount("", &["bind"], one), "both uid and gid");
        check(mount("", &["bind", "mode=1"], Vec::new()), "mode");
    }

    #[test]
    fn a_bind_that_names_attributes_has_these_alone() {
        use Attributes as A;
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let had = A::READ_ONLY.with(A::NOEXEC).with(A::NOATIME);
        let check = |locked, asked: &[&str], wanted: Option<A>| {
            let mount = kernel::mount::Filesystem::open("tmpfs").unwrap().mount(had).unwrap();
            let options = Options::parse(&asked.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>()).unwrap();
            let result = set_bind_attributes(&mount, false, &options, locked);
            let found = result.is_ok().then(|| kernel::mount::attributes_of(&mount).unwrap());
            assert_eq!(found, wanted, "{asked:?} {locked}");
        };
        check(false, &["bind"], Some(had));
        check(false, &["bind", "dev"], Some(A::NOATIME));
        check(false, &["bind", "rw", "nosuid"], Some(A::NOSUID.with(A::NOATIME)));
        check(false, &["bind", "atime"], Some(A::NOATIME));
        check(false, &["bind", "relatime"], Some(A::NONE));
        check(false, &["bind", "nodiratime"], Some(A::NODIRATIME));
        check(false, &["bind", "nodiratime", "strictatime"], Some(A::NODIRATIME.with(A::STRICTATIME)));
        check(false, &["rbind", "rrelatime"], Some(A::READ_ONLY.with(A::NOEXEC)));
        check(true, &["bind", "dev"], Some(had));
        check(true, &["bind", "nosuid"], Some(had.with(A::NOSUID)));
        check(true, &["bind", "rw"], None);
        check(true, &["bind", "relatime"], None);
        check(true, &["bind", "atime"], Some(had));
    }

    #[test]
    fn sources_in_the_container_wait_for_their_turn() {
        let mount = spec::runtime::Mount {
            destination: "/r/x".into(),
            source: "/r/a/b".into(),
            options: vec!["rbind".into()],
            ..Default::default()
        };
        assert_eq!(inside(Path::new("/r"), Path::new("/r/../a")), None);
        assert_eq!(inside(Path::new("/r"), Path::new("/rx/a")), None);
        let planned = prepare_one(mount).unwrap();
        assert_eq!(planned[0].destination, Path::new("/x"));
        assert!(
            matches!(&planned[0].kind, Kind::BindInside { source, recursive: true, .. } if source == Path::new("/a/b"))
        );
    }

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
        let Err(error) = prepare_one(mount) else { panic!("accepted") };
        assert_eq!(error.to_string(), "bind source path does not exist: /nonexistent");
    }
}
