//! What a control group shall limit, in plain words of the kernel: no JSON, no OCI. The runtime
//! fills it, `v1` and `v2` write it. The conversions between the two versions' units are here too.

use crate::cgroup::devices::DeviceRule;
use crate::{Error, Result};
use rustix::io::Errno;

/// A bound, or explicitly none. "Not asked for" is `Option::None` around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Unlimited,
    At(u64),
}

impl Limit {
    /// OCI's and docker's numbers: negative means unlimited.
    pub fn from_signed(value: i64) -> Limit {
        u64::try_from(value).map_or(Limit::Unlimited, Limit::At)
    }

    /// As the files of version 1 have it.
    pub(super) fn v1(self) -> String {
        match self {
            Limit::Unlimited => "-1".to_owned(),
            Limit::At(value) => value.to_string(),
        }
    }

    /// As the files of version 2 have it.
    pub(super) fn v2(self) -> String {
        match self {
            Limit::Unlimited => "max".to_owned(),
            Limit::At(value) => value.to_string(),
        }
    }
}

/// Everything that is `None` or empty was not asked for: it keeps the kernel's default when a group
/// is created, and its present value when one is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    pub memory: Memory,
    pub cpu: Cpu,
    /// Number of tasks (threads, not processes).
    pub pids_max: Option<Limit>,
    pub blkio: Blkio,
    /// Bytes of huge pages, by page size as the kernel's files name it (`2MB`).
    pub hugepages: Vec<(String, Limit)>,
    pub network: Network,
    /// Handles and objects, by the name of the device.
    pub rdma: Vec<Rdma>,
    /// Applied in order. Empty: the devices of the caller.
    pub devices: Vec<DeviceRule>,
    /// Files of version 2 and what to write into them, e.g. `memory.high`. Refused on version 1.
    pub unified: Vec<(String, String)>,
}

/// All in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    pub limit: Option<Limit>,
    /// What reclaim leaves alone as long as it can: `memory.soft_limit_in_bytes`, `memory.low`.
    pub reservation: Option<Limit>,
    /// Memory and swap together (the meaning of version 1, docker's `--memory-swap`).
    pub swap: Option<Limit>,
    /// 0 to 100. Only on version 1.
    pub swappiness: Option<u64>,
    /// Only on version 1: version 2 has no way to let tasks wait for memory.
    pub oom_kill_disable: Option<bool>,
    /// Of buffers for TCP, part of the kernel's memory. Only on version 1.
    pub kernel_tcp: Option<Limit>,
    /// Whether groups beneath count too. Version 2 always does, and the kernel since 5.11 on version 1.
    pub hierarchy: Option<bool>,
    /// `Some(false)`: a limit below what is in use may be reached by killing, on version 2. Version 1 refuses it.
    pub check_before_update: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// 2 to 262144, 1024 being one container's usual share.
    pub shares: Option<u64>,
    /// Microseconds of CPU time in each period.
    pub quota: Option<Limit>,
    /// Microseconds, 1000 to 1000000.
    pub period: Option<u64>,
    /// Microseconds that may be saved up from periods before (Linux 5.14).
    pub burst: Option<u64>,
    /// Microseconds for real-time tasks in each period of theirs. Only on version 1 (CONFIG_RT_GROUP_SCHED).
    pub realtime_runtime: Option<i64>,
    pub realtime_period: Option<u64>,
    /// Run only where nobody else wants to (Linux 5.15).
    pub idle: Option<i64>,
    /// Lists such as `0-2,7` (cpuset(7)).
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
}

/// A block device by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockDevice {
    pub major: u32,
    pub minor: u32,
}

impl std::fmt::Display for BlockDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blkio {
    /// 10 to 1000, in the meaning of version 1's `blkio.weight`.
    pub weight: Option<u16>,
    /// Against the groups beneath. Only on version 1, before Linux 5.0.
    pub leaf_weight: Option<u16>,
    pub device_weights: Vec<DeviceWeight>,
    pub throttles: Vec<Throttle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceWeight {
    pub device: BlockDevice,
    pub weight: Option<u16>,
    pub leaf_weight: Option<u16>,
}

/// A rate of 0 is no limit, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    pub device: BlockDevice,
    pub kind: ThrottleKind,
    pub rate: u64,
}

/// Bytes or operations a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleKind {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
}

/// Only on version 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Marks packets (`net_cls.classid`).
    pub class: Option<u32>,
    /// By the name of the interface (`net_prio.ifpriomap`).
    pub priorities: Vec<(String, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rdma {
    pub device: String,
    pub handles: Option<u32>,
    pub objects: Option<u32>,
}

impl Rdma {
    /// A line of `rdma.max`.
    pub(super) fn line(&self) -> String {
        let number = |value: Option<u32>| value.map_or("max".to_owned(), |value| value.to_string());
        format!("{} hca_handle={} hca_object={}", self.device, number(self.handles), number(self.objects))
    }
}

impl Memory {
    pub(super) fn is_limited(&self) -> bool {
        let without = Memory {
            oom_kill_disable: self.oom_kill_disable.filter(|disable| !disable),
            check_before_update: self.check_before_update,
            ..Memory::default()
        };
        *self != without
    }

    /// `EINVAL` for a sum of memory and swap below the memory alone.
    pub(super) fn check(&self) -> Result<()> {
        match (self.swap, self.limit) {
            (Some(swap), Some(limit)) => swap_alone(swap, Some(limit)).map(drop),
            _ => Ok(()),
        }
    }
}

impl Cpu {
    pub(super) fn has_bandwidth(&self) -> bool {
        self.shares.is_some()
            || self.quota.is_some()
            || self.period.is_some()
            || self.burst.is_some()
            || self.idle.is_some()
            || self.has_realtime()
    }

    pub(super) fn has_realtime(&self) -> bool {
        self.realtime_runtime.is_some() || self.realtime_period.is_some()
    }

    pub(super) fn has_cpuset(&self) -> bool {
        self.cpuset_cpus.is_some() || self.cpuset_mems.is_some()
    }
}

impl Blkio {
    pub(super) fn is_limited(&self) -> bool {
        *self != Blkio::default()
    }
}

/// `cpu.weight` (1 to 10000) for `cpu.shares` (2 to 262144). A quadratic in the logarithm that maps
/// the least, the default (1024 to 100) and the greatest of one to those of the other; runc since
/// 1.4 and crun since 1.24 compute the same.
pub fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

/// `io.weight` (1 to 10000) for `blkio.weight` (10 to 1000), linear as runc and crun have it.
pub fn io_weight_of_blkio(weight: u16) -> u64 {
    1 + u64::from(weight.clamp(10, 1000) - 10) * 9999 / 990
}

/// `memory.swap.max` of version 2, which counts swap alone, for a `total` of memory and swap.
pub fn swap_alone(total: Limit, memory: Option<Limit>) -> Result<Limit> {
    match (total, memory) {
        (Limit::Unlimited, _) => Ok(Limit::Unlimited),
        (Limit::At(total), Some(Limit::At(memory))) if total >= memory => Ok(Limit::At(total - memory)),
        (Limit::At(total), Some(Limit::At(memory))) => {
            let less =
                format!("limit memory and swap together to {total} bytes, less than the {memory} of memory alone");
            Err(Error::new(less + "; set both equal to forbid swap", Errno::INVAL))
        }
        (Limit::At(total), _) => Err(Error::new(
            format!("limit memory and swap together to {total} bytes without a memory limit; limit memory too"),
            Errno::INVAL,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        for (shares, weight) in [
            (0, 1),
            (2, 1),
            (3, 2),
            (256, 35),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
    }

    #[test]
    fn blkio_weights_become_io_weights() {
        for (blkio, io) in [(0, 1), (10, 1), (100, 910), (500, 4950), (1000, 10_000), (u16::MAX, 10_000)] {
            assert_eq!(io_weight_of_blkio(blkio), io, "{blkio}");
        }
    }

    #[test]
    fn swap_is_what_exceeds_memory() {
        use Limit::{At, Unlimited};
        let check = |total, memory, expected: Option<Limit>| {
            assert_eq!(swap_alone(total, memory).ok(), expected, "{total:?} {memory:?}")
        };
        check(Unlimited, None, Some(Unlimited));
        check(Unlimited, Some(At(1000)), Some(Unlimited));
        check(At(1000), Some(At(1000)), Some(At(0)));
        check(At(500), Some(At(200)), Some(At(300)));
        check(At(300), Some(At(400)), None);
        check(At(300), None, None);
        check(At(300), Some(Unlimited), None);
    }

    #[test]
    fn only_real_limits_count_as_memory_limits() {
        assert!(!Memory::default().is_limited());
        assert!(!Memory { oom_kill_disable: Some(false), ..Memory::default() }.is_limited());
        assert!(Memory { oom_kill_disable: Some(true), ..Memory::default() }.is_limited());
        assert!(Memory { limit: Some(Limit::Unlimited), ..Memory::default() }.is_limited());
        assert!(Memory { limit: Some(Limit::At(2)), swap: Some(Limit::At(1)), ..Memory::default() }.check().is_err());
    }
}
