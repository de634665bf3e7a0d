//! What a container uses: counters of its cgroup and of its network namespace, and docker's
//! formulas over two samples. The caller decides how often to sample; nothing is kept here.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use rustix::param::clock_ticks_per_second;
use spec::Timestamp;

/// Counters at one moment. Of a container that does not run all are 0, as docker shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    pub time: Timestamp,
    /// Nanoseconds of CPU time of all the container's processes since its start.
    pub cpu_total_ns: u64,
    /// Nanoseconds, busy and idle, of all CPUs of the machine since its start.
    pub system_cpu_ns: u64,
    pub online_cpus: u32,
    /// Bytes, without file pages that can be dropped at once.
    pub memory_usage: u64,
    /// Bytes; the machine's memory where the container has no (lower) limit.
    pub memory_limit: u64,
    /// Bytes to and from block devices.
    pub block_read: u64,
    pub block_write: u64,
    /// Bytes over all interfaces but loopback; 0 where the host's network is used.
    pub net_rx: u64,
    pub net_tx: u64,
    pub pids: u64,
}

pub fn sample(_engine: &Engine, container: &Container) -> Result<Sample> {
    let time = Timestamp::now();
    let Some(process) = container.process() else { return Ok(Sample { time, ..Sample::default() }) };
    let stats = container.cgroup()?.stats()?;
    let machine = read("/proc/stat");
    let (system_cpu_ns, online_cpus) = cpu_times(&machine);
    let memory_total = memory_total(&read("/proc/meminfo"));
    let (net_rx, net_tx) = match container.record.options.namespaces.network {
        crate::options::Network::Host => (0, 0),
        _ => {
            let table = read(&format!("/proc/{}/net/dev", process.pid));
            // Asked afterwards: the number might be another process's by now.
            if process.is_alive() { traffic(&table) } else { (0, 0) }
        }
    };
    Ok(Sample {
        time,
        cpu_total_ns: stats.cpu.usage_ns,
        system_cpu_ns,
        online_cpus,
        memory_usage: stats.memory.working_set_bytes(),
        memory_limit: stats.memory.limit_bytes.map_or(memory_total, |limit| limit.min(memory_total)),
        block_read: stats.io.read_bytes,
        block_write: stats.io.write_bytes,
        net_rx,
        net_tx,
        pids: stats.pids.current,
    })
}

/// The CPU time used between two samples, in percent of one CPU (docker's formula).
pub fn cpu_percent(earlier: &Sample, later: &Sample) -> f64 {
    let used = later.cpu_total_ns.saturating_sub(earlier.cpu_total_ns) as f64;
    let passed = later.system_cpu_ns.saturating_sub(earlier.system_cpu_ns) as f64;
    if used > 0.0 && passed > 0.0 { used / passed * f64::from(later.online_cpus) * 100.0 } else { 0.0 }
}

/// Of the limit, or of the machine's memory.
pub fn memory_percent(sample: &Sample) -> f64 {
    if sample.memory_limit == 0 { 0.0 } else { sample.memory_usage as f64 / sample.memory_limit as f64 * 100.0 }
}

/// Empty when it is gone: the container may end at any time.
fn read(path: &str) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Total nanoseconds and the number of CPUs, from /proc/stat (proc_stat(5)). Time of guests is
/// contained in user time already, hence the first eight fields only.
fn cpu_times(stat: &str) -> (u64, u32) {
    let nanoseconds_per_tick = 1_000_000_000 / clock_ticks_per_second().max(1);
    let total = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let fields = total.unwrap_or_default().split_ascii_whitespace().take(8);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    let numbered =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    (ticks.saturating_mul(nanoseconds_per_tick), stat.lines().filter(numbered).count() as u32)
}

/// Bytes, from /proc/meminfo, which counts KiB.
fn memory_total(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// Received and sent bytes, from /proc/PID/net/dev: `name: bytes packets …(8 fields) bytes …`.
fn traffic(dev: &str) -> (u64, u64) {
    let mut total = (0u64, 0u64);
    for (name, counters) in dev.lines().filter_map(|line| line.split_once(':')) {
        let counters: Vec<u64> = counters.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
        if let (false, [received, _, _, _, _, _, _, _, sent, ..]) = (name.trim() == "lo", &counters[..]) {
            total = (total.0.saturating_add(*received), total.1.saturating_add(*sent));
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_files() {
        let tick = 1_000_000_000 / clock_ticks_per_second();
        let stat = "cpu  1 2 3 4 5 6 7 8 90 100\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 0 0 0\nintr 5\n";
        assert_eq!(cpu_times(stat), (36 * tick, 2));
        assert_eq!(cpu_times(""), (0, 0));
        assert_eq!(memory_total("MemTotal:       24 kB\nMemFree: 1 kB\n"), 24 * 1024);
        let dev = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\nveth1:1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(dev), (101, 202));
        assert_eq!(traffic("eth0: x"), (0, 0));
    }

    #[test]
    fn percentages() {
        let earlier = Sample { cpu_total_ns: 100, system_cpu_ns: 1000, ..Sample::default() };
        let later = Sample { cpu_total_ns: 600, system_cpu_ns: 2000, online_cpus: 2, ..Sample::default() };
        assert_eq!(cpu_percent(&earlier, &later), 100.0);
        assert_eq!(cpu_percent(&later, &earlier), 0.0);
        assert_eq!(cpu_percent(&later, &later), 0.0);
        assert_eq!(memory_percent(&Sample { memory_usage: 1, memory_limit: 4, ..Sample::default() }), 25.0);
        assert_eq!(memory_percent(&Sample::default()), 0.0);
    }
}
