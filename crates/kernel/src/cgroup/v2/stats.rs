//! Reads the counters of version 2.

use crate::Result;
use crate::cgroup::stats::io_sum;
use crate::cgroup::{CpuStats, IoStats, MemoryStats, PidsStats, Stats, file, tree};
use std::path::Path;

pub(super) fn read(dir: &Path) -> Result<Stats> {
    Ok(Stats { cpu: cpu(dir)?, memory: memory(dir)?, io: io(dir)?, pids: pids(dir)? })
}

fn cpu(dir: &Path) -> Result<CpuStats> {
    let text = file::read_if_there(dir, "cpu.stat")?.unwrap_or_default();
    let number = |key| file::field(&text, key).unwrap_or(0);
    Ok(CpuStats {
        usage_ns: number("usage_usec") * 1000,
        user_ns: number("user_usec") * 1000,
        system_ns: number("system_usec") * 1000,
        per_cpu_ns: Vec::new(),
        periods: number("nr_periods"),
        throttled_periods: number("nr_throttled"),
        throttled_ns: number("throttled_usec") * 1000,
    })
}

fn memory(dir: &Path) -> Result<MemoryStats> {
    let text = file::read_if_there(dir, "memory.stat")?.unwrap_or_default();
    let bytes = |key| file::field(&text, key).unwrap_or(0);
    let events = file::read_if_there(dir, "memory.events")?.unwrap_or_default();
    Ok(MemoryStats {
        usage_bytes: file::number(dir, "memory.current")?.unwrap_or(0),
        limit_bytes: file::number(dir, "memory.max")?,
        usage_bytes_max: file::number(dir, "memory.peak")?,
        cache_bytes: bytes("file"),
        inactive_file_bytes: bytes("inactive_file"),
        swap_bytes: file::number(dir, "memory.swap.current")?.unwrap_or(0),
        limit_hits: file::field(&events, "max").unwrap_or(0),
    })
}

fn io(dir: &Path) -> Result<IoStats> {
    let text = file::read_if_there(dir, "io.stat")?.unwrap_or_default();
    let sum = |key| io_sum(&text, key);
    Ok(IoStats { read_bytes: sum("rbytes"), write_bytes: sum("wbytes"), reads: sum("rios"), writes: sum("wios") })
}

fn pids(dir: &Path) -> Result<PidsStats> {
    Ok(match file::number(dir, "pids.current")? {
        Some(current) => PidsStats { current, limit: file::number(dir, "pids.max")? },
        // The controller is not to be had here: count.
        None => PidsStats { current: tree::members(dir, "cgroup.threads")?.len() as u64, limit: None },
    })
}
