//! Container record → OCI runtime specification: the only creator of specs. Called for each
//! start, by `run.rs` in the caller and again by the monitor for a restart, so everything that
//! depends on the moment (namespaces of other containers, devices, users) is looked up here.

mod devices;
mod mounts;
mod resources;
mod security;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::{Ipc, Network, Sharing};
use crate::record::Record;
use crate::user::{self, Resolved};
use crate::{defaults, resolve};
use kernel::beneath::Root;
use spec::runtime::{ConsoleSize, Linux, Namespace, NamespaceKind, Process, Spec, User};
use std::path::Path;

pub use resources::{limits, resources};
pub use security::{CAPABILITY_ALL, capabilities, capability_name, program, rlimits, seccomp};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The specification for one start. `rootfs` is the mounted root (for users and groups), `run`
/// the folder with the generated files of /etc.
pub fn create(engine: &Engine, record: &Record, rootfs: &Root, run: &Path) -> Result<Spec> {
    let options = &record.options;
    let user = user::resolve(rootfs, &record.process.user, &options.process.group_add)?;
    let privileged = options.security.privileged;
    let namespaces = namespaces(engine, record)?;
    let own_uts = namespaces.iter().any(|n| n.kind == NamespaceKind::Uts);
    Ok(Spec {
        oci_version: spec::runtime::VERSION.to_owned(),
        hostname: if own_uts { record.process.hostname.clone() } else { String::new() },
        domainname: options.namespaces.domainname.clone().unwrap_or_default(),
        mounts: mounts::all(engine, record, run)?,
        annotations: options.annotations.clone(),
        root: Some(spec::runtime::Root { path: String::new(), readonly: options.storage.read_only }),
        process: Some(process(record, &user)?),
        linux: Some(Linux {
            namespaces,
            devices: devices::nodes(record)?,
            cgroups_path: format!("/{}", crate::container::cgroup_name(&record.id)),
            resources: Some(resources(record)?),
            rootfs_propagation: mounts::rootfs_propagation(record).to_owned(),
            seccomp: seccomp(&options.security)?,
            sysctl: options.security.sysctls.clone(),
            masked_paths: if privileged { Vec::new() } else { masked() },
            readonly_paths: if privileged {
                Vec::new()
            } else {
                defaults::paths::READ_ONLY.map(str::to_owned).to_vec()
            },
            ..Linux::default()
        }),
    })
}

fn masked() -> Vec<String> {
    defaults::paths::MASKED.iter().chain(&defaults::paths::MASKED_POWER).map(|path| (*path).to_owned()).collect()
}

fn process(record: &Record, user: &Resolved) -> Result<Process> {
    let options = &record.options;
    Ok(Process {
        terminal: options.process.tty,
        console_size: options.process.console_size.map(|(width, height)| ConsoleSize { width, height }),
        user: runtime_user(user),
        args: record.process.argv(),
        env: environment(record, user, options.process.tty),
        cwd: if record.process.workdir.is_empty() { "/".into() } else { record.process.workdir.clone() },
        capabilities: Some(capabilities(&options.security, user.uid)?),
        rlimits: security::rlimits(&options.resources)?,
        no_new_privileges: options.security.no_new_privileges,
        oom_score_adj: options.resources.oom_score_adj,
    })
}

pub fn runtime_user(user: &Resolved) -> User {
    User { uid: user.uid, gid: user.gid, umask: None, additional_gids: user.additional_gids.clone() }
}

/// PATH, HOSTNAME and TERM first, so that the image and the user can replace them; HOME last, only where nobody set it.
pub fn environment(record: &Record, user: &Resolved, tty: bool) -> Vec<String> {
    let mut base = vec![PATH.to_owned(), format!("HOSTNAME={}", record.process.hostname)];
    if tty {
        base.push("TERM=xterm".to_owned());
    }
    let mut merged = resolve::merge_env(base, &record.process.env);
    if !merged.iter().any(|setting| setting.starts_with("HOME=")) {
        merged.push(format!("HOME={}", user.home));
    }
    merged
}

fn namespaces(engine: &Engine, record: &Record) -> Result<Vec<Namespace>> {
    let asked = &record.options.namespaces;
    let mut namespaces = vec![new(NamespaceKind::Mount)];
    match &asked.pid {
        Sharing::Private => namespaces.push(new(NamespaceKind::Pid)),
        Sharing::Host => {}
        Sharing::Container(name) => namespaces.push(of_container(engine, name, NamespaceKind::Pid, "pid")?),
    }
    match &asked.ipc {
        Ipc::Private | Ipc::Shareable | Ipc::None => namespaces.push(new(NamespaceKind::Ipc)),
        Ipc::Host => {}
        Ipc::Container(name) => {
            require_shareable_ipc(engine, name)?;
            namespaces.push(of_container(engine, name, NamespaceKind::Ipc, "ipc")?);
        }
    }
    if asked.network != Network::Host {
        namespaces.push(new(NamespaceKind::Network));
    }
    if !asked.uts_host {
        namespaces.push(new(NamespaceKind::Uts));
    }
    if !asked.cgroup_host {
        namespaces.push(new(NamespaceKind::Cgroup));
    }
    Ok(namespaces)
}

fn new(kind: NamespaceKind) -> Namespace {
    Namespace { kind, path: String::new() }
}

fn of_container(engine: &Engine, name: &str, kind: NamespaceKind, file: &str) -> Result<Namespace> {
    let other = Container::find(engine, name)?;
    let process = other.process().ok_or_else(|| {
        Error::Conflict(format!(
            "cannot join {file} namespace of a non running container: container {} is not running; start it first",
            other.name()
        ))
    })?;
    Ok(Namespace { kind, path: format!("/proc/{}/ns/{file}", process.pid) })
}

fn require_shareable_ipc(engine: &Engine, name: &str) -> Result<()> {
    let other = Container::find(engine, name)?;
    match other.record.options.namespaces.ipc {
        Ipc::Shareable | Ipc::Host => Ok(()),
        _ => Err(Error::Conflict(format!(
            "cannot join IPC namespace of container {}: it is private; start that container with --ipc shareable",
            other.name()
        ))),
    }
}
