//! The container's first process, from its birth to the moment before its program: a numbered list in which
//! each step says why it stands where it does. Runs in the child of `create`; what it needs was made ready
//! there. Its last part, shared with `exec`, is `process.rs`.

use crate::bundle::{Ending, RootChange};
use crate::error::{Error, Result, invalid};
use crate::masks;
use crate::mount_plan::Planned;
use crate::mounts::{self, Attached};
use crate::namespaces::Namespaces;
use crate::prepare::Process;
use crate::process::{self, Streams};
use crate::rootfs::{self, Device};
use crate::sync::{Message, Socket};
use kernel::Context;
use kernel::beneath::Root;
use kernel::cgroup::{Cgroup, Entry};
use kernel::mount::{Attributes, Mount, Propagation};
use kernel::namespace::{self, Kind};
use kernel::{identity, loopback, pivot, prctl, sysctl, time_offsets, uts};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Everything that `create` made ready.
pub(crate) struct Plan<'a> {
    pub namespaces: Namespaces,
    pub network: NewNetwork,
    /// Joined already, by the intermediate process of `spawn.rs`.
    pub joined_before: bool,
    pub entry: Option<Entry>,
    /// The cgroup, if the parent is still making it: entered when it says so.
    pub awaited_group: Option<&'a Cgroup>,
    pub rootfs: &'a Mount,
    pub mount_point: &'a Path,
    /// And whether it holds for all mounts below.
    pub root_propagation: (Propagation, bool),
    pub read_only_root: bool,
    pub hostname: &'a str,
    pub domainname: &'a str,
    pub mounts: Vec<Planned>,
    /// `None` when the specification binds a `/dev` from elsewhere.
    pub devices: Option<Vec<Device>>,
    /// Paths below `/proc/sys`, and values.
    pub sysctls: Vec<(String, &'a str)>,
    pub masked: &'a [String],
    pub read_only: &'a [String],
    pub null: Mount,
    pub streams: Streams<'a>,
    pub process: Process<'a>,
    pub ending: Ending<'a>,
}

/// Who makes a new network namespace; that takes most of a millisecond, so whoever has less to do meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewNetwork {
    /// There is none, or one that shall belong to another user namespace, which must be made inside of it.
    WithClone,
    FromParent,
    FromChild,
}

impl NewNetwork {
    pub fn of(namespaces: &Namespaces, parent_is_busy: bool) -> NewNetwork {
        match namespaces.new.contains(Kind::Network) && !namespaces.has_own_users() {
            false => NewNetwork::WithClone,
            true if parent_is_busy => NewNetwork::FromChild,
            true => NewNetwork::FromParent,
        }
    }
}

/// Runs the child; the result is its exit code, which nobody needs: the parent learns why from the message.
pub(crate) fn run(plan: &Plan<'_>, ours: &Socket, theirs: &Socket) -> i32 {
    // The parent's end was copied by the clone: as long as we hold it, its owner's death would not reach us.
    process::close_parents_end(ours);
    match set_up(plan, theirs) {
        Ok(never) => match never {},
        Err(failure) => failure.report(theirs),
    }
}

fn set_up(plan: &Plan<'_>, socket: &Socket) -> Result<Infallible, process::Failure> {
    // 1. The cgroup before all else, if it is there: what follows is counted and limited.
    if plan.awaited_group.is_none() {
        enter_cgroup(plan, plan.entry.as_ref())?;
    }
    // 2. While the /proc that we see is the host's and our files in it are ours.
    process::prepare_self(&plan.process)?;
    // 3. An identity in a new user namespace, before anything is created or mounted with it.
    become_mapped_root(plan, socket)?;
    // 4. Out of sight before others than our parent may look (CVE-2016-9962).
    prctl::forbid_inspection()?;
    // 5. Cut off from the host's mounts before the first mount, which would else appear there.
    attach_root(plan)?;
    // 6. Namespaces of others before the file systems that show them.
    join_namespaces(plan)?;
    set_names(plan)?;
    // 7. The tree, with exact permissions.
    let umask = identity::set_umask(0);
    let root = Root::open(plan.mount_point)?;
    let terminal = fill_root(plan, &root, socket)?;
    // With the tree complete and the host's programs still in reach: some hooks change the one with the other. What
    // they make is the caller's.
    identity::set_umask(umask);
    plan.ending.hooks_before_pivot(&root, socket)?;
    // 8. Read-only when nothing is left to create in it, and then there is only this tree.
    if plan.read_only_root {
        plan.rootfs.set_attributes(Attributes::READ_ONLY, Attributes::NONE, None, false)?;
    }
    match plan.ending.bundle.map(|bundle| bundle.root).unwrap_or_default() {
        // The namespace's root is not ours to change.
        _ if plan.namespaces.shares_mounts() => pivot::chroot(&root)?,
        RootChange::Pivot => pivot::pivot(&root)?,
        RootChange::Move => pivot::change_root(&root)?,
    }
    // Dropped before streams get its number.
    drop(root);
    if let (propagation @ (Propagation::Shared | Propagation::Unbindable), recursive) = plan.root_propagation {
        kernel::mount::set_propagation(Path::new("/"), propagation, recursive)?;
    }
    // 9. From host's process to container's: streams, limits, rights, program.
    process::become_program(&plan.process, &plan.streams, terminal, &plan.ending, socket)
}

/// And the cgroup namespace only then, because its root becomes the cgroup that we are in.
fn enter_cgroup(plan: &Plan<'_>, entry: Option<&Entry>) -> Result<()> {
    if let Some(entry) = entry {
        entry.enter().during("enter the cgroup")?;
    }
    if plan.namespaces.new.contains(Kind::Cgroup) {
        namespace::unshare(namespace::Set::NONE.with(Kind::Cgroup))?;
    }
    Ok(())
}

fn become_mapped_root(plan: &Plan<'_>, socket: &Socket) -> Result<()> {
    if plan.namespaces.new.contains(Kind::User) {
        match socket.receive_plain()? {
            Some(Message::Mapped) => {}
            _ => return Err(Error::Ended),
        }
    }
    // With the rights of the new user namespace already, and still the owner of our files in the host's /proc.
    if let Some(offsets) = &plan.namespaces.time {
        time_offsets::enter_new(offsets)?;
    }
    if !plan.namespaces.new.contains(Kind::User) && !plan.namespaces.joins(Kind::User) {
        return Ok(());
    }
    identity::set_groups(&[])?;
    identity::set_group(0)?;
    Ok(identity::set_user(0)?)
}

fn attach_root(plan: &Plan<'_>) -> Result<()> {
    if let Some(joined) = plan.namespaces.joined(Kind::Mount) {
        // It becomes the container's, with the container's root as its root.
        namespace::join(joined, Kind::Mount)?;
    }
    if plan.namespaces.shares_mounts() {
        plan.rootfs.attach_at(rustix::fs::CWD, plan.mount_point)?;
        // Attached beneath a shared mount it is shared as well, and so would be all that is mounted in it.
        let propagation = rootfs::propagation_before(plan.root_propagation.0);
        return Ok(plan.rootfs.set_attributes(Attributes::NONE, Attributes::NONE, Some(propagation), true)?);
    }
    kernel::mount::set_propagation(Path::new("/"), Propagation::Private, true)?;
    Ok(plan.rootfs.attach_at(rustix::fs::CWD, plan.mount_point)?)
}

fn join_namespaces(plan: &Plan<'_>) -> Result<()> {
    if plan.joined_before {
        return Ok(());
    }
    for (kind, fd) in &plan.namespaces.joined {
        // The pid namespace was joined around the clone, see `spawn.rs`, the mount namespace in `attach_root`.
        if !matches!(kind, Kind::Pid | Kind::Mount) {
            namespace::join(fd, *kind)?;
        }
    }
    Ok(())
}

fn set_names(plan: &Plan<'_>) -> Result<()> {
    if plan.namespaces.new.contains(Kind::Uts) || plan.namespaces.joins(Kind::Uts) {
        if !plan.hostname.is_empty() {
            uts::set_hostname(plan.hostname)?;
        }
        if !plan.domainname.is_empty() {
            uts::set_domainname(plan.domainname)?;
        }
    }
    Ok(())
}

/// The cgroup that the parent has made meanwhile. Opened here, where the host's files are still in sight.
fn enter_awaited_group(plan: &Plan<'_>, group: &Cgroup, socket: &Socket) -> Result<()> {
    match socket.receive_plain()? {
        Some(Message::CgroupMade) => {}
        _ => return Err(Error::Ended),
    }
    enter_cgroup(plan, Some(&group.entry()?))?;
    // Once more: its CPUs bound ours.
    plan.process.attributes.in_cgroup()
}

/// Into the network that the parent has made meanwhile, or a new one, or that we were born in.
fn enter_network(plan: &Plan<'_>, socket: &Socket) -> Result<()> {
    match plan.network {
        NewNetwork::FromParent => match socket.receive()? {
            Some(Message::Network(network)) => return Ok(namespace::join(network, Kind::Network)?),
            _ => return Err(Error::Ended),
        },
        NewNetwork::FromChild => namespace::unshare(namespace::Set::NONE.with(Kind::Network))?,
        NewNetwork::WithClone => {}
    }
    if plan.namespaces.new.contains(Kind::Network) {
        loopback::bring_up()?;
    }
    Ok(())
}

/// Mounts, devices, terminal, parameters and masks, in the order in which each builds on the one before.
fn fill_root(plan: &Plan<'_>, root: &Root, socket: &Socket) -> Result<Option<OwnedFd>> {
    let attached = attach_mounts(plan, root, socket)?;
    if let Some(devices) = &plan.devices {
        rootfs::make_devices(root, devices)?;
        rootfs::make_links(root)?;
    }
    let terminal = match plan.streams {
        Streams::Fds(_) => None,
        Streams::Terminal { width, height } => {
            let devpts = root.open_dir("/dev/pts")?;
            let pty = rootfs::open_terminal(devpts, width, height, plan.process.user)?;
            rootfs::bind_console(root, &pty.slave)?;
            socket.send(&Message::Console(pty.master))?;
            Some(pty.slave)
        }
    };
    // Before /proc/sys becomes read-only, and through the procfs that we mounted ourselves.
    write_parameters(plan, attached.proc.as_ref())?;
    masks::make_read_only(root, plan.read_only)?;
    masks::mask(root, plan.masked, &plan.null)?;
    create_working_directory(plan, root)?;
    attached.make_read_only()?;
    Ok(terminal)
}

/// What the parent is still at is taken in as late as can be: the network just before sysfs, which shows it, and the
/// cgroup, which is the longer work, before what shows it or takes up memory.
fn attach_mounts(plan: &Plan<'_>, root: &Root, socket: &Socket) -> Result<Attached> {
    let mut attached = Attached::default();
    let mut awaits_network = true;
    let mut awaited_group = plan.awaited_group;
    for entry in &plan.mounts {
        let needs_group = awaited_group.is_some() && entry.needs_group();
        if awaits_network && (entry.needs_network() || needs_group) {
            enter_network(plan, socket)?;
            awaits_network = false;
        }
        if let Some(group) = awaited_group.take_if(|_| needs_group) {
            enter_awaited_group(plan, group, socket)?;
        }
        mounts::attach(root, entry, &mut attached)?;
    }
    if awaits_network {
        enter_network(plan, socket)?;
    }
    if let Some(group) = awaited_group {
        enter_awaited_group(plan, group, socket)?;
    }
    Ok(attached)
}

fn write_parameters(plan: &Plan<'_>, proc: Option<&Mount>) -> Result<()> {
    if plan.sysctls.is_empty() {
        return Ok(());
    }
    let own;
    let proc = match proc {
        Some(proc) => proc,
        None => {
            // A container without /proc may have parameters all the same.
            own = kernel::mount::Filesystem::open("proc")?.mount(Attributes::NONE)?;
            &own
        }
    };
    for (path, value) in &plan.sysctls {
        sysctl::write(proc, path, value)?;
    }
    Ok(())
}

/// As docker, which makes a missing WORKDIR. While we are still root and the root is still writable.
fn create_working_directory(plan: &Plan<'_>, root: &Root) -> Result<()> {
    let path = Path::new(std::ffi::OsStr::from_bytes(plan.process.working_directory.as_bytes()));
    if path == Path::new("/") {
        return Ok(());
    }
    match root.create_dir_all(path, Mode::from_raw_mode(0o755)) {
        Ok(_) => Ok(()),
        // Entering it will say that it is not there.
        Err(error) if error.errno == Errno::ROFS => Ok(()),
        // The request itself is wrong, as docker and podman see it, and the program has no part in it.
        Err(error) if error.errno == Errno::NOTDIR => {
            Err(invalid(format!("working directory {path:?} is not a directory")))
        }
        Err(error) => Err(error.into()),
    }
}
