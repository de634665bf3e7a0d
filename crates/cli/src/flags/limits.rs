//! The limits that a container is made with and that `update` can change while it runs: flags of `run`, `create` and `update`.
//! Whether this machine can keep them is checked by the engine.

use super::value::{bytes, cpus, number};
use super::{Flag, Misuse, Parsed};
use engine::options::Resources;

/// Flags of the three commands alike.
pub const FLAGS: [Flag; 11] = [
    Flag::value("blkio-weight", "uint16", "Share of disk IO against others, 10 to 1000 (0: unset)").default("0"),
    Flag::value("cpu-period", "int", "Length of one CPU quota period, in microseconds"),
    Flag::value("cpu-quota", "int", "CPU time allowed in each period, in microseconds"),
    Flag::value("cpu-shares", "int", "Share of CPU time against others").short('c'),
    Flag::value("cpus", "decimal", "How many CPUs' worth of time may be used"),
    Flag::value("cpuset-cpus", "string", "CPUs that may be used (e.g. 0-3 or 0,1)"),
    Flag::value("cpuset-mems", "string", "Memory nodes that may be used (e.g. 0-3 or 0,1)"),
    Flag::value("memory", "bytes", "Most memory that may be used").short('m'),
    Flag::value("memory-reservation", "bytes", "Memory to shrink to when the host runs short"),
    Flag::value("memory-swap", "bytes", "Most memory and swap together (-1: no limit on swap)"),
    Flag::value("pids-limit", "int", "Most processes at a time (-1: no limit)"),
];

/// Reads the flags of `FLAGS`; 0 stands for "not limited", as in docker.
pub fn read(parsed: &Parsed) -> Result<Resources, Misuse> {
    Ok(Resources {
        memory_bytes: parsed.one("memory", bytes::memory)?.filter(|bytes| *bytes != 0),
        memory_swap_bytes: parsed.one("memory-swap", bytes::memory_or_unlimited)?.filter(|bytes| *bytes != 0),
        memory_reservation_bytes: parsed.one("memory-reservation", bytes::memory)?.filter(|bytes| *bytes != 0),
        nano_cpus: parsed.one("cpus", cpus::parse)?.filter(|nano| *nano != 0),
        cpu_shares: parsed.one("cpu-shares", number::unsigned)?.filter(|shares| *shares != 0),
        cpu_period_microseconds: parsed.one("cpu-period", number::unsigned)?.filter(|period| *period != 0),
        cpu_quota_microseconds: parsed.one("cpu-quota", number::signed)?.filter(|quota| *quota != 0),
        cpuset_cpus: parsed.text("cpuset-cpus"),
        cpuset_mems: parsed.text("cpuset-mems"),
        pids_limit: parsed.one("pids-limit", number::signed)?.filter(|limit| *limit != 0),
        blkio_weight: parsed.one("blkio-weight", number::unsigned)?.filter(|weight| *weight != 0),
        ..Resources::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;
    use crate::flags::update::COMMAND;

    fn limits(line: &str) -> Resources {
        read(&words(&COMMAND, line).unwrap()).unwrap()
    }

    #[test]
    fn units_and_zero() {
        let limits = limits("-m 1g --memory-swap -1 --cpus 0.5 --cpuset-cpus 0-3 box");
        assert_eq!((limits.memory_bytes, limits.memory_swap_bytes), (Some(1 << 30), Some(-1)));
        assert_eq!((limits.nano_cpus, limits.cpuset_cpus.as_deref()), (Some(500_000_000), Some("0-3")));
        assert_eq!(self::limits("-m 0 --cpus 0 --pids-limit 0 --cpu-shares 0 box"), Resources::default());
    }
}
