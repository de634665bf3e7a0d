//! Saving a running container with CRIU: its processes with their memory and files go into a directory of images, from
//! which `restore` makes them again. What lies outside of the container (binds, cgroups, joined namespaces) is named
//! to CRIU by a key and found again by that.

use crate::container::{Container, Status};
use crate::criu::{self, Kind, Service, Surroundings};
use crate::error::{Error, Result, invalid};
use crate::protobuf::Message;
use kernel::Context;
use kernel::beneath::Root;
use rustix::fs::{Mode, OFlags};
use spec::runtime::{Linux, Mount, NamespaceKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

pub(crate) const DUMP_LOG: &str = "dump.log";
/// What the first process's standard streams were, for the inherited ones of the restored process.
pub(crate) const DESCRIPTORS: &str = "descriptors.json";
/// clone(2)'s CLONE_NEWNET.
pub const NETWORK_NAMESPACE: i64 = 0x4000_0000;

/// What both directions ask of CRIU.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub images: PathBuf,
    /// For CRIU's log; the images' directory if absent.
    pub work: Option<PathBuf>,
    pub tcp_established: bool,
    pub external_sockets: bool,
    pub shell_job: bool,
    pub file_locks: bool,
    pub auto_dedup: bool,
    pub lazy_pages: bool,
    /// `soft`, `full`, `strict` or `ignore`.
    pub cgroups: String,
    /// Flags of namespaces that are made and not filled.
    pub empty_namespaces: i64,
}

/// And what saving alone knows.
#[derive(Debug, Default)]
pub struct Saving {
    /// From the images' directory to those of the dump before.
    pub parent: Option<String>,
    pub leave_running: bool,
    /// Memory only; the container goes on.
    pub memory_only: bool,
    pub skip_connections_in_flight: bool,
    pub link_remap: bool,
    pub page_server: Option<(String, i64)>,
    /// Gets a zero byte when pages can be served, and is closed then.
    pub status: Option<OwnedFd>,
}

/// Saves the container. It has ended then, unless it was to go on.
pub fn checkpoint(container: &Container, options: &Options, saving: Saving) -> Result<()> {
    let (container, _lock) = container.lock()?;
    let container = &container;
    match container.status()? {
        Status::Running | Status::Paused => {}
        status => return Err(invalid(format!("Container cannot be checkpointed in {status} state"))),
    }
    let images = criu::directory(&options.images)?;
    let work = options.work.as_deref().map(criu::directory).transpose()?;
    let init = container.init().ok_or(Error::NotRunning)?;
    let mut request = common(options, container, images.as_raw_fd(), work.as_ref().map(AsRawFd::as_raw_fd))?
        .number(2, i64::from(init.pid))
        .switch(3, saving.leave_running)
        .text(10, DUMP_LOG)
        .text(13, &container.record.rootfs.to_string_lossy())
        .switch(18, saving.link_remap)
        .switch(46, saving.skip_connections_in_flight);
    if let Some(parent) = &saving.parent {
        request = request.text(14, parent).switch(15, true);
    }
    if let Some((address, port)) = &saving.page_server {
        request = request.message(11, &Message::default().text(1, address).number(2, *port));
    }
    if let Some(freezer) = freezer(container)? {
        request = request.text(44, &freezer.to_string_lossy());
    }
    request = external_namespaces(container, request)?;
    let kind = if saving.memory_only { Kind::PreDump } else { Kind::Dump };
    if kind == Kind::Dump {
        for (key, value) in external_mounts(container, init.pid)? {
            request = request.message(23, &Message::default().text(1, &key).text(2, &value));
        }
        write_descriptors(init.pid, &options.images)?;
    }
    let service = Service::start(&Surroundings::default())?;
    let mut status = saving.status;
    let saved = service.call(kind, &request, |notification| {
        if notification.script == "status-ready"
            && let Some(fd) = status.take()
        {
            rustix::io::write(fd, &[0]).during("tell that pages can be served")?;
        }
        Ok(())
    });
    let directory = options.work.as_ref().unwrap_or(&options.images);
    saved.map(drop).map_err(|error| criu::explain(error, directory, DUMP_LOG))
}

/// The part of a request that is the same in both directions.
pub(crate) fn common(options: &Options, container: &Container, images: i32, work: Option<i32>) -> Result<Message> {
    let mode = criu::cgroup_mode(&options.cgroups)?;
    let mut request = Message::default()
        .number(1, i64::from(images))
        .switch(4, options.external_sockets)
        .switch(5, options.tcp_established)
        .switch(7, options.shell_job)
        .switch(8, options.file_locks)
        .number(9, 4)
        .switch(12, true)
        .switch(16, options.auto_dedup)
        .switch(24, true)
        .number(34, mode)
        .number(38, options.empty_namespaces)
        .switch(48, options.lazy_pages)
        // A terminal whose master is outside: it comes back to us with a notification.
        .switch(50, true);
    if let Some(work) = work {
        request = request.number(17, i64::from(work));
    }
    if let Some(path) = criu::settings(&container.record.config.annotations) {
        request = request.text(51, &path);
    }
    Ok(request)
}

fn freezer(container: &Container) -> Result<Option<PathBuf>> {
    let directories = container.cgroup()?.map(|group| group.directories()).unwrap_or_default();
    let has_freezer =
        |directory: &&PathBuf| directory.join("freezer.state").exists() || directory.join("cgroup.freeze").exists();
    Ok(directories.iter().find(has_freezer).cloned())
}

/// Namespaces of others stay where they are; CRIU knows them by these keys.
pub(crate) fn external_namespaces_of(linux: Option<&Linux>) -> Vec<(&'static str, &'static str, String)> {
    let namespaces = linux.map_or(&[][..], |linux| &linux.namespaces);
    let external = |kind| match kind {
        NamespaceKind::Network => Some(("net", "extRootNetNS")),
        NamespaceKind::Pid => Some(("pid", "extRootPidNS")),
        _ => None,
    };
    let joined = namespaces.iter().filter(|namespace| !namespace.path.is_empty());
    joined
        .filter_map(|namespace| external(namespace.kind).map(|(name, key)| (name, key, namespace.path.clone())))
        .collect()
}

fn external_namespaces(container: &Container, mut request: Message) -> Result<Message> {
    for (name, key, path) in external_namespaces_of(container.record.config.linux.as_ref()) {
        let inode = rustix::fs::stat(path.as_str()).during_at("look at", &path)?.st_ino;
        request = request.text(37, &format!("{name}[{inode}]:{key}"));
    }
    Ok(request)
}

pub(crate) fn is_bind(mount: &Mount) -> bool {
    mount.kind == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// Mount points in the container, with the keys by which `restore` knows them.
fn external_mounts(container: &Container, pid: i32) -> Result<Vec<(String, String)>> {
    let mut mounts: Vec<(String, String)> = Vec::new();
    let mut add = |path: String, key: String| {
        if !mounts.iter().any(|(known, _)| *known == path) {
            mounts.push((path, key));
        }
    };
    let rootfs = &container.record.rootfs;
    for mount in container.record.config.mounts.iter().filter(|mount| is_bind(mount)) {
        let destination = resolved(rootfs, &mount.destination);
        add(destination.clone(), destination);
    }
    for point in cgroup_mounts(container, pid)? {
        add(point.clone(), point);
    }
    let masked = container.record.config.linux.iter().flat_map(|linux| &linux.masked_paths);
    for path in masked {
        let inside = format!("/proc/{pid}/root{path}");
        if std::fs::metadata(&inside).is_ok_and(|found| !found.is_dir()) {
            add(path.clone(), "/dev/null".to_owned());
        }
    }
    Ok(mounts)
}

/// Where a bind really is, when links lead to it.
pub(crate) fn resolved(rootfs: &Path, destination: &str) -> String {
    let absolute = format!("/{}", destination.trim_matches('/'));
    let open = || Root::open(rootfs)?.open_file(&absolute, OFlags::PATH, Mode::empty());
    let found = open().ok().and_then(|fd| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok());
    let real = std::fs::canonicalize(rootfs).unwrap_or_else(|_| rootfs.to_owned());
    match found.as_deref().and_then(|found| found.strip_prefix(&real).ok()) {
        Some(below) => format!("/{}", below.display()),
        None => absolute,
    }
}

/// Without a cgroup namespace, the hierarchies of version 1 are binds of the container's groups.
fn cgroup_mounts(container: &Container, pid: i32) -> Result<Vec<String>> {
    if !binds_cgroups(container) {
        return Ok(Vec::new());
    }
    let path = format!("/proc/{pid}/mountinfo");
    let table = std::fs::read_to_string(&path).during_at("read", &path)?;
    let is_cgroup = |line: &&str| line.split(" - ").nth(1).is_some_and(|rest| rest.starts_with("cgroup "));
    let point = |line: &str| line.split(' ').nth(4).map(str::to_owned);
    Ok(table.lines().filter(is_cgroup).filter_map(point).collect())
}

pub(crate) fn binds_cgroups(container: &Container) -> bool {
    let config = &container.record.config;
    let is_v1 = matches!(kernel::cgroup::Layout::detect(), Ok(layout) if !layout.is_v2());
    let namespaces = config.linux.iter().flat_map(|linux| &linux.namespaces);
    let own = namespaces.into_iter().any(|namespace| namespace.kind == NamespaceKind::Cgroup);
    is_v1 && !own && config.mounts.iter().any(|mount| mount.kind == "cgroup")
}

/// `["/dev/pts/0", "pipe:[123]", …]`, as runc writes it.
fn write_descriptors(pid: i32, images: &Path) -> Result<()> {
    let link = |number: i32| std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
    let links: Vec<String> =
        (0..3).map(|number| link(number).map_or(String::new(), |link| link.to_string_lossy().into_owned())).collect();
    let path = images.join(DESCRIPTORS);
    let text = serde_json::to_vec(&links).expect("texts are JSON");
    std::fs::write(&path, text).map_err(|error| Error::file("write", &path, &error))
}
