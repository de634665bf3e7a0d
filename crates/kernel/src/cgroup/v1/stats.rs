//! Reads the counters of version 1 from whichever hierarchies the group uses.

use super::Cgroup;
use crate::Result;
use crate::cgroup::hierarchy::Controller;
use crate::cgroup::stats::blkio_sums;
use crate::cgroup::{CpuStats, IoStats, MemoryStats, PidsStats, Stats, file, tree};
use std::path::Path;

/// USER_HZ, the unit of `cpuacct.stat`: 100 on every architecture that we build for.
const NS_PER_TICK: u64 = 10_000_000;

pub(super) fn read(cgroup: &Cgroup) -> Result<Stats> {
    let read_in = |controller| cgroup.directory(controller).unwrap_or_default();
    let mut stats = Stats {
        cpu: cpu(&read_in(Controller::Cpuacct))?,
        memory: memory(&read_in(Controller::Memory))?,
        io: io(&read_in(Controller::Blkio))?,
        pids: pids(cgroup, &read_in(Controller::Pids))?,
    };
    throttling(&mut stats.cpu, &read_in(Controller::Cpu))?;
    Ok(stats)
}

fn throttling(cpu: &mut CpuStats, dir: &Path) -> Result<()> {
    let text = file::read_if_there(dir, "cpu.stat")?.unwrap_or_default();
    let number = |key| file::field(&text, key).unwrap_or(0);
    cpu.periods = number("nr_periods");
    cpu.throttled_periods = number("nr_throttled");
    cpu.throttled_ns = number("throttled_time");
    Ok(())
}

fn cpu(dir: &Path) -> Result<CpuStats> {
    let ticks = file::read_if_there(dir, "cpuacct.stat")?.unwrap_or_default();
    let per_cpu = file::read_if_there(dir, "cpuacct.usage_percpu")?.unwrap_or_default();
    Ok(CpuStats {
        usage_ns: file::number(dir, "cpuacct.usage")?.unwrap_or(0),
        user_ns: file::field(&ticks, "user").unwrap_or(0) * NS_PER_TICK,
        system_ns: file::field(&ticks, "system").unwrap_or(0) * NS_PER_TICK,
        per_cpu_ns: per_cpu.split_whitespace().filter_map(|ns| ns.parse().ok()).collect(),
        ..CpuStats::default()
    })
}

fn memory(dir: &Path) -> Result<MemoryStats> {
    let text = file::read_if_there(dir, "memory.stat")?.unwrap_or_default();
    let bytes = |key| file::field(&text, key).unwrap_or(0);
    Ok(MemoryStats {
        usage_bytes: file::number(dir, "memory.usage_in_bytes")?.unwrap_or(0),
        limit_bytes: file::number(dir, "memory.limit_in_bytes")?,
        usage_bytes_max: file::number(dir, "memory.max_usage_in_bytes")?,
        cache_bytes: bytes("total_cache"),
        inactive_file_bytes: bytes("total_inactive_file"),
        swap_bytes: bytes("total_swap"),
        limit_hits: file::number(dir, "memory.failcnt")?.unwrap_or(0),
    })
}

/// BFQ's own files where that scheduler is in charge of the disks, else those of the throttling layer;
/// the former exist but stay 0 when it is not.
fn io(dir: &Path) -> Result<IoStats> {
    let sums =
        |name: &str| -> Result<(u64, u64)> { Ok(blkio_sums(&file::read_if_there(dir, name)?.unwrap_or_default())) };
    let mut bytes = sums("blkio.throttle.io_service_bytes_recursive")?;
    let mut operations = sums("blkio.throttle.io_serviced_recursive")?;
    if bytes == (0, 0) {
        bytes = sums("blkio.bfq.io_service_bytes_recursive")?;
        operations = sums("blkio.bfq.io_serviced_recursive")?;
    }
    Ok(IoStats { read_bytes: bytes.0, write_bytes: bytes.1, reads: operations.0, writes: operations.1 })
}

fn pids(cgroup: &Cgroup, dir: &Path) -> Result<PidsStats> {
    Ok(match file::number(dir, "pids.current")? {
        Some(current) => PidsStats { current, limit: file::number(dir, "pids.max")? },
        // Not limited: the hierarchy is not used, and the tasks are counted where they are listed.
        None => PidsStats { current: tree::members(&cgroup.home(), "tasks")?.len() as u64, limit: None },
    })
}
