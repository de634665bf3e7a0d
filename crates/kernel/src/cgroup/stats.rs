//! What a control group has used, in one shape for both versions, and the readers of the files
//! that need more than one line of code. `v1` and `v2` fill it.

/// Counters since the group was made. What the kernel does not count is 0 or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    pub cpu: CpuStats,
    pub memory: MemoryStats,
    pub io: IoStats,
    pub pids: PidsStats,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuStats {
    pub usage_ns: u64,
    pub user_ns: u64,
    pub system_ns: u64,
    /// By CPU number; empty on version 2, which does not count it.
    pub per_cpu_ns: Vec<u64>,
    /// Periods of the CPU quota that passed, those in which it ran out, and how long tasks waited.
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_ns: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// With the page cache; see `working_set_bytes`.
    pub usage_bytes: u64,
    /// `None`: not limited here (a parent may be).
    pub limit_bytes: Option<u64>,
    /// `None` on version 2 before Linux 5.19.
    pub usage_bytes_max: Option<u64>,
    /// Page cache, of which `inactive_file_bytes` can be given up at once.
    pub cache_bytes: u64,
    pub inactive_file_bytes: u64,
    /// Swap alone.
    pub swap_bytes: u64,
    /// How often the limit was hit. Version 1 of some kernels (seen: 6.18) always says 0.
    pub limit_hits: u64,
}

impl MemoryStats {
    /// What `docker stats` and kubelet call usage: all but the inactive page cache.
    pub fn working_set_bytes(&self) -> u64 {
        self.usage_bytes.checked_sub(self.inactive_file_bytes).unwrap_or(self.usage_bytes)
    }
}

/// Of all block devices together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IoStats {
    pub read_bytes: u64,
    pub write_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// Tasks, that is threads.
    pub current: u64,
    pub limit: Option<u64>,
}

/// Sums of the `Read` and of the `Write` lines of a `blkio.*` file: `8:0 Read 4096`.
pub(super) fn blkio_sums(text: &str) -> (u64, u64) {
    let sum = |operation: &str| {
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines
            .filter(|words| words.len() == 3 && words[1] == operation)
            .filter_map(|words| words[2].parse::<u64>().ok())
            .sum()
    };
    (sum("Read"), sum("Write"))
}

/// The sum of `key=number` over the lines of `io.stat`: `8:0 rbytes=4096 wbytes=0 …`.
pub(super) fn io_sum(text: &str, key: &str) -> u64 {
    text.split([' ', '\n']).filter_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_is_summed_over_devices() {
        let v1 = "8:0 Read 4096\n8:0 Write 10\n8:0 Sync 7\n8:16 Read 4\n8:16 Total 4\nTotal 4110\n";
        assert_eq!(blkio_sums(v1), (4100, 10));
        let v2 =
            "8:0 rbytes=4096 wbytes=10 rios=2 wios=1 dbytes=0 dios=0\n8:16 rbytes=4 wbytes=0 rios=1 wios=0\n253:0 \n";
        assert_eq!((io_sum(v2, "rbytes"), io_sum(v2, "wbytes"), io_sum(v2, "rios")), (4100, 10, 3));
    }

    #[test]
    fn the_working_set_leaves_out_idle_cache() {
        let mut memory = MemoryStats { usage_bytes: 100, inactive_file_bytes: 30, ..MemoryStats::default() };
        assert_eq!(memory.working_set_bytes(), 70);
        memory.inactive_file_bytes = 101;
        assert_eq!(memory.working_set_bytes(), 100);
    }
}
