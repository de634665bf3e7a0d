//! Writes the limits of version 2, converted from the units of version 1 where they differ.

use super::Cgroup;
use crate::bpf;
use crate::cgroup::devices::DeviceState;
use crate::cgroup::resources::{io_weight_of_blkio, swap_alone, weight_of_shares};
use crate::cgroup::{Cpu, Limit, Memory, Resources, file, tree};
use crate::{Error, Result};
use rustix::io::Errno;
use std::path::Path;

/// All but the devices.
pub(super) fn apply(cgroup: &Cgroup, resources: &Resources) -> Result<()> {
    let dir = &cgroup.dir;
    memory(dir, &resources.memory)?;
    cpu(dir, &resources.cpu)?;
    cpuset(dir, &resources.cpu)?;
    if let Some(limit) = resources.pids_max {
        file::write(dir, "pids.max", &limit.v2())?;
    }
    if let Some(weight) = resources.blkio_weight {
        blkio(dir, weight)?;
    }
    // Last: what is asked for by its own name wins over what was converted.
    resources.unified.iter().try_for_each(|(name, value)| file::write(dir, name, value))
}

/// Leads from `now` to `target` in a new group, which has no program yet.
pub(super) fn devices(cgroup: &Cgroup, now: &DeviceState, target: &DeviceState) -> Result<()> {
    if now == target {
        return Ok(());
    }
    bpf::attach_device_filter(&tree::open_dir(&cgroup.dir)?, target)
}

/// Also where a program is attached already.
pub(super) fn replace_devices(cgroup: &Cgroup, target: &DeviceState) -> Result<()> {
    bpf::replace_device_filter(&tree::open_dir(&cgroup.dir)?, target)
}

/// Version 2 kills to get below a new limit where version 1 refuses it. So reclaim first, and
/// refuse what cannot be reached. Best effort: the group may grow again in between.
pub(super) fn make_room(dir: &Path, memory: &Memory) -> Result<()> {
    let Some(Limit::At(limit)) = memory.limit else { return Ok(()) };
    let surplus = || -> Result<u64> { Ok(file::number(dir, "memory.current")?.unwrap_or(0).saturating_sub(limit)) };
    let bytes = surplus()?;
    if bytes == 0 {
        return Ok(());
    }
    // EAGAIN: less was found; ENOENT: before Linux 5.19. What counts is what is in use afterwards.
    let _ = file::write(dir, "memory.reclaim", &bytes.to_string());
    if surplus()? == 0 {
        return Ok(());
    }
    Err(Error::at(
        format!("limit memory to {limit} bytes, of which more is in use and cannot be reclaimed,"),
        dir,
        Errno::BUSY,
    ))
}

fn memory(dir: &Path, memory: &Memory) -> Result<()> {
    if let Some(limit) = memory.limit {
        file::write(dir, "memory.max", &limit.v2())?;
    }
    if let Some(total) = memory.swap {
        let now = || -> Result<Option<Limit>> { Ok(file::number(dir, "memory.max")?.map(Limit::At)) };
        let swap = swap_alone(total, memory.limit.map_or_else(now, |limit| Ok(Some(limit)))?)?;
        match file::write(dir, "memory.swap.max", &swap.v2()) {
            // A kernel without swap keeps either promise.
            Err(error) if error.errno == Errno::NOENT && matches!(swap, Limit::Unlimited | Limit::At(0)) => {}
            Err(error) if error.errno == Errno::NOENT => {
                let action =
                    "limit swap: the kernel does not account it; boot with swapaccount=1 or leave the swap limit out";
                return Err(Error::new(action, Errno::NOENT));
            }
            other => other?,
        }
    }
    if let Some(reservation) = memory.reservation {
        file::write(dir, "memory.low", &reservation.v2())?;
    }
    Ok(())
}

fn cpu(dir: &Path, cpu: &Cpu) -> Result<()> {
    if let Some(shares) = cpu.shares {
        file::write(dir, "cpu.weight", &weight_of_shares(shares).to_string())?;
    }
    let value = match (cpu.quota, cpu.period) {
        (None, None) => return Ok(()),
        (Some(quota), None) => quota.v2(),
        (Some(quota), Some(period)) => format!("{} {period}", quota.v2()),
        (None, Some(period)) => {
            let now = file::read(dir, "cpu.max")?;
            format!("{} {period}", now.split(' ').next().unwrap_or("max"))
        }
    };
    file::write(dir, "cpu.max", &value)
}

fn cpuset(dir: &Path, cpu: &Cpu) -> Result<()> {
    for (list, value) in [("cpuset.cpus", &cpu.cpuset_cpus), ("cpuset.mems", &cpu.cpuset_mems)] {
        if let Some(value) = value {
            file::write(dir, list, value)?;
        }
    }
    Ok(())
}

/// BFQ has the range of version 1 and a file of its own; the other weights are those of io.cost.
fn blkio(dir: &Path, weight: u16) -> Result<()> {
    for (name, value) in [("io.bfq.weight", u64::from(weight)), ("io.weight", io_weight_of_blkio(weight))] {
        match file::write(dir, name, &value.to_string()) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => return other,
        }
    }
    let action = "set blkio weight: the kernel has no I/O weights (CONFIG_BFQ_GROUP_IOSCHED, CONFIG_BLK_CGROUP_IOCOST); leave it out";
    Err(Error::new(action, Errno::NOENT))
}
