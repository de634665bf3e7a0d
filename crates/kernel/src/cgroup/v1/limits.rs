//! Writes the limits of version 1, in an order that the kernel accepts when a group is made and
//! when one is changed.

use super::Cgroup;
use crate::cgroup::devices::Write;
use crate::cgroup::hierarchy::Controller;
use crate::cgroup::{Cpu, Limit, Memory, Resources, file};
use crate::{Context, Error, Result};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::path::Path;

/// All but the devices.
pub(super) fn apply(cgroup: &Cgroup, resources: &Resources) -> Result<()> {
    if resources.memory != Memory::default() {
        memory(&cgroup.find(Controller::Memory)?, &resources.memory)?;
    }
    if resources.cpu.has_bandwidth() {
        cpu(&cgroup.find(Controller::Cpu)?, &resources.cpu)?;
    }
    if resources.cpu.has_cpuset() {
        cpuset(&cgroup.find(Controller::Cpuset)?, &resources.cpu)?;
    }
    if let Some(limit) = resources.pids_max {
        // This controller says `max` on both versions.
        file::write(&cgroup.find(Controller::Pids)?, "pids.max", &limit.v2())?;
    }
    if let Some(weight) = resources.blkio_weight {
        blkio(&cgroup.find(Controller::Blkio)?, weight)?;
    }
    Ok(())
}

/// One rule a write is all that the kernel takes; the files are opened once each.
pub(super) fn write_devices(cgroup: &Cgroup, writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let dir = cgroup.find(Controller::Devices)?;
    let allow = file::open(&dir.join("devices.allow"), OFlags::WRONLY)?;
    let deny = file::open(&dir.join("devices.deny"), OFlags::WRONLY)?;
    for write in writes {
        let fd = if write.allow { &allow } else { &deny };
        let action = format!("set device rule {:?} of", write.text);
        rustix::io::write(fd, write.text.as_bytes()).during_at(&action, &dir)?;
    }
    Ok(())
}

fn memory(dir: &Path, memory: &Memory) -> Result<()> {
    let lifted = (memory.limit == Some(Limit::Unlimited)).then_some(Limit::Unlimited);
    let swap = memory.swap.or(lifted);
    if let Some(limit) = memory.limit {
        let write = || file::write(dir, "memory.limit_in_bytes", &limit.v1());
        match write() {
            // The memory may not exceed the sum: when both rise, the sum goes first.
            Err(error) if error.errno == Errno::INVAL && swap.is_some() => {
                swap_limit(dir, swap)?;
                write()?;
            }
            Err(error) if error.errno == Errno::BUSY => {
                let action =
                    format!("limit memory to {} bytes, of which more is in use and cannot be reclaimed,", limit.v1());
                return Err(Error::at(action, dir, Errno::BUSY));
            }
            other => other?,
        }
    }
    swap_limit(dir, swap)?;
    if let Some(reservation) = memory.reservation {
        file::write(dir, "memory.soft_limit_in_bytes", &reservation.v1())?;
    }
    if let Some(swappiness) = memory.swappiness {
        file::write(dir, "memory.swappiness", &swappiness.to_string())?;
    }
    if let Some(disable) = memory.oom_kill_disable {
        file::write(dir, "memory.oom_control", if disable { "1" } else { "0" })?;
    }
    Ok(())
}

fn swap_limit(dir: &Path, swap: Option<Limit>) -> Result<()> {
    let Some(swap) = swap else { return Ok(()) };
    match file::write(dir, "memory.memsw.limit_in_bytes", &swap.v1()) {
        Err(error) if error.errno == Errno::NOENT && swap == Limit::Unlimited => Ok(()),
        Err(error) if error.errno == Errno::NOENT => {
            let action =
                "limit swap: the kernel does not account it; boot with swapaccount=1 or leave the swap limit out";
            Err(Error::new(action, Errno::NOENT))
        }
        other => other,
    }
}

fn cpu(dir: &Path, cpu: &Cpu) -> Result<()> {
    if let Some(shares) = cpu.shares {
        file::write(dir, "cpu.shares", &shares.to_string())?;
    }
    let write_quota = || cpu.quota.map_or(Ok(()), |quota| file::write(dir, "cpu.cfs_quota_us", &quota.v1()));
    let Some(period) = cpu.period else { return write_quota() };
    let write_period = || file::write(dir, "cpu.cfs_period_us", &period.to_string());
    match write_period() {
        // Their ratio may not exceed the parent's even in between; the other order then.
        Err(error) if error.errno == Errno::INVAL && cpu.quota.is_some() => write_quota().and_then(|()| write_period()),
        other => other.and_then(|()| write_quota()),
    }
}

fn cpuset(dir: &Path, cpu: &Cpu) -> Result<()> {
    for (list, value) in [("cpuset.cpus", &cpu.cpuset_cpus), ("cpuset.mems", &cpu.cpuset_mems)] {
        if let Some(value) = value {
            file::write(dir, list, value)?;
        }
    }
    Ok(())
}

/// The file's name depends on the I/O scheduler; without BFQ (or, before Linux 5.0, CFQ) there is none.
fn blkio(dir: &Path, weight: u16) -> Result<()> {
    for name in ["blkio.bfq.weight", "blkio.weight"] {
        match file::write(dir, name, &weight.to_string()) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => return other,
        }
    }
    let action =
        "set blkio weight: the kernel has no I/O scheduler with weights (CONFIG_BFQ_GROUP_IOSCHED); leave it out";
    Err(Error::new(action, Errno::NOENT))
}
