//! The machine as a whole: what limits and statistics are measured against.

/// CPUs that this process may use, at least 1 (sched_getaffinity(2)).
pub fn usable_cpus() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count().max(1))
}
