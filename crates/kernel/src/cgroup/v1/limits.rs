//! Writes the limits of version 1, in an order that the kernel accepts when a group is made and
//! when one is changed.

use super::Cgroup;
use crate::cgroup::devices::Write;
use crate::cgroup::hierarchy::Controller;
use crate::cgroup::{Blkio, Cpu, DeviceWeight, Limit, Memory, Resources, Throttle, ThrottleKind, file};
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
    if resources.blkio.is_limited() {
        blkio(&cgroup.find(Controller::Blkio)?, &resources.blkio)?;
    }
    others(cgroup, resources)
}

fn others(cgroup: &Cgroup, resources: &Resources) -> Result<()> {
    for (size, limit) in &resources.hugepages {
        let dir = cgroup.find(Controller::Hugetlb)?;
        file::write_plain(&dir, &format!("hugetlb.{size}.limit_in_bytes"), &limit.v1())?;
        // What is reserved counts too where the kernel can (5.7).
        match file::write_plain(&dir, &format!("hugetlb.{size}.rsvd.limit_in_bytes"), &limit.v1()) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => other?,
        }
    }
    if let Some(class) = resources.network.class {
        file::write(&cgroup.find(Controller::NetCls)?, "net_cls.classid", &class.to_string())?;
    }
    for (interface, priority) in &resources.network.priorities {
        file::write(&cgroup.find(Controller::NetPrio)?, "net_prio.ifpriomap", &format!("{interface} {priority}"))?;
    }
    for rdma in &resources.rdma {
        file::write(&cgroup.find(Controller::Rdma)?, "rdma.max", &rdma.line())?;
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
    if let Some(limit) = memory.kernel_tcp {
        file::write(dir, "memory.kmem.tcp.limit_in_bytes", &limit.v1())?;
    }
    if let Some(hierarchy) = memory.hierarchy {
        let wanted = if hierarchy { "1" } else { "0" };
        if file::read(dir, "memory.use_hierarchy")?.trim() != wanted {
            file::write(dir, "memory.use_hierarchy", wanted)?;
        }
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
    realtime(dir, cpu)?;
    if let Some(idle) = cpu.idle {
        file::write(dir, "cpu.idle", &idle.to_string())?;
    }
    let write_burst = || cpu.burst.map_or(Ok(()), |burst| file::write(dir, "cpu.cfs_burst_us", &burst.to_string()));
    // What is saved up may not exceed the quota, whichever of both rises.
    match write_burst() {
        Err(error) if error.errno == Errno::INVAL && cpu.quota.is_some() => {
            bandwidth(dir, cpu).and_then(|()| write_burst())
        }
        other => other.and_then(|()| bandwidth(dir, cpu)),
    }
}

/// The runtime may not exceed the period, whichever of both rises.
fn realtime(dir: &Path, cpu: &Cpu) -> Result<()> {
    let write = |name, value: Option<String>| value.map_or(Ok(()), |value| file::write(dir, name, &value));
    let period = || write("cpu.rt_period_us", cpu.realtime_period.map(|period| period.to_string()));
    let runtime = || write("cpu.rt_runtime_us", cpu.realtime_runtime.map(|runtime| runtime.to_string()));
    match period() {
        Err(error) if error.errno == Errno::INVAL && cpu.realtime_runtime.is_some() => {
            runtime().and_then(|()| period())
        }
        other => other.and_then(|()| runtime()),
    }
}

fn bandwidth(dir: &Path, cpu: &Cpu) -> Result<()> {
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

fn blkio(dir: &Path, blkio: &Blkio) -> Result<()> {
    if let Some(weight) = blkio.weight {
        write_weight(dir, "", &weight.to_string())?;
    }
    if let Some(weight) = blkio.leaf_weight {
        file::write(dir, "blkio.leaf_weight", &weight.to_string())?;
    }
    for DeviceWeight { device, weight, leaf_weight } in &blkio.device_weights {
        if let Some(weight) = weight {
            write_weight(dir, "_device", &format!("{device} {weight}"))?;
        }
        if let Some(weight) = leaf_weight {
            file::write(dir, "blkio.leaf_weight_device", &format!("{device} {weight}"))?;
        }
    }
    for Throttle { device, kind, rate } in &blkio.throttles {
        let name = match kind {
            ThrottleKind::ReadBytes => "blkio.throttle.read_bps_device",
            ThrottleKind::WriteBytes => "blkio.throttle.write_bps_device",
            ThrottleKind::ReadOperations => "blkio.throttle.read_iops_device",
            ThrottleKind::WriteOperations => "blkio.throttle.write_iops_device",
        };
        file::write(dir, name, &format!("{device} {rate}"))?;
    }
    Ok(())
}

/// The file's name depends on the I/O scheduler; without BFQ (or, before Linux 5.0, CFQ) there is none.
fn write_weight(dir: &Path, suffix: &str, value: &str) -> Result<()> {
    for name in ["blkio.bfq.weight", "blkio.weight"] {
        match file::write(dir, &format!("{name}{suffix}"), value) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => return other,
        }
    }
    let action =
        "set blkio weight: the kernel has no I/O scheduler with weights (CONFIG_BFQ_GROUP_IOSCHED); leave it out";
    Err(Error::new(action, Errno::NOENT))
}
