//! Which namespaces a container gets: the specification's list sorted into new ones and joined ones, before
//! any process is made. Called by `create`; the joining happens in `spawn` and `init`.

use crate::error::{Result, invalid};
use kernel::namespace::{self, IdMapping, Kind, Set};
use spec::runtime::{Linux, NamespaceKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    pub new: Set,
    pub joined: Vec<(Kind, OwnedFd)>,
    /// For a new user namespace.
    pub users: Vec<IdMapping>,
    pub groups: Vec<IdMapping>,
}

impl Namespaces {
    pub fn prepare(linux: &Linux) -> Result<Namespaces> {
        let mut namespaces = Namespaces::default();
        for wanted in &linux.namespaces {
            let kind = kind_of(wanted.kind);
            if namespaces.new.contains(kind) || namespaces.joins(kind) {
                return Err(invalid(format!("namespace {} is listed twice", kind.file_name())));
            }
            if wanted.path.is_empty() {
                namespaces.new = namespaces.new.with(kind);
            } else {
                namespaces.joined.push((kind, namespace::open(Path::new(&wanted.path))?));
            }
        }
        if !namespaces.new.contains(Kind::Mount) {
            return Err(invalid("a container needs a new mount namespace"));
        }
        namespaces.users = linux.uid_mappings.iter().map(mapping).collect();
        namespaces.groups = linux.gid_mappings.iter().map(mapping).collect();
        let mapped = !namespaces.users.is_empty() && !namespaces.groups.is_empty();
        if namespaces.new.contains(Kind::User) != mapped {
            return Err(invalid("a new user namespace and id mappings for users and groups belong together"));
        }
        Ok(namespaces)
    }

    /// True when the parent makes the network namespace while the child is busy otherwise. One that shall belong
    /// to another user namespace must be made inside of it.
    pub fn network_from_parent(&self) -> bool {
        self.new.contains(Kind::Network) && !self.new.contains(Kind::User) && !self.joins(Kind::User)
    }

    pub fn joins(&self, kind: Kind) -> bool {
        self.joined(kind).is_some()
    }

    pub fn joined(&self, kind: Kind) -> Option<BorrowedFd<'_>> {
        self.joined.iter().find(|(k, _)| *k == kind).map(|(_, fd)| fd.as_fd())
    }

    /// True when `kind` is not the one that the caller is in. A path may well lead to the caller's own.
    pub fn differs_from_own(&self, kind: Kind) -> Result<bool> {
        if self.new.contains(kind) {
            return Ok(true);
        }
        match self.joined(kind) {
            None => Ok(false),
            Some(fd) => {
                let own = namespace::of_process(std::process::id() as i32, kind)?;
                Ok(!namespace::is_same(fd, own)?)
            }
        }
    }
}

fn kind_of(kind: NamespaceKind) -> Kind {
    match kind {
        NamespaceKind::Pid => Kind::Pid,
        NamespaceKind::Network => Kind::Network,
        NamespaceKind::Mount => Kind::Mount,
        NamespaceKind::Ipc => Kind::Ipc,
        NamespaceKind::Uts => Kind::Uts,
        NamespaceKind::User => Kind::User,
        NamespaceKind::Cgroup => Kind::Cgroup,
        NamespaceKind::Time => Kind::Time,
    }
}

fn mapping(mapping: &spec::runtime::IdMapping) -> IdMapping {
    IdMapping { inside: mapping.container_id, outside: mapping.host_id, size: mapping.size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime::Namespace;

    fn prepare(list: &[(NamespaceKind, &str)]) -> Result<Namespaces> {
        let namespaces = list.iter().map(|(kind, path)| Namespace { kind: *kind, path: (*path).to_owned() }).collect();
        Namespaces::prepare(&Linux { namespaces, ..Linux::default() })
    }

    #[test]
    fn sorted_into_new_and_joined() {
        let found = prepare(&[(NamespaceKind::Mount, ""), (NamespaceKind::Network, "/proc/self/ns/net")]).unwrap();
        assert!(found.new.contains(Kind::Mount));
        assert!(found.joins(Kind::Network));
        assert!(!found.differs_from_own(Kind::Network).unwrap());
        assert!(found.differs_from_own(Kind::Mount).unwrap());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(prepare(&[]).is_err());
        assert!(prepare(&[(NamespaceKind::Mount, ""), (NamespaceKind::Mount, "")]).is_err());
        assert!(prepare(&[(NamespaceKind::Mount, ""), (NamespaceKind::User, "")]).is_err());
        assert!(prepare(&[(NamespaceKind::Mount, "/nonexistent")]).is_err());
    }
}
