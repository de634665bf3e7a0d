//! Limits as properties of a unit (systemd.resource-control(5)). What systemd has none for is written by the caller only.

use super::message::{Property, Value};
use kernel::cgroup::{Limit, Resources, weight_of_shares};

/// What systemd has a property for.
pub(super) fn limits(resources: &Resources, is_v2: bool) -> Vec<Property> {
    let mut properties: Vec<Property> = Vec::new();
    let number = |limit: Limit| match limit {
        Limit::Unlimited => Value::Number(u64::MAX),
        Limit::At(value) => Value::Number(value),
    };
    let memory = &resources.memory;
    if let Some(limit) = memory.limit {
        properties.push((if is_v2 { "MemoryMax" } else { "MemoryLimit" }, number(limit)));
    }
    if is_v2 {
        properties.extend(memory.reservation.map(|limit| ("MemoryLow", number(limit))));
        // Swap alone, as version 2 counts it; who lifts the one limit lifts the other.
        let swap = match (memory.swap, memory.limit) {
            (Some(Limit::At(total)), Some(Limit::At(limit))) => Some(Value::Number(total.saturating_sub(limit))),
            (Some(Limit::Unlimited), _) | (None, Some(Limit::Unlimited)) => Some(number(Limit::Unlimited)),
            _ => None,
        };
        properties.extend(swap.map(|swap| ("MemorySwapMax", swap)));
    }
    let cpu = &resources.cpu;
    if cpu.idle == Some(1) && is_v2 {
        // Since systemd 252.
        properties.push(("CPUWeight", Value::Number(0)));
    } else if let Some(shares) = cpu.shares {
        properties.push(match is_v2 {
            true => ("CPUWeight", Value::Number(weight_of_shares(shares))),
            false => ("CPUShares", Value::Number(shares)),
        });
    }
    properties.extend(quota_and_period(cpu.quota, cpu.period));
    properties.extend(resources.pids_max.map(|limit| ("TasksMax", number(limit))));
    if is_v2 {
        for (name, list) in [("AllowedCPUs", &cpu.cpuset_cpus), ("AllowedMemoryNodes", &cpu.cpuset_mems)] {
            properties.extend(list.as_ref().and_then(|list| cpus(name, list)));
        }
        properties.extend(files(&resources.unified));
    }
    properties
}

/// Files of version 2 by their names, in the order of the list: what comes later counts. A value that is none is left to the
/// file, which refuses it in the kernel's words.
fn files(files: &[(String, String)]) -> Vec<Property> {
    let amount = |value: &str| match value {
        "max" => Some(Value::Number(u64::MAX)),
        number => number.parse().ok().map(Value::Number),
    };
    let is_idle = files.iter().any(|(file, value)| file == "cpu.idle" && value.trim() == "1");
    let mut properties = Vec::new();
    for (file, value) in files {
        let value = value.trim();
        let plain = |name: &'static str| amount(value).map(|value| (name, value));
        match file.as_str() {
            "memory.min" => properties.extend(plain("MemoryMin")),
            "memory.low" => properties.extend(plain("MemoryLow")),
            "memory.high" => properties.extend(plain("MemoryHigh")),
            "memory.max" => properties.extend(plain("MemoryMax")),
            "memory.swap.max" => properties.extend(plain("MemorySwapMax")),
            "pids.max" => properties.extend(plain("TasksMax")),
            // A weight of 0 is what systemd calls idle, since 252.
            "cpu.weight" if !is_idle => properties.extend(plain("CPUWeight")),
            "cpu.idle" if is_idle => properties.push(("CPUWeight", Value::Number(0))),
            "cpu.max" => properties.extend(quota_of(value)),
            "cpuset.cpus" => properties.extend(cpus("AllowedCPUs", value)),
            "cpuset.mems" => properties.extend(cpus("AllowedMemoryNodes", value)),
            _ => {}
        }
    }
    properties
}

/// From `max 100000`, or one word of it; nothing when it is neither.
fn quota_of(value: &str) -> Vec<Property> {
    let mut words = value.split_whitespace();
    let quota = match words.next() {
        Some("max") => Some(Limit::Unlimited),
        word => word.and_then(|word| word.parse().ok()).map(Limit::At),
    };
    let period = words.next().map_or(Some(PERIOD), |word| word.parse().ok());
    match (quota, period) {
        (Some(quota), Some(period)) => quota_and_period(Some(quota), Some(period)),
        _ => Vec::new(),
    }
}

fn cpus(name: &'static str, list: &str) -> Option<Property> {
    Some((name, Value::Bytes(bytes(&kernel::cpu_list::Mask::parse(list)?))))
}

/// What the kernel takes for a second word that is not there.
const PERIOD: u64 = 100_000;

/// In microseconds of each second, in steps of ten milliseconds, which is how systemd keeps it.
fn quota_and_period(quota: Option<Limit>, period: Option<u64>) -> Vec<Property> {
    const STEP: u64 = 10_000;
    let mut properties = Vec::new();
    properties.extend(period.map(|period| ("CPUQuotaPeriodUSec", Value::Number(period))));
    let per_second = match quota {
        None if period.is_none() => return properties,
        None | Some(Limit::Unlimited) => u64::MAX,
        Some(Limit::At(quota)) => {
            let per_second = quota.saturating_mul(1_000_000) / period.unwrap_or(PERIOD).max(1);
            per_second.div_ceil(STEP).saturating_mul(STEP)
        }
    };
    properties.push(("CPUQuotaPerSecUSec", Value::Number(per_second)));
    properties
}

/// The lowest number in the first bit of the first byte, without zeroes at the end.
fn bytes(mask: &kernel::cpu_list::Mask) -> Vec<u8> {
    let mut bytes: Vec<u8> = mask.words().iter().flat_map(|word| word.to_le_bytes()).collect();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::cgroup::{Cpu, Memory};

    #[test]
    fn limits_become_properties() {
        let resources = Resources {
            memory: Memory { limit: Some(Limit::At(100)), swap: Some(Limit::At(150)), ..Memory::default() },
            cpu: Cpu {
                quota: Some(Limit::At(12_345)),
                period: Some(100_000),
                shares: Some(1024),
                cpuset_cpus: Some("0,9".into()),
                ..Cpu::default()
            },
            pids_max: Some(Limit::Unlimited),
            ..Resources::default()
        };
        let expected: Vec<Property> = vec![
            ("MemoryMax", Value::Number(100)),
            ("MemorySwapMax", Value::Number(50)),
            ("CPUWeight", Value::Number(100)),
            ("CPUQuotaPeriodUSec", Value::Number(100_000)),
            ("CPUQuotaPerSecUSec", Value::Number(130_000)),
            ("TasksMax", Value::Number(u64::MAX)),
            ("AllowedCPUs", Value::Bytes(vec![1, 2])),
        ];
        assert_eq!(limits(&resources, true), expected);
        assert_eq!(limits(&resources, false)[0], ("MemoryLimit", Value::Number(100)));
        assert!(limits(&Resources::default(), true).is_empty());
    }

    #[test]
    fn files_become_properties() {
        let check = |named: &[(&str, &str)], expected: &[(&'static str, u64)]| {
            let named: Vec<(String, String)> = named.iter().map(|&(file, value)| (file.into(), value.into())).collect();
            let expected: Vec<Property> = expected.iter().map(|&(name, value)| (name, Value::Number(value))).collect();
            assert_eq!(files(&named), expected, "{named:?}");
        };
        check(&[("memory.min", "4096"), ("memory.high", "max")], &[("MemoryMin", 4096), ("MemoryHigh", u64::MAX)]);
        check(&[("cpu.max", "10000 50000")], &[("CPUQuotaPeriodUSec", 50_000), ("CPUQuotaPerSecUSec", 200_000)]);
        check(&[("cpu.max", "max")], &[("CPUQuotaPeriodUSec", PERIOD), ("CPUQuotaPerSecUSec", u64::MAX)]);
        check(&[("cpu.idle", "1"), ("cpu.weight", "5")], &[("CPUWeight", 0)]);
        check(&[("cpu.idle", "0"), ("cpu.weight", "5")], &[("CPUWeight", 5)]);
        check(&[("memory.max", "much"), ("cpu.max", "1 x"), ("memory.oom.group", "1")], &[]);
        let named = [("cpuset.cpus".to_owned(), "0-1,9".to_owned())];
        assert_eq!(files(&named), [("AllowedCPUs", Value::Bytes(vec![3, 2]))]);
    }
}
