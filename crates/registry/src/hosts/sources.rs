//! Which files of configuration are read, in the order in which they count.

use std::path::{Path, PathBuf};

use super::sorted_entries;

/// Paths of configuration; what does not exist is left out when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Ours (`registries.toml`): the first that speaks of something counts.
    pub own: Vec<PathBuf>,
    /// containerd's: directories with `<host>/hosts.toml`.
    pub containerd: Vec<PathBuf>,
    /// podman's `registries.conf`, drop-ins after it: later files go before earlier ones.
    pub podman: Vec<PathBuf>,
    /// docker's and podman's: directories with `<host>/*.crt`, `*.cert`, `*.key`.
    pub certificates: Vec<PathBuf>,
}

impl Default for Sources {
    /// The system's files and the user's. `$BRIG_REGISTRIES` names one file that is read instead of
    /// all others, `$CONTAINERS_REGISTRIES_CONF` replaces podman's.
    fn default() -> Sources {
        if let Some(file) = variable("BRIG_REGISTRIES") {
            return Sources { own: vec![file], ..Sources::none() };
        }
        let home = variable("XDG_CONFIG_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".config")));
        let users = |path: &str| home.iter().map(|home| home.join(path)).collect::<Vec<_>>();
        Sources {
            own: with(users("brig/registries.toml"), "/etc/brig/registries.toml"),
            containerd: vec!["/etc/containerd/certs.d".into()],
            podman: podman(home.as_deref()),
            certificates: [
                users("containers/certs.d"),
                vec!["/etc/containers/certs.d".into(), "/etc/docker/certs.d".into()],
            ]
            .concat(),
        }
    }
}

impl Sources {
    /// No files at all.
    pub fn none() -> Sources {
        Sources { own: Vec::new(), containerd: Vec::new(), podman: Vec::new(), certificates: Vec::new() }
    }
}

/// The user's main file stands for the system's; drop-ins of both are read.
fn podman(home: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = variable("CONTAINERS_REGISTRIES_CONF") {
        return vec![file];
    }
    let system = PathBuf::from("/etc/containers/registries.conf");
    let users = home.map(|home| home.join("containers/registries.conf")).filter(|path| path.exists());
    let mut files = vec![users.unwrap_or(system)];
    let mut directories = vec![PathBuf::from("/etc/containers/registries.conf.d")];
    directories.extend(home.map(|home| home.join("containers/registries.conf.d")));
    for directory in directories {
        let drop_ins = sorted_entries(&directory).into_iter();
        files.extend(drop_ins.filter(|path| path.extension().is_some_and(|extension| extension == "conf")));
    }
    files
}

fn with(mut paths: Vec<PathBuf>, last: &str) -> Vec<PathBuf> {
    paths.push(last.into());
    paths
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
