//! What a container uses, and when the kernel kills for lack of memory, as runc's `events` tells it: JSON documents
//! whose names monitoring agents look for.

use crate::container::{Container, Status};
use crate::error::{Result, invalid};
use crate::rdt;
use kernel::cgroup::{Cgroup, OomWatch, Stats};
use kernel::pidfd::PidFd;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The counters of now, as an event.
pub fn stats(container: &Container) -> Result<Value> {
    if matches!(container.status()?, Status::Stopped | Status::Creating) {
        return Err(invalid(format!("container with id {} is not running", container.id())));
    }
    stats_of(&container.cgroup_needed()?, container)
}

fn stats_of(cgroup: &Cgroup, container: &Container) -> Result<Value> {
    let mut data = data(&cgroup.stats()?);
    data["intel_rdt"] = rdt::stats(&container.record);
    Ok(json!({"type": "stats", "id": container.id(), "data": data}))
}

fn data(stats: &Stats) -> Value {
    let Stats { cpu, memory, io, pids } = stats;
    let unlimited = u64::MAX;
    json!({
        "cpu": {
            "usage": {
                "total": cpu.usage_ns,
                "percpu": cpu.per_cpu_ns,
                "kernel": cpu.system_ns,
                "user": cpu.user_ns,
            },
            "throttling": {
                "periods": cpu.periods,
                "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled_ns,
            },
        },
        "memory": {
            "cache": memory.cache_bytes,
            "usage": {
                "limit": memory.limit_bytes.unwrap_or(unlimited),
                "usage": memory.usage_bytes,
                "max": memory.usage_bytes_max.unwrap_or_default(),
                "failcnt": memory.limit_hits,
            },
            "swap": {"usage": memory.swap_bytes},
            "raw": {"inactive_file": memory.inactive_file_bytes, "cache": memory.cache_bytes},
        },
        "pids": {"current": pids.current, "limit": pids.limit.unwrap_or_default()},
        "blkio": {
            "ioServiceBytesRecursive": [
                {"op": "Read", "value": io.read_bytes},
                {"op": "Write", "value": io.write_bytes},
            ],
            "ioServicedRecursive": [
                {"op": "Read", "value": io.reads},
                {"op": "Write", "value": io.writes},
            ],
        },
        "hugetlb": {},
        "network_interfaces": null,
    })
}

/// Calls `tell` with the counters once per `interval`, and each time that the container is out of memory, until it ends or
/// `tell` says false.
pub fn watch(container: &Container, interval: Duration, mut tell: impl FnMut(&Value) -> bool) -> Result<()> {
    let not_running = || invalid(format!("container with id {} is not running", container.id()));
    let cgroup = container.cgroup_needed()?;
    let pidfd = container.init().ok_or_else(not_running)?.open().map_err(|_| not_running())?;
    let mut memory = cgroup.watch_oom()?;
    let mut next = Instant::now() + interval;
    loop {
        let ended = wait(&pidfd, memory.as_ref(), next.saturating_duration_since(Instant::now()))?;
        // Before the end, of which it may be the reason.
        if memory.as_mut().map_or(Ok(false), OomWatch::take)? && !tell(&json!({"type": "oom", "id": container.id()})) {
            return Ok(());
        }
        if ended {
            return Ok(());
        }
        if Instant::now() >= next {
            next += interval;
            // Gone between two looks: the next one sees the end.
            if let Ok(stats) = stats_of(&cgroup, container)
                && !tell(&stats)
            {
                return Ok(());
            }
        }
    }
}

/// For the process's end, which is true then, for a lack of memory, and at most for `limit`.
fn wait(pidfd: &PidFd, memory: Option<&OomWatch>, limit: Duration) -> Result<bool> {
    let mut fds = vec![PollFd::new(pidfd, PollFlags::IN)];
    fds.extend(memory.map(|memory| PollFd::new(memory, PollFlags::IN)));
    let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(kernel::Error::new("wait for the container's end", errno).into()),
    }
}
