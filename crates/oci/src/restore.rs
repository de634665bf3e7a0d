//! A container from what `checkpoint` has saved, with CRIU: name, state and cgroup are made as for a new one, the
//! processes come from the images. CRIU mounts, so all of this happens in a mount namespace that ends with us and with
//! CRIU: nothing shows on the host, also not what hooks would mount.

use crate::checkpoint::{self, DESCRIPTORS, Options};
use crate::container::Container;
use crate::create::{self, Prepared};
use crate::criu::{self, Kind, Service, Surroundings};
use crate::error::{Error, Result, invalid};
use crate::protobuf::Message;
use crate::root::Root;
use kernel::beneath;
use kernel::mount::{Mount, Propagation};
use kernel::namespace::{self, Set};
use kernel::pidfd::PidFd;
use kernel::{Context, clone};
use runtime::Running;
use rustix::fs::{CWD, Mode, OFlags};
use spec::runtime::{NamespaceKind, Spec, Status};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

const RESTORE_LOG: &str = "restore.log";

/// What restoring alone knows.
#[derive(Debug, Default)]
pub struct Restoring {
    pub lsm_profile: Option<String>,
    pub lsm_mount_context: Option<String>,
}

/// Makes the container run again. Its first process is the caller's child, and the terminal's master, if it had a
/// terminal, the caller's to hand on. On an error nothing is left.
pub fn restore(
    root: &Root,
    id: &str,
    bundle: &Path,
    spec: Spec,
    options: &Options,
    restoring: &Restoring,
) -> Result<(Container, Running)> {
    let mut prepared = create::prepare(root, id, bundle, spec, create::Timing::Before)?;
    match bring_back(&mut prepared, options, restoring) {
        Ok(running) => Ok((prepared.into_parts().0, running)),
        Err(error) => {
            let directory = options.work.as_ref().unwrap_or(&options.images);
            Err(criu::explain(error, directory, RESTORE_LOG))
        }
    }
}

fn bring_back(prepared: &mut Prepared, options: &Options, restoring: &Restoring) -> Result<Running> {
    let container = &prepared.container;
    make_mount_points(container)?;
    // Before directories are opened: CRIU cannot mount in one of another mount namespace.
    leave_host_mounts()?;
    let images = criu::directory(&options.images)?;
    let work = options.work.as_deref().map(criu::directory).transpose()?;
    let place = container.directory.join("criu-root");
    let mut request =
        checkpoint::common(options, container, images.as_raw_fd(), work.as_ref().map(AsRawFd::as_raw_fd))?
            .switch(6, true)
            .text(10, RESTORE_LOG)
            .text(13, &place.to_string_lossy())
            // Its first process becomes our child, not CRIU's.
            .switch(26, true);
    if let Some(profile) = &restoring.lsm_profile {
        request = request.text(53, profile);
    }
    if let Some(context) = &restoring.lsm_mount_context {
        request = request.text(63, context);
    }
    let (joined, request) = namespaces(container, request)?;
    let request = streams(&options.images, mounts(container, request))?;
    let mounted = MountPoint::make(&container.record.rootfs, &place)?;
    let inherited = joined.iter().map(AsFd::as_fd).collect();
    let surroundings =
        Surroundings { entry: prepared.group.as_ref().map(|group| group.entry()).transpose()?, inherited };
    let service = Service::start(&surroundings)?;
    let request = cgroups(service.pid(), request)?;
    let mut console = None;
    let mut hooks_failed = None;
    let restored = service.call(Kind::Restore, &request, |notification| {
        match notification.script.as_str() {
            "orphan-pts-master" => console = notification.fd,
            "setup-namespaces" => hooks_failed = run_hooks(container, notification.pid).err(),
            _ => {}
        }
        hooks_failed.take().map_or(Ok(()), Err)
    })?;
    let pid = restored.filter(|pid| *pid > 0).ok_or_else(|| invalid("criu did not tell the restored process"))?;
    drop(mounted);
    let pidfd = PidFd::open(pid)?;
    prepared.record_init(pid)?;
    Ok(Running { pid, pidfd, console })
}

/// CRIU wants a root that is a mount point of its own. It goes with this value: the container's directory could not be
/// removed with a mount in it.
struct MountPoint<'a>(&'a Path);

impl MountPoint<'_> {
    fn make<'a>(rootfs: &Path, place: &'a Path) -> Result<MountPoint<'a>> {
        std::fs::create_dir(place).map_err(|error| Error::file("make directory", place, &error))?;
        let made = MountPoint(place);
        Mount::bind(rootfs, true)?.attach_at(CWD, place)?;
        Ok(made)
    }
}

impl Drop for MountPoint<'_> {
    fn drop(&mut self) {
        // Not mounted yet, at worst; and under the mount the directory is empty.
        let _ = rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(self.0);
    }
}

fn run_hooks(container: &Container, pid: i32) -> Result<()> {
    use runtime::hooks::{Moment, run};
    let Some(hooks) = &container.record.config.hooks else { return Ok(()) };
    let state = spec::runtime::State { pid: Some(pid), ..container.state(Status::Creating) };
    run(Moment::Prestart, &hooks.prestart, &[], &state)?;
    Ok(run(Moment::CreateRuntime, &hooks.create_runtime, &[], &state)?)
}

/// Namespaces of others: some are inherited as descriptors, the rest are joined by path.
fn namespaces(container: &Container, mut request: Message) -> Result<(Vec<OwnedFd>, Message)> {
    let linux = container.record.config.linux.as_ref();
    let mut opened = Vec::new();
    for (_, key, path) in checkpoint::external_namespaces_of(linux) {
        let fd = rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .during_at("open namespace", &path)?;
        request = request.message(27, &Message::default().text(1, key).number(2, i64::from(fd.as_raw_fd())));
        opened.push(fd);
    }
    for wanted in linux.iter().flat_map(|linux| &linux.namespaces).filter(|wanted| !wanted.path.is_empty()) {
        let name = match wanted.kind {
            NamespaceKind::Network | NamespaceKind::Pid => continue,
            NamespaceKind::Ipc => "ipc",
            NamespaceKind::Uts => "uts",
            NamespaceKind::User => "user",
            NamespaceKind::Mount => "mnt",
            NamespaceKind::Time => "time",
            NamespaceKind::Cgroup => return Err(invalid("criu cannot restore into the cgroup namespace of others")),
        };
        request = request.message(39, &Message::default().text(1, name).text(2, &wanted.path));
    }
    Ok((opened, request))
}

/// Where the keys of `checkpoint` lead to.
fn mounts(container: &Container, mut request: Message) -> Message {
    let record = &container.record;
    let mut add = |key: &str, source: &str| {
        let entry = Message::default().text(1, key).text(2, source);
        request = std::mem::take(&mut request).message(23, &entry);
    };
    for mount in record.config.mounts.iter().filter(|mount| checkpoint::is_bind(mount)) {
        let source = record.bundle.join(&mount.source);
        add(&checkpoint::resolved(&record.rootfs, &mount.destination), &source.to_string_lossy());
    }
    if checkpoint::binds_cgroups(container) {
        let destinations = record.config.mounts.iter().filter(|mount| mount.kind == "cgroup");
        let group = container.cgroup().ok().flatten();
        let directories = group.map(|group| group.directories()).unwrap_or_default();
        for destination in destinations.map(|mount| mount.destination.trim_end_matches('/')) {
            for directory in &directories {
                if let Some(name) = hierarchy(directory, &record.cgroup) {
                    add(&format!("{destination}/{name}"), &directory.to_string_lossy());
                }
            }
        }
    }
    if record.config.linux.as_ref().is_some_and(|linux| !linux.masked_paths.is_empty()) {
        add("/dev/null", "/dev/null");
    }
    request
}

/// `memory` of `/sys/fs/cgroup/memory/a/b`, where the group is `a/b`.
fn hierarchy(directory: &Path, group: &str) -> Option<String> {
    let text = directory.to_str()?;
    let mount = text.strip_suffix(group)?.trim_end_matches('/');
    mount.rsplit('/').next().map(str::to_owned)
}

/// Pipes that were the first process's standard streams become those that we have now.
fn streams(images: &Path, mut request: Message) -> Result<Message> {
    let path = images.join(DESCRIPTORS);
    let text = std::fs::read(&path).map_err(|error| Error::file("read", &path, &error))?;
    let links: Vec<String> =
        serde_json::from_slice(&text).map_err(|error| invalid(format!("parse {}: {error}", path.display())))?;
    for (number, link) in links.iter().enumerate().take(3).filter(|(_, link)| link.contains("pipe:")) {
        request = request.message(27, &Message::default().text(1, link).number(2, number as i64));
    }
    Ok(request)
}

/// The groups that CRIU is in by now, hierarchy by hierarchy.
fn cgroups(pid: i32, mut request: Message) -> Result<Message> {
    let path = format!("/proc/{pid}/cgroup");
    let table = std::fs::read_to_string(&path).during_at("read", &path)?;
    for line in table.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        if let (Some(controllers), Some(group)) = (parts.next(), parts.next()) {
            for controller in controllers.split(',') {
                request = request.message(25, &Message::default().text(1, controller).text(2, group));
            }
        }
    }
    Ok(request)
}

fn leave_host_mounts() -> kernel::Result<()> {
    namespace::unshare(Set::NONE.with(namespace::Kind::Mount))?;
    kernel::mount::set_propagation(Path::new("/"), Propagation::Private, true)
}

/// Mount points that creating the container had made, and somebody has removed. With binds mounted on the way, for
/// mount points inside of them; in a process whose mounts end with it.
fn make_mount_points(container: &Container) -> Result<()> {
    let child = clone::fork(|| match leave_host_mounts().and_then(|()| make_each(container)) {
        Ok(()) => 0,
        Err(error) => error.errno.raw_os_error(),
    })?;
    match child.pidfd.wait()?.code() {
        0 => Ok(()),
        code => {
            let errno = rustix::io::Errno::from_raw_os_error(code);
            Err(kernel::Error::at("make mount points in", &container.record.rootfs, errno).into())
        }
    }
}

fn make_each(container: &Container) -> kernel::Result<()> {
    let record = &container.record;
    let root = beneath::Root::open(&record.rootfs)?;
    let on_tmpfs = |path: &str| {
        let all = record.config.mounts.iter().filter(|mount| mount.kind == "tmpfs");
        all.into_iter().any(|mount| path.starts_with(&format!("{}/", mount.destination.trim_end_matches('/'))))
    };
    for mount in record.config.mounts.iter().filter(|mount| mount.kind != "cgroup" && !on_tmpfs(&mount.destination)) {
        let destination = PathBuf::from(format!("/{}", mount.destination.trim_matches('/')));
        let source = record.bundle.join(&mount.source);
        let target = if checkpoint::is_bind(mount) && !source.is_dir() {
            make_file(&root, &destination)?
        } else {
            root.create_dir_all(&destination, Mode::from_raw_mode(0o755))?
        };
        if checkpoint::is_bind(mount) {
            Mount::bind(&source, true)?.attach_to(&target)?;
        }
    }
    Ok(())
}

fn make_file(root: &beneath::Root, path: &Path) -> kernel::Result<OwnedFd> {
    if let Some(parent) = path.parent() {
        root.create_dir_all(parent, Mode::from_raw_mode(0o755))?;
    }
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC;
    root.open_file(path, flags, Mode::from_raw_mode(0o644))
}
