//! Which namespaces a container gets: the specification's list sorted into new ones and joined ones, before
//! any process is made. Called by `create`; the joining happens in `spawn` and `init`.

use crate::error::{Result, invalid};
use kernel::namespace::{self, IdMapping, Kind, Set};
use kernel::time_offsets::Offsets;
use spec::runtime::{Linux, NamespaceKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    pub new: Set,
    pub joined: Vec<(Kind, OwnedFd)>,
    /// For a new time namespace.
    pub time: Option<Offsets>,
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
                let joined = namespace::open(Path::new(&wanted.path))?;
                if kind != Kind::Mount || is_to_be_taken(&joined)? {
                    namespaces.joined.push((kind, joined));
                }
            }
        }
        namespaces.time = time_offsets(linux, &namespaces)?;
        namespaces.users = mappings(&linux.uid_mappings)?;
        namespaces.groups = mappings(&linux.gid_mappings)?;
        let mapped = !namespaces.users.is_empty() && !namespaces.groups.is_empty();
        if namespaces.new.contains(Kind::User) != mapped {
            return Err(invalid("a new user namespace and id mappings for users and groups belong together"));
        }
        Ok(namespaces)
    }

    /// True when an intermediate process must join the others' namespaces before the container's first process is made:
    /// into the user namespace of another new ones must be born, and from within a new one nothing of the host's can be
    /// joined any more. Not for a mount namespace, which the first process enters by itself (`init.rs`).
    pub fn joins_before(&self) -> bool {
        let joins_others = self.joined.iter().any(|(kind, _)| *kind != Kind::Mount);
        self.joins(Kind::User) || (self.new.contains(Kind::User) && joins_others)
    }

    /// True when the container has no mount namespace of its own: what is mounted for it shows where the caller is.
    pub fn shares_mounts(&self) -> bool {
        !self.new.contains(Kind::Mount) && !self.joins(Kind::Mount)
    }

    /// True when the container's users are not those of the caller.
    pub fn has_own_users(&self) -> bool {
        self.new.contains(Kind::User) || self.joins(Kind::User)
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

/// A mount namespace by path becomes the container's, with the root pivoted away from all who are in it. Not the caller's own,
/// which is shared as if it was not named; and never that of process 1, which is the machine's.
fn is_to_be_taken(mounts: &OwnedFd) -> Result<bool> {
    let of = |pid| namespace::of_process(pid, Kind::Mount);
    if namespace::is_same(mounts, of(std::process::id() as i32)?)? {
        return Ok(false);
    }
    match of(1) {
        Ok(first) if namespace::is_same(mounts, &first)? => Err(invalid(
            "the mount namespace of process 1 cannot become a container's: leave it out to share the caller's",
        )),
        _ => Ok(true),
    }
}

/// Ids that overlap, or wrap around, the kernel refuses without a word on which.
fn check_mappings(mappings: &[IdMapping]) -> Result<()> {
    for (index, one) in mappings.iter().enumerate() {
        let in_range = |start: u32| start.checked_add(one.size.saturating_sub(1)).is_some();
        if one.size == 0 || !in_range(one.inside) || !in_range(one.outside) {
            let text = format!("id mapping {}:{}:{} is empty or out of range", one.inside, one.outside, one.size);
            return Err(invalid(text));
        }
        let overlaps = |a: u32, b: u32, other: &IdMapping| a <= b + (other.size - 1) && b <= a + (one.size - 1);
        for other in &mappings[..index] {
            if overlaps(one.inside, other.inside, other) || overlaps(one.outside, other.outside, other) {
                let text = format!(
                    "id mappings {}:{}:{} and {}:{}:{} overlap",
                    one.inside, one.outside, one.size, other.inside, other.outside, other.size
                );
                return Err(invalid(text));
            }
        }
    }
    Ok(())
}

fn time_offsets(linux: &Linux, namespaces: &Namespaces) -> Result<Option<Offsets>> {
    let mut offsets = Offsets::default();
    for (clock, offset) in &linux.time_offsets {
        let offset = (offset.secs, offset.nanosecs);
        match clock.as_str() {
            "monotonic" => offsets.monotonic = offset,
            "boottime" => offsets.boottime = offset,
            _ => {
                return Err(invalid(format!(
                    "unknown clock {clock:?} in timeOffsets; monotonic and boottime are known"
                )));
            }
        }
    }
    match (namespaces.new.contains(Kind::Time), linux.time_offsets.is_empty()) {
        (true, _) => Ok(Some(offsets)),
        (false, true) => Ok(None),
        (false, false) => Err(invalid("time offsets need a new time namespace")),
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

/// `EINVAL` in words for those that the kernel would refuse.
pub(crate) fn mappings(asked: &[spec::runtime::IdMapping]) -> Result<Vec<IdMapping>> {
    let mappings: Vec<IdMapping> = asked.iter().map(mapping).collect();
    check_mappings(&mappings)?;
    Ok(mappings)
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
        assert!(!found.shares_mounts() && prepare(&[]).unwrap().shares_mounts());
        assert!(prepare(&[(NamespaceKind::Mount, "/proc/self/ns/mnt")]).unwrap().shares_mounts());
    }

    #[test]
    fn time_offsets_belong_to_a_new_time_namespace() {
        let offsets = |clock: &str| {
            std::iter::once((clock.to_owned(), spec::runtime::TimeOffset { secs: 5, nanosecs: 0 })).collect()
        };
        let prepare = |kinds: &[NamespaceKind], clock: &str| {
            let namespaces = kinds.iter().map(|kind| Namespace { kind: *kind, path: String::new() }).collect();
            Namespaces::prepare(&Linux { namespaces, time_offsets: offsets(clock), ..Linux::default() })
        };
        let both = [NamespaceKind::Mount, NamespaceKind::Time];
        assert_eq!(prepare(&both, "boottime").unwrap().time.unwrap().boottime, (5, 0));
        assert!(prepare(&both, "realtime").is_err());
        assert!(prepare(&both[..1], "boottime").is_err());
    }

    #[test]
    fn mappings_do_not_overlap() {
        let mapping = |inside, outside, size| IdMapping { inside, outside, size };
        assert!(check_mappings(&[mapping(0, 100, 10), mapping(10, 110, 10)]).is_ok());
        assert!(check_mappings(&[mapping(0, 100, 10), mapping(9, 200, 10)]).is_err());
        assert!(check_mappings(&[mapping(0, 100, 10), mapping(10, 109, 10)]).is_err());
        assert!(check_mappings(&[mapping(0, 100, 0)]).is_err());
        assert!(check_mappings(&[mapping(1, u32::MAX, 2)]).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(prepare(&[(NamespaceKind::Mount, ""), (NamespaceKind::Mount, "")]).is_err());
        assert!(prepare(&[(NamespaceKind::Mount, ""), (NamespaceKind::User, "")]).is_err());
        assert!(prepare(&[(NamespaceKind::Mount, "/nonexistent")]).is_err());
    }
}
