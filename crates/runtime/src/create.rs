//! From a specification to a process that is one step before its program. Everything is checked and made ready
//! first; then one clone3 with all namespaces, and one message back when the child (`init.rs`) is done. On any
//! error nothing is left: the child is ended and reaped, and its mounts go with its mount namespace.

use crate::attributes;
use crate::bundle::{Bundle, Ending};
use crate::error::{Error, Result, invalid};
use crate::init::{self, NewNetwork, Plan};
use crate::listener::Listener;
use crate::mount_plan::{self, Surroundings};
use crate::namespaces::Namespaces;
use crate::prepare::{self, Filter, Process};
use crate::process::Streams;
use crate::shown_root::ShownRoot;
use crate::spawn::{self, reap};
use crate::sync::{self, Message, Socket};
use crate::{rootfs, seccomp};
use kernel::cgroup::{Cgroup, Entry, Making};
use kernel::clone::{Child, Options};
use kernel::mount::{Attributes, Mount, Propagation};
use kernel::namespace::{self, Kind};
use kernel::pidfd::PidFd;
use kernel::{Context, netlink, sysctl};
use spec::runtime::{Linux, Namespace, NamespaceKind, NetDevice, Spec, State};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// What a container is made of.
pub struct Create<'a> {
    /// What it says of cgroups and of Intel RDT is the caller's to do.
    pub spec: &'a Spec,
    pub rootfs: Rootfs<'a>,
    /// An existing empty directory of the host, on which the root is attached inside the new mount namespace only.
    pub mount_point: &'a Path,
    pub stdio: Stdio,
    pub cgroup: Option<Group<'a>>,
    /// Compiled ahead; else `linux.seccomp` of the specification is compiled here.
    pub seccomp: Option<&'a kernel::seccomp::Program>,
    /// Run the program as the child of a small pid 1 of ours (`--init`).
    pub reaper: bool,
    /// `None` for a container without hooks, gate and inherited descriptors.
    pub bundle: Option<Bundle<'a>>,
}

/// The cgroup of the container's first process.
pub enum Group<'a> {
    /// Entered by the child before it does anything.
    Made(&'a Cgroup),
    /// Completed, if it is not yet, by `complete` while the child is busy with its mounts; entered before the first one that
    /// shows it or takes up its memory. Only for a specification that [`enters_cgroup_late`] holds for.
    Begun { making: &'a Making, complete: Complete<'a> },
}

pub type Complete<'a> = &'a dyn Fn() -> Result<()>;

impl<'a> Group<'a> {
    fn cgroup(&self) -> &'a Cgroup {
        match self {
            Group::Made(cgroup) => cgroup,
            Group::Begun { making, .. } => making.group(),
        }
    }

    /// The group, if the child has to wait for it.
    fn awaited(&self) -> Option<&'a Cgroup> {
        match self {
            Group::Begun { making, .. } if !making.is_complete() => Some(making.group()),
            _ => None,
        }
    }

    fn entry(&self) -> kernel::Result<Entry> {
        match self {
            Group::Made(cgroup) => cgroup.entry(),
            Group::Begun { making, .. } => making.entry(),
        }
    }

    fn complete(&self) -> Result<()> {
        match self {
            Group::Made(_) => Ok(()),
            Group::Begun { complete, .. } => complete(),
        }
    }
}

/// Whether the child can open its cgroup itself, amid its mounts: one with other users than the caller's may not, and in
/// a mount namespace of somebody else it might find another one. Devices are moved into a network of the parent's.
pub fn enters_cgroup_late(spec: &Spec) -> bool {
    let Some(linux) = &spec.linux else { return false };
    let own_mounts = |one: &Namespace| one.kind == NamespaceKind::Mount && one.path.is_empty();
    let has_users = linux.namespaces.iter().any(|one| one.kind == NamespaceKind::User);
    linux.namespaces.iter().any(own_mounts) && !has_users && linux.net_devices.is_empty()
}

pub enum Rootfs<'a> {
    /// A detached mount, which becomes the container's.
    Detached(&'a Mount),
    /// A directory of the host.
    Path(&'a Path),
}

pub enum Stdio {
    Fds {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// A new terminal from the container's own devpts; 0 by 0 leaves the kernel's size.
    Terminal {
        width: u16,
        height: u16,
    },
}

impl Stdio {
    pub(crate) fn streams(&self) -> Streams<'_> {
        match self {
            Stdio::Fds { stdin, stdout, stderr } => Streams::Fds([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]),
            Stdio::Terminal { width, height } => Streams::Terminal { width: *width, height: *height },
        }
    }
}

/// A process that waits to become its program: [`Created::start`] or [`Created::abandon`] it. If this is dropped, or
/// its owner killed, the process ends by itself.
#[derive(Debug)]
pub struct Created {
    /// As the caller's pid namespace counts.
    pub pid: i32,
    pub pidfd: PidFd,
    /// Master side of the terminal, if one was asked for.
    pub console: Option<OwnedFd>,
    pub(crate) socket: Socket,
    pub(crate) shown_root: Option<ShownRoot>,
}

/// Makes the container up to its execve. The caller must have one thread only.
pub fn create(create: Create<'_>) -> Result<Created> {
    create_with(create, None::<fn(BorrowedFd<'_>)>)
}

/// As [`create`]; `connect` is given the container's new network namespace, and works in it while the child goes on. It is
/// not called where the child makes a network namespace itself (with a new user namespace) or joins one.
pub fn create_and_connect(create: Create<'_>, connect: impl FnOnce(BorrowedFd<'_>)) -> Result<Created> {
    create_with(create, Some(connect))
}

fn create_with(create: Create<'_>, connect: Option<impl FnOnce(BorrowedFd<'_>)>) -> Result<Created> {
    let owned;
    let rootfs = match create.rootfs {
        Rootfs::Detached(mount) => mount,
        Rootfs::Path(path) => {
            owned = bind_rootfs(path, create.spec.linux.as_ref())?;
            &owned
        }
    };
    let plan = plan(&create, rootfs, connect.is_some())?;
    // Before there is a child that may attach it.
    let shown_root = if plan.namespaces.shares_mounts() { Some(ShownRoot::of(rootfs)?) } else { None };
    let (ours, theirs) = sync::pair()?;
    let child = spawn_init(&plan, &ours, &theirs)?;
    // Our copy must go, or the child's end would not be the end of file.
    drop(theirs);
    let linux = create.spec.linux.as_ref();
    let devices = linux.map(|linux| &linux.net_devices);
    let created = finish(child, ours, &plan.ending, |child, ours| {
        let network = provide_namespaces(&plan, devices, child, ours)?;
        if let (Some(_), Some(group)) = (plan.awaited_group, &create.cgroup) {
            group.complete()?;
            ours.send(&Message::CgroupMade)?;
        }
        if let (Some(network), Some(connect)) = (network, connect) {
            connect(network.as_fd());
        }
        Ok(())
    });
    match created {
        Ok(created) => Ok(Created { shown_root, ..created }),
        Err(error) => {
            shown_root.iter().for_each(ShownRoot::take_off);
            Err(error)
        }
    }
}

/// Waits until `child` is ready; on any error it is ended and reaped.
pub(crate) fn finish(
    child: Child,
    ours: Socket,
    ending: &Ending<'_>,
    prepare: impl FnOnce(&Child, &Socket) -> Result<()>,
) -> Result<Created> {
    let ready = match prepare(&child, &ours) {
        // A child that ended before it heard us has said why.
        Ok(()) | Err(Error::Ended) => wait_until_ready(&ours, ending, child.pid),
        Err(error) => Err(error),
    };
    match ready {
        Ok(console) => Ok(Created { pid: child.pid, pidfd: child.pidfd, console, socket: ours, shown_root: None }),
        Err(error) => {
            reap(&child.pidfd);
            Err(error)
        }
    }
}

fn wait_until_ready(ours: &Socket, ending: &Ending<'_>, pid: i32) -> Result<Option<OwnedFd>> {
    let mut console = None;
    loop {
        match ours.receive()? {
            Some(Message::Console(master)) => console = Some(master),
            Some(Message::Hooks) => {
                ending.hooks_of_parent(pid)?;
                ours.send(&Message::HooksDone { pid })?;
            }
            Some(Message::Ready) => return Ok(console),
            Some(Message::Failed(error)) => return Err(error),
            _ => return Err(Error::Ended),
        }
    }
}

fn spawn_init(plan: &Plan<'_>, ours: &Socket, theirs: &Socket) -> Result<Child> {
    let child = || init::run(plan, ours, theirs);
    // The cgroup namespace comes later: its root is the cgroup that its maker is in.
    // And the time namespace is entered with its clocks set.
    let mut namespaces = plan.namespaces.new.without(Kind::Cgroup).without(Kind::Time);
    if plan.network != NewNetwork::WithClone {
        namespaces = namespaces.without(Kind::Network);
    }
    let options =
        Options { namespaces, cgroup: plan.entry.as_ref().and_then(kernel::cgroup::Entry::directory), sibling: false };
    if plan.joined_before {
        spawn::spawn_through(&plan.namespaces.joined, options, child)
    } else {
        spawn::spawn(options, plan.namespaces.joined(Kind::Pid), child)
    }
}

/// The parent's part in the child's namespaces: the map of a new user namespace, which may be about ids that the
/// child has no power over, and the network, which is made while the child enters its cgroups and mounts, and returned.
fn provide_namespaces(
    plan: &Plan<'_>,
    devices: Option<&BTreeMap<String, NetDevice>>,
    child: &Child,
    ours: &Socket,
) -> Result<Option<OwnedFd>> {
    let namespaces = &plan.namespaces;
    if namespaces.new.contains(Kind::User) {
        namespace::write_mappings(child.pid, &namespaces.users, &namespaces.groups)?;
        if plan.network != NewNetwork::FromParent {
            move_devices(devices, || namespace::of_process(child.pid, Kind::Network))?;
        }
        ours.send(&Message::Mapped)?;
    } else if plan.network != NewNetwork::FromParent {
        // Made by the clone or joined by the child soon.
        move_devices(devices, || match namespaces.joined(Kind::Network) {
            Some(joined) => joined.try_clone_to_owned().during("copy descriptor"),
            None => namespace::of_process(child.pid, Kind::Network),
        })?;
    }
    if plan.network != NewNetwork::FromParent {
        return Ok(None);
    }
    let network = namespace::new_network()?;
    move_devices(devices, || network.try_clone().during("copy descriptor"))?;
    let copy = network.try_clone().during("copy descriptor")?;
    ours.send(&Message::Network(copy))?;
    Ok(Some(network))
}

/// `network` is only asked for where there is something to move.
fn move_devices(
    devices: Option<&BTreeMap<String, NetDevice>>,
    network: impl FnOnce() -> kernel::Result<OwnedFd>,
) -> Result<()> {
    let Some(devices) = devices.filter(|devices| !devices.is_empty()) else { return Ok(()) };
    let network = network()?;
    for (name, device) in devices {
        let new_name = if device.name.is_empty() { name } else { &device.name };
        netlink::move_link(name, &network, new_name)?;
    }
    Ok(())
}

fn check_devices(linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    if linux.net_devices.is_empty() {
        return Ok(());
    }
    if !namespaces.differs_from_own(Kind::Network)? {
        return Err(invalid("unable to move network devices without a NET namespace"));
    }
    let names = linux.net_devices.iter().flat_map(|(name, device)| [name, &device.name]);
    match names.filter(|name| !name.is_empty()).find(|name| !netlink::is_valid_name(name)) {
        Some(name) => Err(invalid(format!("invalid network device name {name:?}"))),
        None => Ok(()),
    }
}

fn plan<'a>(create: &'a Create<'a>, rootfs: &'a Mount, connects: bool) -> Result<Plan<'a>> {
    let spec = create.spec;
    let linux = spec.linux.as_ref().ok_or_else(|| invalid("the specification has no part for Linux"))?;
    let process = process_of(spec, create.bundle.as_ref())?;
    let namespaces = Namespaces::prepare(linux)?;
    check_names(spec, &namespaces)?;
    check_paths(linux, &namespaces)?;
    check_devices(linux, &namespaces)?;
    let filter = filter(create.seccomp, linux.seccomp.as_ref(), create.bundle.map(|bundle| (bundle.state, true)))?;
    // A bound /dev is somebody else's: nothing is made in it.
    let is_dev = |path: &str| mount_plan::clean(path).as_deref() == Some(Path::new("/dev"));
    let own_dev = !spec.mounts.iter().any(|mount| is_dev(&mount.destination) && is_bind(mount));
    let awaited_group = create.cgroup.as_ref().and_then(Group::awaited);
    let surroundings = Surroundings {
        cgroup: create.cgroup.as_ref().map(Group::cgroup),
        awaits_cgroup: awaited_group.is_some(),
        namespaces: &namespaces,
        root: match create.rootfs {
            Rootfs::Path(path) => Some(path),
            Rootfs::Detached(_) => None,
        },
        in_turn: binds_in_turn(create, &namespaces)?,
        label: mount_label(linux)?,
    };
    let mounts = mount_plan::prepare(&spec.mounts, &surroundings)?;
    Ok(Plan {
        sysctls: sysctls(linux, &namespaces)?,
        joined_before: namespaces.joins_before(),
        network: NewNetwork::of(&namespaces, awaited_group.is_some() && !connects),
        namespaces,
        entry: create.cgroup.as_ref().map(Group::entry).transpose()?,
        awaited_group,
        rootfs,
        mount_point: create.mount_point,
        root_propagation: root_propagation(linux)?,
        read_only_root: spec.root.as_ref().is_some_and(|root| root.readonly),
        hostname: &spec.hostname,
        domainname: &spec.domainname,
        mounts,
        devices: own_dev.then(|| rootfs::plan(&linux.devices)).transpose()?,
        masked: &linux.masked_paths,
        read_only: &linux.readonly_paths,
        null: mount_plan::null_device()?,
        streams: create.stdio.streams(),
        process: Process::prepare(
            process,
            attributes::Attributes::of_first(process, Some(linux))?,
            filter,
            create.reaper,
        )?,
        ending: Ending { bundle: create.bundle, hooks: spec.hooks.as_ref(), environment: &process.env },
    })
}

/// For a bundle, whose mounts others look at. Not in a user namespace of its own, from which the caller's mounts are out of
/// reach, nor in mount namespaces of others, where there may be no /proc.
fn binds_in_turn(create: &Create<'_>, namespaces: &Namespaces) -> Result<Option<Rc<OwnedFd>>> {
    let possible = namespaces.new.contains(Kind::Mount) && !namespaces.has_own_users();
    if create.bundle.is_none() || !possible || !create.spec.mounts.iter().any(is_bind) {
        return Ok(None);
    }
    Ok(Some(Rc::new(namespace::of_process(std::process::id() as i32, Kind::Mount)?)))
}

/// One that waits at a gate may lack it: `process` is required by `start`, not by `create` (config.md, process).
fn process_of<'a>(spec: &'a Spec, bundle: Option<&Bundle<'_>>) -> Result<&'a spec::runtime::Process> {
    match &spec.process {
        Some(process) => Ok(process),
        None if bundle.is_some_and(|bundle| bundle.gate.is_some()) => Ok(prepare::absent()),
        None => Err(invalid("the specification has no process")),
    }
}

/// On the host's own /proc they would hold for the host.
fn check_paths(linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    let has_paths = !linux.masked_paths.is_empty() || !linux.readonly_paths.is_empty();
    if has_paths && namespaces.shares_mounts() {
        return Err(invalid("unable to restrict sys entries without a private MNT namespace"));
    }
    Ok(())
}

fn mount_label(linux: &Linux) -> Result<&str> {
    if !linux.mount_label.is_empty() && !kernel::label::has_selinux() {
        return Err(invalid("mount label is specified in config, but selinux is disabled or not supported"));
    }
    Ok(&linux.mount_label)
}

fn is_bind(mount: &spec::runtime::Mount) -> bool {
    mount.kind == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

fn check_names(spec: &Spec, namespaces: &Namespaces) -> Result<()> {
    let has_uts = namespaces.new.contains(Kind::Uts) || namespaces.joins(Kind::Uts);
    let wants_names = !spec.hostname.is_empty() || !spec.domainname.is_empty();
    if wants_names && !has_uts {
        return Err(invalid("a host name needs a uts namespace of the container's own"));
    }
    Ok(())
}

/// Only parameters that a namespace of the container's own confines.
fn sysctls<'a>(linux: &'a Linux, namespaces: &Namespaces) -> Result<Vec<(String, &'a str)>> {
    let mut paths = Vec::with_capacity(linux.sysctl.len());
    for (name, value) in &linux.sysctl {
        let Some(path) = sysctl::path_of(name) else {
            return Err(invalid(format!("sysctl {name:?} is no name of a parameter: it leads elsewhere than it says")));
        };
        match sysctl::namespace_of(&path.replace('/', ".")) {
            Some(kind) if namespaces.differs_from_own(kind)? => paths.push((path, value.as_str())),
            Some(kind) => {
                let kind = kind.file_name();
                return Err(invalid(format!("sysctl {name:?} needs a {kind} namespace of the container's own")));
            }
            None => return Err(invalid(format!("sysctl {name:?} is not in a namespace: set it on the host"))),
        }
    }
    Ok(paths)
}

/// `container` is the container's state, for an agent, and whether this is its first process.
pub(crate) fn filter<'a>(
    compiled: Option<&'a kernel::seccomp::Program>,
    profile: Option<&'a spec::runtime::Seccomp>,
    container: Option<(&State, bool)>,
) -> Result<Option<Filter<'a>>> {
    let in_words = |error: seccomp::Error| invalid(format!("seccomp profile: {error}"));
    // As runc: an empty profile is none.
    let profile = profile.filter(|profile| !profile.is_empty());
    let flags = match profile {
        Some(profile) => seccomp::flags(profile).map_err(in_words)?,
        None => kernel::seccomp::Flags::SPEC_ALLOW,
    };
    let program = match (compiled, profile) {
        (Some(compiled), _) => Cow::Borrowed(compiled),
        (None, Some(profile)) => Cow::Owned(seccomp::compile(profile).map_err(in_words)?),
        (None, None) => return Ok(None),
    };
    let listener = match profile {
        Some(profile) => Listener::connect(profile, container)?,
        None => None,
    };
    Ok(Some(Filter { program, flags, listener }))
}

/// From `rootfsPropagation`, private if it says nothing.
fn root_propagation(linux: &Linux) -> Result<(Propagation, bool)> {
    let wanted = linux.rootfs_propagation.as_str();
    let (name, recursive) = match wanted.strip_prefix('r') {
        Some(name) => (name, true),
        None => (wanted, false),
    };
    let propagation = match name {
        "" | "private" => Propagation::Private,
        "slave" => Propagation::Slave,
        "shared" => Propagation::Shared,
        "unbindable" => Propagation::Unbindable,
        _ => return Err(invalid(format!("unknown rootfs propagation {wanted:?}"))),
    };
    Ok((propagation, recursive))
}

/// The root as a mount of its own: what is mounted in the container must not appear on the host. With slave and
/// shared propagation the host's later mounts appear in the container; sharing starts after the pivot (`init.rs`),
/// which refuses shared mounts.
fn bind_rootfs(path: &Path, linux: Option<&Linux>) -> Result<Mount> {
    let (wanted, _) = linux.map_or(Ok((Propagation::Private, true)), root_propagation)?;
    let now = rootfs::propagation_before(wanted);
    let mount = Mount::bind(path, true)?;
    mount.set_attributes(Attributes::NONE, Attributes::NONE, Some(now), true)?;
    Ok(mount)
}
