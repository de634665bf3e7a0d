//! The mounts of a container in the order in which they are made: docker's fixed ones, the
//! generated files of /etc, then the user's by depth, so that a mount under another comes after it.
//! A user's mount on the place of a default one replaces it.

use super::joined::Joined;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::{Ipc, Mount as Asked, MountSource, Sharing};
use crate::record::Record;
use crate::volumes;
use spec::runtime::Mount;
use std::path::Path;

const SHM_SIZE_BYTES: u64 = 64 << 20;
/// Generated for each start by `etc_files.rs`.
pub const ETC_FILES: [&str; 3] = ["hostname", "hosts", "resolv.conf"];

pub fn all(engine: &Engine, record: &Record, run: &Path, joined: &Joined) -> Result<Vec<Mount>> {
    let mut user = Vec::new();
    for mount in &record.options.storage.mounts {
        user.push(from_user(engine, record, mount)?);
    }
    for volume in &record.volumes {
        if !user.iter().any(|mount: &Mount| same_place(&mount.destination, &volume.target)) {
            user.push(bind(&volume_path(engine, &volume.name), &volume.target, volume.read_only, "", false));
        }
    }
    user.sort_by_key(|mount| mount.destination.split('/').filter(|part| !part.is_empty()).count());

    let mut mounts = fixed(record, joined);
    for name in ETC_FILES {
        mounts.push(bind(&text(&run.join(name)), &format!("/etc/{name}"), false, "", false));
    }
    mounts.retain(|mount| !user.iter().any(|own| same_place(&own.destination, &mount.destination)));
    mounts.extend(user);
    Ok(mounts)
}

/// A mount that shows up on the host later is seen by containers that asked to share.
pub fn rootfs_propagation(record: &Record) -> &'static str {
    let mut strongest = "rprivate";
    for mount in &record.options.storage.mounts {
        if let MountSource::Bind { propagation, .. } = &mount.source {
            match propagation.as_str() {
                "shared" | "rshared" => return "rshared",
                "slave" | "rslave" => strongest = "rslave",
                _ => {}
            }
        }
    }
    strongest
}

fn fixed(record: &Record, joined: &Joined) -> Vec<Mount> {
    let options = &record.options;
    let privileged = options.security.privileged;
    let access = if privileged { "rw" } else { "ro" };
    let mut mounts = Vec::with_capacity(10);
    if options.namespaces.pid == Sharing::Host && options.security.privileged {
        mounts.push(bind("/proc", "/proc", false, "", false));
    } else {
        mounts.push(mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"]));
    }
    mounts.push(mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]));
    mounts.push(mount(
        "devpts",
        "devpts",
        "/dev/pts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ));
    mounts.push(mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", access]));
    mounts.push(mount("cgroup", "cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", access]));
    mounts.push(mount("mqueue", "mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]));
    match (&options.namespaces.ipc, &joined.ipc) {
        (_, Some(other)) => mounts.push(bind(&other.path("root/dev/shm"), "/dev/shm", false, "", false)),
        (Ipc::Host, None) => mounts.push(bind("/dev/shm", "/dev/shm", false, "", false)),
        (Ipc::None, None) => {}
        (_, None) => {
            let size = format!("size={}", options.storage.shm_size_bytes.unwrap_or(SHM_SIZE_BYTES));
            mounts.push(mount("tmpfs", "shm", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &size]));
        }
    }
    mounts
}

fn from_user(engine: &Engine, record: &Record, asked: &Asked) -> Result<Mount> {
    match &asked.source {
        MountSource::Bind { path, create, propagation, non_recursive } => {
            if *create && std::fs::symlink_metadata(path).is_err() {
                std::fs::create_dir_all(path)
                    .map_err(|e| Error::Failed(format!("make bind source directory {path}: {e}")))?;
            }
            Ok(bind(path, &asked.target, asked.read_only, propagation, *non_recursive))
        }
        MountSource::Volume { .. } => {
            let volume = record.volumes.iter().find(|volume| volume.target == asked.target).ok_or_else(|| {
                Error::Failed(format!(
                    "container.json names no volume for {}: remove the container and create it again",
                    asked.target
                ))
            })?;
            Ok(bind(&volume_path(engine, &volume.name), &asked.target, asked.read_only, "", false))
        }
        MountSource::Tmpfs { size_bytes, mode, options } => {
            let mut words: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
            // What was typed wins over the careful defaults: `exec` lifts `noexec`.
            words.retain(|word| !options.iter().any(|typed| Some(typed.as_str()) == word.strip_prefix("no")));
            words.extend(options.iter().cloned());
            words.extend(size_bytes.map(|bytes| format!("size={bytes}")));
            words.extend(mode.map(|mode| format!("mode={mode:o}")));
            words.extend(asked.read_only.then(|| "ro".to_owned()));
            Ok(Mount {
                destination: asked.target.clone(),
                kind: "tmpfs".into(),
                source: "tmpfs".into(),
                options: words,
                ..Mount::default()
            })
        }
    }
}

fn volume_path(engine: &Engine, name: &str) -> String {
    text(&volumes::data_path(engine, name))
}

fn mount(kind: &str, source: &str, destination: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    }
}

fn bind(source: &str, destination: &str, read_only: bool, propagation: &str, non_recursive: bool) -> Mount {
    let mut options = vec![if non_recursive { "bind" } else { "rbind" }.to_owned()];
    options.push(if propagation.is_empty() { "rprivate" } else { propagation }.to_owned());
    if read_only {
        // Mounts below the source as well, unless only the top one was asked for.
        options.push(if non_recursive { "ro" } else { "rro" }.to_owned());
    }
    Mount {
        destination: destination.to_owned(),
        kind: "bind".into(),
        source: source.to_owned(),
        options,
        ..Mount::default()
    }
}

fn same_place(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
