//! Changing limits and restart policy of a container, running or not: docker's `update`. The
//! cgroup is changed first, the record after it, so that a limit that the kernel refuses is not
//! on record. The monitor reads the restart policy from the record when the container ends.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::{Resources, Restart};
use crate::{oci_spec, validate};

/// Applies the fields of `asked` that are `Some`, and `restart`. `Invalid` when they do not fit
/// together with what the container has; nothing is changed then.
pub fn update(engine: &Engine, container: &Container, asked: &Resources, restart: Option<Restart>) -> Result<()> {
    let (mut container, _lock) = container.locked(engine)?;
    let cannot = |error: Error| reworded(error, &format!("Cannot update container {}: ", container.id()));
    let options = &container.record.options;
    if restart.is_some_and(|policy| policy != Restart::No) && options.lifecycle.auto_remove {
        let text = "Restart policy cannot be updated because AutoRemove is enabled for the container";
        return Err(cannot(Error::Invalid(text.into())));
    }
    let merged = merge(&options.resources, asked).map_err(cannot)?;
    validate::resources(&merged).map_err(cannot)?;
    if container.is_running() {
        let limits = changed_limits(&merged, asked);
        container.cgroup()?.set(&runtime::cgroup::resources(&limits)).map_err(|error| cannot(error.into()))?;
    }
    container.record.options.resources = merged;
    if let Some(policy) = restart {
        container.record.options.lifecycle.restart = policy;
    }
    container.save(engine)
}

/// Docker's rules on what may follow what.
fn merge(present: &Resources, asked: &Resources) -> Result<Resources> {
    let invalid = |text: &str| Err(Error::Invalid(text.into()));
    let has = |value: Option<i64>| value.is_some_and(|value| value != 0);
    let period = |resources: &Resources| resources.cpu_period_microseconds.is_some_and(|period| period != 0);
    if has(asked.nano_cpus) && period(present) {
        return invalid("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
    }
    if has(asked.nano_cpus) && has(present.cpu_quota_microseconds) {
        return invalid("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set");
    }
    if period(asked) && has(present.nano_cpus) {
        return invalid("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
    }
    if has(asked.cpu_quota_microseconds) && has(present.nano_cpus) {
        return invalid("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
    }
    if let (Some(memory), Some(swap), None) = (asked.memory_bytes, present.memory_swap_bytes, asked.memory_swap_bytes)
        && swap > 0
        && memory > swap
    {
        return invalid(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        );
    }
    // Zero is docker's word for "not asked".
    let number = |asked: Option<i64>, present: Option<i64>| asked.filter(|value| *value != 0).or(present);
    let text = |asked: &Option<String>, present: &Option<String>| {
        asked.as_ref().filter(|text| !text.is_empty()).or(present.as_ref()).cloned()
    };
    Ok(Resources {
        memory_bytes: number(asked.memory_bytes, present.memory_bytes),
        memory_swap_bytes: number(asked.memory_swap_bytes, present.memory_swap_bytes),
        memory_reservation_bytes: number(asked.memory_reservation_bytes, present.memory_reservation_bytes),
        nano_cpus: number(asked.nano_cpus, present.nano_cpus),
        cpu_shares: asked.cpu_shares.filter(|shares| *shares != 0).or(present.cpu_shares),
        cpu_period_microseconds: asked
            .cpu_period_microseconds
            .filter(|period| *period != 0)
            .or(present.cpu_period_microseconds),
        cpu_quota_microseconds: number(asked.cpu_quota_microseconds, present.cpu_quota_microseconds),
        cpuset_cpus: text(&asked.cpuset_cpus, &present.cpuset_cpus),
        cpuset_mems: text(&asked.cpuset_mems, &present.cpuset_mems),
        pids_limit: asked.pids_limit.or(present.pids_limit),
        blkio_weight: asked.blkio_weight.filter(|weight| *weight != 0).or(present.blkio_weight),
        // The rest is decided at create: docker's update has no flags for it.
        ..present.clone()
    })
}

/// What hangs together is set together (a memory limit moves the swap limit along), what was not
/// asked for is left alone.
fn changed_limits(merged: &Resources, asked: &Resources) -> spec::runtime::Resources {
    let mut limits = oci_spec::limits(merged);
    if asked.memory_bytes.or(asked.memory_swap_bytes).or(asked.memory_reservation_bytes).is_none() {
        limits.memory = None;
    }
    let cpu_numbers = asked.nano_cpus.or(asked.cpu_quota_microseconds).is_some();
    let cpu_rest = asked.cpu_shares.or(asked.cpu_period_microseconds).is_some();
    if !cpu_numbers && !cpu_rest && asked.cpuset_cpus.is_none() && asked.cpuset_mems.is_none() {
        limits.cpu = None;
    }
    if asked.pids_limit.is_none() {
        limits.pids = None;
    }
    if asked.blkio_weight.is_none() {
        limits.block_io = None;
    }
    limits
}

fn reworded(error: Error, before: &str) -> Error {
    match error {
        Error::Invalid(text) => Error::Invalid(format!("{before}{text}")),
        other => Error::Failed(format!("{before}{other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(present: Resources, asked: Resources, expected: std::result::Result<Resources, &str>) {
        match (merge(&present, &asked), expected) {
            (Ok(merged), Ok(expected)) => assert_eq!(merged, expected),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (merged, expected) => panic!("{merged:?} instead of {expected:?}"),
        }
    }

    fn memory(memory: i64, swap: i64) -> Resources {
        let some = |value: i64| (value != 0).then_some(value);
        Resources { memory_bytes: some(memory), memory_swap_bytes: some(swap), ..Resources::default() }
    }

    #[test]
    fn what_was_asked_replaces_and_the_rest_stays() {
        let present = Resources { pids_limit: Some(5), oom_score_adj: Some(7), ..memory(100, 200) };
        let asked = Resources { pids_limit: Some(-1), cpu_shares: Some(0), ..memory(150, 0) };
        let expected = Resources { pids_limit: Some(-1), oom_score_adj: Some(7), ..memory(150, 200) };
        check(present, asked, Ok(expected));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_dockers_words() {
        check(
            memory(100, 200),
            memory(300, 0),
            Err("Memory limit should be smaller than already set memoryswap limit"),
        );
        check(memory(100, 200), memory(300, 600), Ok(memory(300, 600)));
        check(memory(100, -1), memory(300, 0), Ok(memory(300, -1)));
        let cpus = Resources { nano_cpus: Some(1), ..Resources::default() };
        let quota = Resources { cpu_quota_microseconds: Some(1000), ..Resources::default() };
        let period = Resources { cpu_period_microseconds: Some(1000), ..Resources::default() };
        check(quota.clone(), cpus.clone(), Err("Nano CPUs cannot be updated as CPU Quota has already been set"));
        check(period.clone(), cpus.clone(), Err("Nano CPUs cannot be updated as CPU Period has already been set"));
        check(cpus.clone(), period, Err("CPU Period cannot be updated as NanoCPUs has already been set"));
        check(cpus, quota, Err("CPU Quota cannot be updated as NanoCPUs has already been set"));
    }

    #[test]
    fn a_running_container_gets_only_what_was_asked() {
        let merged = Resources { pids_limit: Some(5), nano_cpus: Some(500_000_000), ..memory(100, 200) };
        let limits = changed_limits(&merged, &memory(100, 0));
        assert_eq!(limits.memory.and_then(|memory| memory.swap), Some(200));
        assert!(limits.cpu.is_none() && limits.pids.is_none() && limits.block_io.is_none());
        let asked = Resources { pids_limit: Some(5), nano_cpus: Some(500_000_000), ..Resources::default() };
        let limits = changed_limits(&merged, &asked);
        assert!(limits.memory.is_none());
        assert_eq!(limits.cpu.and_then(|cpu| cpu.quota), Some(50_000));
    }
}
