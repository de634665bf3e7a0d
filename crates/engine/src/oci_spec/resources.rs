//! Limits as the specification words them, with docker's defaults for what hangs together.

use super::devices;
use crate::defaults;
use crate::error::Result;
use crate::options;
use crate::record::Record;
use kernel::cgroup::Layout;
use spec::runtime::{BlockIo, Cpu, Memory, Pids, Resources};

const CPU_PERIOD_MICROSECONDS: u64 = 100_000;

pub fn resources(record: &Record) -> Result<Resources> {
    let security = &record.options.security;
    let devices = if security.privileged {
        defaults::devices::rules_privileged()
    } else {
        let mut rules = defaults::devices::rules();
        rules.extend(devices::rules(&security.devices)?);
        rules
    };
    Ok(Resources { devices, ..limits(&record.options.resources) })
}

/// Everything but devices; `update` uses it for a running container too.
pub fn limits(asked: &options::Resources) -> Resources {
    Resources {
        memory: memory(asked),
        cpu: cpu(asked),
        pids: asked.pids_limit.map(|limit| Pids { limit: Some(if limit <= 0 { -1 } else { limit }) }),
        block_io: asked
            .blkio_weight
            .filter(|weight| *weight > 0)
            .map(|weight| BlockIo { weight: Some(weight), ..BlockIo::default() }),
        ..Resources::default()
    }
}

fn memory(asked: &options::Resources) -> Option<Memory> {
    let limit = asked.memory_bytes.filter(|bytes| *bytes != 0);
    // As much swap again as memory, docker's default, where the kernel can count swap.
    let counted = || Layout::detect().is_ok_and(|layout| layout.limits_swap());
    let default_swap = limit.filter(|bytes| *bytes > 0 && counted()).map(|bytes| bytes.saturating_mul(2));
    let memory = Memory {
        limit,
        reservation: asked.memory_reservation_bytes.filter(|bytes| *bytes != 0),
        swap: asked.memory_swap_bytes.filter(|bytes| *bytes != 0).or(default_swap),
        swappiness: asked.memory_swappiness,
        disable_oom_killer: asked.oom_kill_disable.then_some(true),
        ..Memory::default()
    };
    (memory != Memory::default()).then_some(memory)
}

fn cpu(asked: &options::Resources) -> Option<Cpu> {
    let (quota, period) = match asked.nano_cpus.filter(|nano| *nano > 0) {
        Some(nano) => (Some(nano * CPU_PERIOD_MICROSECONDS as i64 / 1_000_000_000), Some(CPU_PERIOD_MICROSECONDS)),
        None => (
            asked.cpu_quota_microseconds.filter(|quota| *quota != 0),
            asked.cpu_period_microseconds.filter(|period| *period != 0),
        ),
    };
    let cpu = Cpu {
        shares: asked.cpu_shares.filter(|shares| *shares != 0),
        quota,
        period,
        cpus: asked.cpuset_cpus.clone().unwrap_or_default(),
        mems: asked.cpuset_mems.clone().unwrap_or_default(),
        ..Cpu::default()
    };
    (cpu != Cpu::default()).then_some(cpu)
}
