//! New limits for a container that exists: laid over those it has, written to its cgroup and then to its state. What the
//! cgroup refuses changes nothing on disk, and the old limits are written again.

use crate::container::{Container, Status};
use crate::error::{Result, invalid};
use spec::runtime::{BlockIo, Cpu, Memory, Resources};

/// Applies `wanted`; what it leaves out stays.
pub fn update(container: &mut Container, wanted: &Resources) -> Result<()> {
    let _lock = container.lock()?;
    if container.status()? == Status::Stopped {
        return Err(invalid("container not running"));
    }
    let mut config = container.record.config.clone();
    let linux = config.linux.get_or_insert_default();
    let resources = linux.resources.get_or_insert_default();
    merge(resources, wanted);
    let merged = resources.clone();
    let group = container.cgroup()?;
    if !container.record.systemd_unit.is_empty() {
        let is_v2 = matches!(group, kernel::cgroup::Cgroup::V2(_));
        // All of them: some are told to systemd together with others.
        runtime::systemd::set(&container.record.systemd_unit, &limits(&merged), is_v2)?;
    }
    if let Err(error) = group.set(&limits(wanted)) {
        let old = container.record.config.linux.as_ref().and_then(|linux| linux.resources.as_ref());
        // The first error is the one to tell; what cannot be written back was not changed either.
        let _ = group.set(&old.map(limits).unwrap_or_default());
        return Err(error.into());
    }
    container.record.config = config;
    container.save()
}

/// Without devices: those of a running container stay as they are, as with runc.
fn limits(resources: &Resources) -> kernel::cgroup::Resources {
    kernel::cgroup::Resources { devices: Vec::new(), ..runtime::cgroup::resources(resources) }
}

fn merge(old: &mut Resources, new: &Resources) {
    if let Some(memory) = &new.memory {
        merge_memory(old.memory.get_or_insert_default(), memory);
    }
    if let Some(cpu) = &new.cpu {
        merge_cpu(old.cpu.get_or_insert_default(), cpu);
    }
    if let Some(pids) = &new.pids {
        old.pids = Some(pids.clone());
    }
    if let Some(io) = &new.block_io {
        merge_block_io(old.block_io.get_or_insert_default(), io);
    }
    old.unified.extend(new.unified.iter().map(|(file, value)| (file.clone(), value.clone())));
}

/// `new` if it says something, else `old`.
fn over<T: Clone>(old: &mut Option<T>, new: &Option<T>) {
    if new.is_some() {
        old.clone_from(new);
    }
}

fn merge_memory(old: &mut Memory, new: &Memory) {
    over(&mut old.limit, &new.limit);
    over(&mut old.reservation, &new.reservation);
    over(&mut old.swap, &new.swap);
    over(&mut old.swappiness, &new.swappiness);
    over(&mut old.disable_oom_killer, &new.disable_oom_killer);
    over(&mut old.check_before_update, &new.check_before_update);
}

fn merge_cpu(old: &mut Cpu, new: &Cpu) {
    over(&mut old.shares, &new.shares);
    over(&mut old.quota, &new.quota);
    over(&mut old.burst, &new.burst);
    over(&mut old.period, &new.period);
    over(&mut old.realtime_runtime, &new.realtime_runtime);
    over(&mut old.realtime_period, &new.realtime_period);
    over(&mut old.idle, &new.idle);
    for (old, new) in [(&mut old.cpus, &new.cpus), (&mut old.mems, &new.mems)] {
        if !new.is_empty() {
            old.clone_from(new);
        }
    }
}

fn merge_block_io(old: &mut BlockIo, new: &BlockIo) {
    over(&mut old.weight, &new.weight);
    over(&mut old.leaf_weight, &new.leaf_weight);
    let lists = [
        (&mut old.throttle_read_bps_device, &new.throttle_read_bps_device),
        (&mut old.throttle_write_bps_device, &new.throttle_write_bps_device),
        (&mut old.throttle_read_iops_device, &new.throttle_read_iops_device),
        (&mut old.throttle_write_iops_device, &new.throttle_write_iops_device),
    ];
    for (old, new) in lists {
        if !new.is_empty() {
            old.clone_from(new);
        }
    }
}
