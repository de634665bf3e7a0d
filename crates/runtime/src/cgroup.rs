//! What the specification says about resources, as `kernel::cgroup` wants it. Called by whoever makes
//! or changes a container's cgroup; a pure conversion, whether the limits can be had is the kernel's to say.

use kernel::cgroup::{Access, Cpu, DeviceKind, DeviceRule, Limit, Memory, Resources};

/// Numbers of 0 and empty lists were not asked for, as in runc (config-linux.md leaves it open).
pub fn resources(resources: &spec::runtime::Resources) -> Resources {
    Resources {
        memory: resources.memory.as_ref().map(memory).unwrap_or_default(),
        cpu: resources.cpu.as_ref().map(cpu).unwrap_or_default(),
        pids_max: resources.pids.as_ref().and_then(|pids| limit(pids.limit)),
        blkio_weight: resources.block_io.as_ref().and_then(|block_io| block_io.weight).filter(|weight| *weight != 0),
        devices: resources.devices.iter().map(device_rule).collect(),
        unified: resources.unified.iter().map(|(file, value)| (file.clone(), value.clone())).collect(),
    }
}

fn memory(memory: &spec::runtime::Memory) -> Memory {
    Memory {
        limit: limit(memory.limit),
        reservation: limit(memory.reservation),
        swap: limit(memory.swap),
        swappiness: memory.swappiness,
        oom_kill_disable: memory.disable_oom_killer,
    }
}

fn cpu(cpu: &spec::runtime::Cpu) -> Cpu {
    let list = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Cpu {
        shares: cpu.shares.filter(|shares| *shares != 0),
        quota: limit(cpu.quota),
        period: cpu.period.filter(|period| *period != 0),
        cpuset_cpus: list(&cpu.cpus),
        cpuset_mems: list(&cpu.mems),
    }
}

fn limit(value: Option<i64>) -> Option<Limit> {
    value.filter(|value| *value != 0).map(Limit::from_signed)
}

/// A rule that makes no sense gets no access at all, which the kernel module refuses by name. Nothing
/// is dropped: a lost "deny" would open a device.
fn device_rule(rule: &spec::runtime::DeviceRule) -> DeviceRule {
    let (kind, known_kind) = match rule.kind {
        'a' => (DeviceKind::All, true),
        'b' => (DeviceKind::Block, true),
        'c' | 'u' => (DeviceKind::Character, true),
        _ => (DeviceKind::Character, false),
    };
    // Negative is any, as runc has it.
    let number = |value: Option<i64>| value.filter(|value| *value >= 0).map(u32::try_from).transpose();
    let (major, minor) = (number(rule.major), number(rule.minor));
    let access = Access::parse(&rule.access).filter(|_| known_kind && major.is_ok() && minor.is_ok());
    DeviceRule {
        allow: rule.allow,
        kind,
        major: major.unwrap_or_default(),
        minor: minor.unwrap_or_default(),
        access: access.unwrap_or(Access::NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime as oci;

    fn rule(allow: bool, kind: char, major: Option<i64>, minor: Option<i64>, access: &str) -> oci::DeviceRule {
        oci::DeviceRule { allow, kind, major, minor, access: access.to_owned() }
    }

    #[test]
    fn zero_and_empty_are_not_asked_for() {
        let zeroes = oci::Resources {
            memory: Some(oci::Memory { limit: Some(0), swap: Some(0), ..oci::Memory::default() }),
            cpu: Some(oci::Cpu { shares: Some(0), quota: Some(0), period: Some(0), ..oci::Cpu::default() }),
            pids: Some(oci::Pids { limit: Some(0) }),
            block_io: Some(oci::BlockIo { weight: Some(0), ..oci::BlockIo::default() }),
            ..oci::Resources::default()
        };
        assert_eq!(resources(&zeroes), Resources::default());
    }

    #[test]
    fn negative_is_unlimited() {
        let asked = oci::Resources {
            memory: Some(oci::Memory { limit: Some(1 << 20), swap: Some(-1), ..oci::Memory::default() }),
            pids: Some(oci::Pids { limit: Some(-1) }),
            ..oci::Resources::default()
        };
        let converted = resources(&asked);
        assert_eq!(converted.memory.limit, Some(Limit::At(1 << 20)));
        assert_eq!(converted.memory.swap, Some(Limit::Unlimited));
        assert_eq!(converted.pids_max, Some(Limit::Unlimited));
    }

    #[test]
    fn device_rules_keep_their_meaning_or_are_refused() {
        let check = |oci: oci::DeviceRule, kind, major, minor, access: &str| {
            let expected = DeviceRule { allow: oci.allow, kind, major, minor, access: Access::parse(access).unwrap() };
            assert_eq!(device_rule(&oci), expected);
        };
        check(rule(true, 'c', Some(1), Some(3), "rwm"), DeviceKind::Character, Some(1), Some(3), "rwm");
        check(rule(true, 'c', Some(136), None, "rw"), DeviceKind::Character, Some(136), None, "rw");
        check(rule(true, 'b', Some(-1), Some(-1), "m"), DeviceKind::Block, None, None, "m");
        check(rule(false, 'a', None, None, "rwm"), DeviceKind::All, None, None, "rwm");
        check(rule(false, 'x', Some(1), Some(3), "rwm"), DeviceKind::Character, Some(1), Some(3), "");
        check(rule(false, 'c', Some(1 << 40), Some(3), "rwm"), DeviceKind::Character, None, Some(3), "");
        check(rule(false, 'c', Some(1), Some(3), "rq"), DeviceKind::Character, Some(1), Some(3), "");
    }
}
