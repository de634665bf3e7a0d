//! New limits for a container that exists: laid over those it has, written to its cgroup, to its class of service and then to
//! its state. What is refused changes nothing on disk, and the old limits are written again.

use crate::container::{Container, Status};
use crate::error::{Result, invalid};
use crate::rdt::{self, Schemas};
use spec::runtime::{BlockIo, Cpu, Memory, NetworkClass, Resources, WeightDevice};

/// Applies `wanted`; what it leaves out stays.
pub fn update(container: &Container, wanted: &Resources, schemas: &Schemas) -> Result<()> {
    let (mut container, _lock) = container.lock()?;
    if container.status()? == Status::Stopped {
        return Err(invalid("container not running"));
    }
    let mut record = container.record.clone();
    let linux = record.config.linux.get_or_insert_default();
    let resources = linux.resources.get_or_insert_default();
    merge(resources, wanted);
    let merged = resources.clone();
    let group = container.cgroup_needed()?;
    if !container.record.systemd_unit.is_empty() {
        let is_v2 = matches!(group, kernel::cgroup::Cgroup::V2(_));
        // All of them: some are told to systemd together with others.
        runtime::systemd::set(&container.record.systemd_unit, &limits(&merged), is_v2)?;
    }
    let mut set = || -> Result<()> {
        group.set(&limits(wanted))?;
        if schemas.is_empty() { Ok(()) } else { rdt::update(&mut record, schemas, &group.processes()?) }
    };
    if let Err(error) = set() {
        let old = container.record.config.linux.as_ref().and_then(|linux| linux.resources.as_ref());
        let old = old.map(limits).unwrap_or_default();
        // The first error is the one to tell; what cannot be written back was not changed either.
        let _ = group.set(&old);
        if !container.record.systemd_unit.is_empty() {
            let is_v2 = matches!(group, kernel::cgroup::Cgroup::V2(_));
            let _ = runtime::systemd::set(&container.record.systemd_unit, &old, is_v2);
        }
        return Err(error);
    }
    container.record = record;
    container.save()
}

/// Without devices: those of a running container stay as they are, as with runc.
fn limits(resources: &Resources) -> kernel::cgroup::Resources {
    let mut limits = kernel::cgroup::Resources { devices: Vec::new(), ..runtime::cgroup::resources(resources) };
    // Without a word on it, a limit below what is in use is the kernel's to bring about (config-linux.md, memory).
    limits.memory.check_before_update.get_or_insert(false);
    limits
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
    if let Some(network) = &new.network {
        merge_network(old.network.get_or_insert_default(), network);
    }
    merge_list(&mut old.hugepage_limits, &new.hugepage_limits, |a, b| a.page_size == b.page_size);
    old.rdma.extend(new.rdma.iter().map(|(device, limits)| (device.clone(), limits.clone())));
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
    over(&mut old.kernel_tcp, &new.kernel_tcp);
    over(&mut old.swappiness, &new.swappiness);
    over(&mut old.use_hierarchy, &new.use_hierarchy);
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
    let same = |a: &WeightDevice, b: &WeightDevice| (a.major, a.minor) == (b.major, b.minor);
    merge_list(&mut old.weight_device, &new.weight_device, same);
    let lists = [
        (&mut old.throttle_read_bps_device, &new.throttle_read_bps_device),
        (&mut old.throttle_write_bps_device, &new.throttle_write_bps_device),
        (&mut old.throttle_read_iops_device, &new.throttle_read_iops_device),
        (&mut old.throttle_write_iops_device, &new.throttle_write_iops_device),
    ];
    for (old, new) in lists {
        merge_list(old, new, |a, b| (a.major, a.minor) == (b.major, b.minor));
    }
}

fn merge_network(old: &mut NetworkClass, new: &NetworkClass) {
    over(&mut old.class_id, &new.class_id);
    merge_list(&mut old.priorities, &new.priorities, |a, b| a.name == b.name);
}

/// The cgroup keeps what it has for everything that `new` does not name.
fn merge_list<T: Clone>(old: &mut Vec<T>, new: &[T], is_same: impl Fn(&T, &T) -> bool) {
    old.retain(|one| !new.iter().any(|other| is_same(one, other)));
    old.extend_from_slice(new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime::HugepageLimit;

    #[test]
    fn what_is_not_named_stays() {
        let page = |size: &str, limit| HugepageLimit { page_size: size.to_owned(), limit };
        let memory = |limit, kernel_tcp| Some(Memory { limit, kernel_tcp, ..Memory::default() });
        let mut old = Resources {
            memory: memory(Some(1), Some(2)),
            hugepage_limits: vec![page("2MB", 1), page("1GB", 2)],
            ..Resources::default()
        };
        let new =
            Resources { memory: memory(Some(3), None), hugepage_limits: vec![page("2MB", 4)], ..Resources::default() };
        merge(&mut old, &new);
        assert_eq!(old.memory, memory(Some(3), Some(2)));
        assert_eq!(old.hugepage_limits, [page("1GB", 2), page("2MB", 4)]);
    }
}
