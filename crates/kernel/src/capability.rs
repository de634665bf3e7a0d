//! Capabilities (capabilities(7)): names, sets, and the five sets of a process. The default set of a
//! container lives in `engine`; when in a container's start each set is changed, in `runtime`.

use crate::error::{Context, Result, last_errno};
use std::fmt;

/// One capability by its number (linux/capability.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

/// Indexed by number.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

impl Capability {
    pub const SYS_ADMIN: Capability = Capability(21);
    pub const MKNOD: Capability = Capability(27);

    /// All that this code knows by name; the running kernel may know fewer ([`Set::all`]).
    pub fn known() -> impl Iterator<Item = Capability> {
        (0..NAMES.len() as u8).map(Capability)
    }

    /// From a full name, `CAP_CHOWN`, in any case.
    pub fn from_name(name: &str) -> Option<Capability> {
        NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|i| Capability(i as u8))
    }

    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of capabilities, one bit per number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Set(pub u64);

impl Set {
    pub const EMPTY: Set = Set(0);

    /// All that the running kernel knows (`/proc/sys/kernel/cap_last_cap`).
    pub fn all() -> Result<Set> {
        const PATH: &str = "/proc/sys/kernel/cap_last_cap";
        let text = std::fs::read_to_string(PATH).during_at("read", PATH)?;
        let last: u32 = text.trim().parse().map_err(|_| rustix::io::Errno::INVAL).during_at("parse", PATH)?;
        Ok(Set(if last >= 63 { u64::MAX } else { (1 << (last + 1)) - 1 }))
    }

    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }

    pub fn with(self, capability: Capability) -> Set {
        Set(self.0 | 1 << capability.0)
    }

    pub fn without(self, capability: Capability) -> Set {
        Set(self.0 & !(1 << capability.0))
    }

    pub fn union(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub fn intersection(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    pub fn difference(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In order of their numbers; bits without a known name are left out.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::known().filter(move |capability| self.contains(*capability))
    }
}

impl FromIterator<Capability> for Set {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Set {
        capabilities.into_iter().fold(Set::EMPTY, Set::with)
    }
}

/// The three sets that capset(2) changes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Process {
    pub effective: Set,
    pub permitted: Set,
    pub inheritable: Set,
}

/// _LINUX_CAPABILITY_VERSION_3 of linux/capability.h: 64 bits in two halves.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Process {
    /// The calling thread's sets.
    pub fn current() -> Result<Process> {
        let mut header = Header { version: VERSION_3, pid: 0 };
        let mut halves = [Half::default(); 2];
        // SAFETY: version 3 makes the kernel write exactly two halves.
        let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
        if result != 0 {
            return Err(last_errno()).during("get capabilities");
        }
        let join = |of: fn(&Half) -> u32| Set(u64::from(of(&halves[0])) | u64::from(of(&halves[1])) << 32);
        Ok(Process {
            effective: join(|h| h.effective),
            permitted: join(|h| h.permitted),
            inheritable: join(|h| h.inheritable),
        })
    }

    /// Gives the calling thread these sets. `EPERM` when one asks for more than is permitted.
    pub fn apply(&self) -> Result<()> {
        let mut header = Header { version: VERSION_3, pid: 0 };
        let half = |shift: u32| Half {
            effective: (self.effective.0 >> shift) as u32,
            permitted: (self.permitted.0 >> shift) as u32,
            inheritable: (self.inheritable.0 >> shift) as u32,
        };
        let halves = [half(0), half(32)];
        // SAFETY: version 3 makes the kernel read exactly two halves.
        let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
        if result == 0 { Ok(()) } else { Err(last_errno()).during("set capabilities") }
    }
}

/// Drops all but `keep` from the calling thread's bounding set; what is dropped never returns.
/// `all` is [`Set::all`] (asked once, before /proc may be another). Needs CAP_SETPCAP.
pub fn limit_bounding(keep: Set, all: Set) -> Result<()> {
    for number in 0..64 {
        let bit = Set(1 << number);
        if !all.intersection(bit).is_empty() && keep.intersection(bit).is_empty() {
            // SAFETY: PR_CAPBSET_DROP takes one integer.
            let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number as libc::c_ulong, 0, 0, 0) };
            if result != 0 {
                return Err(last_errno()).during("drop capability from the bounding set");
            }
        }
    }
    Ok(())
}

/// Replaces the calling thread's ambient set. Each must be permitted and inheritable.
pub fn set_ambient(set: Set) -> Result<()> {
    let ambient = |operation: libc::c_int, number: u8| {
        // SAFETY: PR_CAP_AMBIENT takes integers only.
        let result =
            unsafe { libc::prctl(libc::PR_CAP_AMBIENT, operation as libc::c_ulong, libc::c_ulong::from(number), 0, 0) };
        if result == 0 { Ok(()) } else { Err(last_errno()) }
    };
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0).during("clear ambient capabilities")?;
    for capability in set.iter() {
        ambient(libc::PR_CAP_AMBIENT_RAISE, capability.0).during(&format!("raise ambient {capability}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(Capability::from_name("cap_sys_admin"), Some(Capability::SYS_ADMIN));
        assert_eq!(Capability::from_name("SYS_ADMIN"), None);
        assert_eq!(Capability::MKNOD.name(), "CAP_MKNOD");
        assert_eq!(Capability::from_name("CAP_SYS_RESOURCE").map(Capability::number), Some(24));
        assert_eq!(Capability::known().last().unwrap().number(), 40);
    }

    #[test]
    fn sets() {
        let set: Set = [Capability::SYS_ADMIN, Capability::MKNOD].into_iter().collect();
        assert_eq!(set.iter().map(Capability::name).collect::<Vec<_>>(), ["CAP_SYS_ADMIN", "CAP_MKNOD"]);
        assert!(set.without(Capability::MKNOD).contains(Capability::SYS_ADMIN));
        assert!(set.difference(set).is_empty());
    }

    #[test]
    fn own_sets_are_what_proc_says() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let hex = status.lines().find_map(|l| l.strip_prefix("CapEff:")).unwrap().trim();
        assert_eq!(Process::current().unwrap().effective.0, u64::from_str_radix(hex, 16).unwrap());
        assert!(Set::all().unwrap().0 >= Process::current().unwrap().permitted.0);
    }
}
