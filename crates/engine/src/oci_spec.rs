//! Container record → OCI runtime specification: the only creator of specs. Called for each
//! start, by `run.rs` in the caller and again by the monitor for a restart, so everything that
//! depends on the moment (namespaces of other containers, devices, users) is looked up here.

mod devices;
mod joined;
mod mounts;
mod resources;
mod security;

use crate::engine::Engine;
use crate::error::Result;
use crate::options::{Ipc, Network, Sharing};
use crate::record::Record;
use crate::user::{self, Resolved};
use crate::{defaults, oci_runtime, resolve};
use kernel::beneath::Root;
use spec::runtime::{ConsoleSize, Linux, Namespace, NamespaceKind, Process, Spec, User};
use std::path::Path;

pub use joined::Joined;
pub use resources::{limits, resources};
pub use security::{CAPABILITY_ALL, capabilities, capability_name, program, rlimits, seccomp};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The specification for one start. `rootfs` is the mounted root (for users and groups), `run`
/// the folder with the generated files of /etc.
pub fn create(engine: &Engine, record: &Record, rootfs: &Root, run: &Path, joined: &Joined) -> Result<Spec> {
    let options = &record.options;
    let user = user::resolve(rootfs, &record.process.user, &options.process.group_add)?;
    let privileged = options.security.privileged;
    let namespaces = namespaces(record, joined);
    let own_uts = namespaces.iter().any(|n| n.kind == NamespaceKind::Uts);
    Ok(Spec {
        oci_version: spec::runtime::VERSION.to_owned(),
        hostname: if own_uts { record.process.hostname.clone() } else { String::new() },
        domainname: options.namespaces.domainname.clone().unwrap_or_default(),
        mounts: mounts::all(engine, record, run, joined)?,
        annotations: options.annotations.clone(),
        root: Some(spec::runtime::Root { path: root_path(engine, record), readonly: options.storage.read_only }),
        process: Some(process(record, &user)?),
        linux: Some(Linux {
            namespaces,
            devices: devices::nodes(record)?,
            cgroups_path: format!("/{}", crate::container::cgroup_name(&record.id)),
            resources: Some(resources(record)?),
            rootfs_propagation: mounts::rootfs_propagation(record).to_owned(),
            seccomp: seccomp_document(record)?,
            sysctl: options.security.sysctls.clone(),
            masked_paths: if privileged { Vec::new() } else { masked() },
            readonly_paths: if privileged {
                Vec::new()
            } else {
                defaults::paths::READ_ONLY.map(str::to_owned).to_vec()
            },
            ..Linux::default()
        }),
        ..Spec::default()
    })
}

/// Our own runtime gets the root as a mount.
fn root_path(engine: &Engine, record: &Record) -> String {
    let path = |_| oci_runtime::rootfs(engine, &record.id).to_string_lossy().into_owned();
    record.runtime.as_ref().map_or(String::new(), path)
}

/// Our own runtime gets the default filter compiled.
fn seccomp_document(record: &Record) -> Result<Option<spec::runtime::Seccomp>> {
    match seccomp(&record.options.security)? {
        None if record.runtime.is_some() => security::default_seccomp(&record.options.security),
        document => Ok(document),
    }
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
        ..Process::default()
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

fn namespaces(record: &Record, joined: &Joined) -> Vec<Namespace> {
    let asked = &record.options.namespaces;
    let mut namespaces = vec![new(NamespaceKind::Mount)];
    match (&asked.pid, &joined.pid) {
        (_, Some(other)) => namespaces.push(Namespace { kind: NamespaceKind::Pid, path: other.path("ns/pid") }),
        (Sharing::Host, None) => {}
        (_, None) => namespaces.push(new(NamespaceKind::Pid)),
    }
    match (&asked.ipc, &joined.ipc) {
        (_, Some(other)) => namespaces.push(Namespace { kind: NamespaceKind::Ipc, path: other.path("ns/ipc") }),
        (Ipc::Host, None) => {}
        (_, None) => namespaces.push(new(NamespaceKind::Ipc)),
    }
    match (&asked.network, &joined.network) {
        (_, Some(other)) => namespaces.push(Namespace { kind: NamespaceKind::Network, path: other.path("ns/net") }),
        (Network::Ns(path), None) => {
            namespaces.push(Namespace { kind: NamespaceKind::Network, path: path.clone() });
        }
        (Network::Host, None) => {}
        (_, None) => namespaces.push(new(NamespaceKind::Network)),
    }
    if !asked.uts_host {
        namespaces.push(new(NamespaceKind::Uts));
    }
    if !asked.cgroup_host {
        namespaces.push(new(NamespaceKind::Cgroup));
    }
    namespaces
}

fn new(kind: NamespaceKind) -> Namespace {
    Namespace { kind, path: String::new() }
}
