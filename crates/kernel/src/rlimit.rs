//! Resource limits by name (setrlimit(2)). The values come from the container's specification.

use crate::error::{Error, Result};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};

/// From the specification's name, such as `RLIMIT_NOFILE`.
pub fn from_name(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return None,
    })
}

/// Limits the calling process; `u64::MAX` means unlimited. `EPERM` when the hard limit would rise
/// without CAP_SYS_RESOURCE, `EINVAL` when the soft limit is above the hard one.
pub fn set(resource: Resource, soft: u64, hard: u64) -> Result<()> {
    let limit = |value| (value != u64::MAX).then_some(value);
    let wanted = Rlimit { current: limit(soft), maximum: limit(hard) };
    rustix::process::setrlimit(resource, wanted).map_err(|errno| {
        let remedy = if errno == Errno::PERM { " (raising the hard limit needs CAP_SYS_RESOURCE)" } else { "" };
        Error::new(format!("set limit {resource:?} to {soft}:{hard}{remedy}"), errno)
    })
}

/// The soft and hard limit of the calling process; `u64::MAX` means unlimited.
pub fn get(resource: Resource) -> (u64, u64) {
    let limit = rustix::process::getrlimit(resource);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(from_name("RLIMIT_NOFILE"), Some(Resource::Nofile));
        assert_eq!(from_name("NOFILE"), None);
    }

    #[test]
    fn setting_what_is_set_changes_nothing() {
        let (soft, hard) = get(Resource::Core);
        set(Resource::Core, soft, hard).unwrap();
        assert_eq!(get(Resource::Core), (soft, hard));
    }
}
