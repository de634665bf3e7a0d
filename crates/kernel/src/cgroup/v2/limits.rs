//! Writes the limits of version 2, converted from the units of version 1 where they differ.

use super::Cgroup;
use crate::bpf;
use crate::cgroup::devices::DeviceState;
use crate::cgroup::resources::{io_weight_of_blkio, swap_alone, weight_of_shares};
use crate::cgroup::{Blkio, Cpu, DeviceWeight, Limit, Memory, Resources, Throttle, ThrottleKind, file, tree};
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
    blkio(dir, &resources.blkio)?;
    others(dir, resources)?;
    // Last: what is asked for by its own name wins over what was converted.
    resources.unified.iter().try_for_each(|(name, value)| write_lines(dir, name, value))
}

/// A file such as `io.max` takes one device a write.
fn write_lines(dir: &Path, name: &str, value: &str) -> Result<()> {
    let mut lines = value.lines().filter(|line| !line.trim().is_empty()).peekable();
    if lines.peek().is_none() {
        return file::write(dir, name, value);
    }
    lines.try_for_each(|line| file::write(dir, name, line))
}

fn others(dir: &Path, resources: &Resources) -> Result<()> {
    for (size, limit) in &resources.hugepages {
        file::write_plain(dir, &format!("hugetlb.{size}.max"), &limit.v2())?;
        // What is reserved counts too where the kernel can (5.7).
        match file::write_plain(dir, &format!("hugetlb.{size}.rsvd.max"), &limit.v2()) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => other?,
        }
    }
    resources.rdma.iter().try_for_each(|rdma| file::write(dir, "rdma.max", &rdma.line()))
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
    // As on version 1: who lifts the one limit and says nothing of the other means both.
    let lifted = (memory.limit == Some(Limit::Unlimited)).then_some(Limit::Unlimited);
    if let Some(total) = memory.swap.or(lifted) {
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
    if let Some(idle) = cpu.idle {
        file::write(dir, "cpu.idle", &idle.to_string())?;
    }
    let write_burst = || cpu.burst.map_or(Ok(()), |burst| file::write(dir, "cpu.max.burst", &burst.to_string()));
    // What is saved up may not exceed the quota, whichever of both rises.
    match write_burst() {
        Err(error) if error.errno == Errno::INVAL && cpu.quota.is_some() => {
            bandwidth(dir, cpu).and_then(|()| write_burst())
        }
        other => other.and_then(|()| bandwidth(dir, cpu)),
    }
}

fn bandwidth(dir: &Path, cpu: &Cpu) -> Result<()> {
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

fn blkio(dir: &Path, blkio: &Blkio) -> Result<()> {
    if let Some(weight) = blkio.weight {
        write_weight(dir, "", weight)?;
    }
    for DeviceWeight { device, weight, .. } in &blkio.device_weights {
        if let Some(weight) = weight {
            write_weight(dir, &format!("{device} "), *weight)?;
        }
    }
    for Throttle { device, kind, rate } in &blkio.throttles {
        let key = match kind {
            ThrottleKind::ReadBytes => "rbps",
            ThrottleKind::WriteBytes => "wbps",
            ThrottleKind::ReadOperations => "riops",
            ThrottleKind::WriteOperations => "wiops",
        };
        let rate = if *rate == 0 { "max".to_owned() } else { rate.to_string() };
        file::write(dir, "io.max", &format!("{device} {key}={rate}"))?;
    }
    Ok(())
}

/// BFQ has the range of version 1 and a file of its own; the other weights are those of io.cost.
fn write_weight(dir: &Path, device: &str, weight: u16) -> Result<()> {
    for (name, value) in [("io.bfq.weight", u64::from(weight)), ("io.weight", io_weight_of_blkio(weight))] {
        match file::write(dir, name, &format!("{device}{value}")) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => return other,
        }
    }
    let action = "set blkio weight: the kernel has no I/O weights (CONFIG_BFQ_GROUP_IOSCHED, CONFIG_BLK_CGROUP_IOCOST); leave it out";
    Err(Error::new(action, Errno::NOENT))
}
