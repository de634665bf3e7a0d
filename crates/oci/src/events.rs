//! What a container uses, and when the kernel kills for lack of memory, as runc's `events` tells it: JSON documents
//! whose names monitoring agents look for.

use crate::container::{Container, Status};
use crate::error::{Result, invalid};
use kernel::cgroup::{Cgroup, Stats};
use kernel::pidfd::PidFd;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a kill for lack of memory may go unnoticed.
const OOM_INTERVAL: Duration = Duration::from_millis(250);

/// The counters of now, as an event.
pub fn stats(container: &Container) -> Result<Value> {
    if matches!(container.status()?, Status::Stopped | Status::Creating) {
        return Err(invalid(format!("container with id {} is not running", container.id())));
    }
    stats_of(&container.cgroup()?, container.id())
}

fn stats_of(cgroup: &Cgroup, id: &str) -> Result<Value> {
    Ok(json!({"type": "stats", "id": id, "data": data(&cgroup.stats()?)}))
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
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

/// Calls `tell` with the counters once per `interval`, and with each kill for lack of memory, until the container ends
/// or `tell` says false.
pub fn watch(container: &Container, interval: Duration, mut tell: impl FnMut(&Value) -> bool) -> Result<()> {
    let (Some(init), cgroup) = (container.init(), container.cgroup()?) else {
        return Err(invalid(format!("container with id {} is not running", container.id())));
    };
    let pidfd = init.open().map_err(|_| invalid(format!("container with id {} is not running", container.id())))?;
    let mut kills = cgroup.oom_kills()?;
    let mut next = Instant::now() + interval;
    loop {
        let wait = next.saturating_duration_since(Instant::now()).min(OOM_INTERVAL);
        let ended = has_ended_within(&pidfd, wait)?;
        let now = cgroup.oom_kills().unwrap_or(kills);
        if now > kills && !tell(&json!({"type": "oom", "id": container.id()})) {
            return Ok(());
        }
        kills = kills.max(now);
        if ended {
            return Ok(());
        }
        if Instant::now() >= next {
            next += interval;
            // Gone between two looks: the next one sees the end.
            if let Ok(stats) = stats_of(&cgroup, container.id())
                && !tell(&stats)
            {
                return Ok(());
            }
        }
    }
}

fn has_ended_within(pidfd: &PidFd, wait: Duration) -> Result<bool> {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(kernel::Error::new("wait for the container's end", errno).into()),
    }
}
