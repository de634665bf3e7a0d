//! What the specification says about resources, as `kernel::cgroup` wants it, and which group its `cgroupsPath` means.
//! Called by whoever makes or changes a container's cgroup; a conversion, whether the limits can be had is the
//! kernel's to say.

use crate::error::{Result, invalid};
use kernel::cgroup::{
    Access, Blkio, BlockDevice, Cpu, DeviceKind, DeviceRule, DeviceWeight, Layout, Limit, Memory, Network, Rdma,
    Resources, Throttle, ThrottleKind,
};
use spec::runtime::NamespaceKind;
use std::path::{Component, Path, PathBuf};

/// Numbers of 0 and empty lists were not asked for, as in runc (config-linux.md leaves it open).
pub fn resources(resources: &spec::runtime::Resources) -> Resources {
    let hugepage = |limit: &spec::runtime::HugepageLimit| (limit.page_size.clone(), Limit::At(limit.limit));
    Resources {
        memory: resources.memory.as_ref().map(memory).unwrap_or_default(),
        cpu: resources.cpu.as_ref().map(cpu).unwrap_or_default(),
        pids_max: resources.pids.as_ref().and_then(|pids| limit(pids.limit)),
        blkio: resources.block_io.as_ref().map(blkio).unwrap_or_default(),
        hugepages: resources.hugepage_limits.iter().map(hugepage).collect(),
        network: resources.network.as_ref().map(network).unwrap_or_default(),
        rdma: resources.rdma.iter().map(rdma).collect(),
        devices: resources.devices.iter().map(device_rule).collect(),
        unified: resources.unified.iter().map(|(file, value)| (file.clone(), value.clone())).collect(),
    }
}

/// Of a container from a bundle: with the devices that every container has (config-linux.md, default devices) allowed,
/// whatever the rules say of them, as runc and crun do. Without them `/dev/null` could not be opened.
pub fn resources_of_bundle(asked: Option<&spec::runtime::Resources>) -> Resources {
    let mut all = asked.map(resources).unwrap_or_default();
    let rule = |kind, major, minor, access| DeviceRule { allow: true, kind, major, minor, access };
    // What no rule speaks of is forbidden, also in a container without rules.
    all.devices.insert(0, DeviceRule { allow: false, ..rule(DeviceKind::All, None, None, Access::ALL) });
    let nodes = [DeviceKind::Character, DeviceKind::Block].map(|kind| rule(kind, None, None, Access::MKNOD));
    // null, zero, full, random, urandom; tty and ptmx; the terminals of devpts.
    let memory = [3, 5, 7, 8, 9].map(|minor| (1, Some(minor)));
    let terminals = [(5, Some(0)), (5, Some(2)), (136, None)];
    let used = memory.into_iter().chain(terminals);
    let used = used.map(|(major, minor)| rule(DeviceKind::Character, Some(major), minor, Access::ALL));
    all.devices.extend(nodes.into_iter().chain(used));
    all
}

/// Whom the group is to be handed over to ([`kernel::cgroup::Cgroup::delegate`]): root of the container's user namespace, as
/// the host counts, if the container sees the group as its own and may write to it (config-linux.md, cgroup ownership).
pub fn owner(spec: &spec::runtime::Spec) -> Option<u32> {
    let linux = spec.linux.as_ref()?;
    let is_own = linux.namespaces.iter().any(|one| one.kind == NamespaceKind::Cgroup && one.path.is_empty());
    let writable = spec.mounts.iter().any(|mount| {
        let is_cgroup = matches!(mount.kind.as_str(), "cgroup" | "cgroup2");
        is_cgroup && !mount.options.iter().any(|option| option == "ro" || option == "rro")
    });
    let root = linux.uid_mappings.iter().find(|mapping| mapping.container_id == 0)?;
    (is_own && writable).then_some(root.host_id)
}

/// The group that `path`, the specification's `cgroupsPath`, means for container `id`: an absolute one counts from the
/// root of the hierarchies, a relative one from where the caller is, and none is one named for the container there. On
/// version 2 from the group above: the one with the caller in it cannot have limits beneath (cgroups(7)).
pub fn name(layout: &Layout, path: &str, id: &str) -> Result<String> {
    let clean = clean(path);
    if path.starts_with('/') {
        if clean.as_os_str().is_empty() {
            return Err(invalid("cgroupsPath / is the root of all groups: name one beneath it"));
        }
        return text(&clean);
    }
    let own = layout.own_group()?;
    let mut parent = Path::new(&own);
    if layout.is_v2() {
        parent = parent.parent().unwrap_or(Path::new(""));
    }
    let relative = if clean.as_os_str().is_empty() { Path::new(id) } else { &clean };
    text(&parent.join(relative))
}

/// Without `.`, and `..` never leads above the start.
fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| invalid(format!("cgroup {path:?} is no text")))
}

fn memory(memory: &spec::runtime::Memory) -> Memory {
    Memory {
        limit: limit(memory.limit),
        reservation: limit(memory.reservation),
        swap: limit(memory.swap),
        swappiness: memory.swappiness,
        oom_kill_disable: memory.disable_oom_killer,
        kernel_tcp: limit(memory.kernel_tcp),
        hierarchy: memory.use_hierarchy,
        check_before_update: memory.check_before_update,
        // `kernel` is deprecated and may be ignored, says the specification: no kernel of ours has it (gone in 5.16).
    }
}

fn cpu(cpu: &spec::runtime::Cpu) -> Cpu {
    let list = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Cpu {
        shares: cpu.shares.filter(|shares| *shares != 0),
        quota: limit(cpu.quota),
        period: cpu.period.filter(|period| *period != 0),
        burst: cpu.burst,
        realtime_runtime: cpu.realtime_runtime.filter(|runtime| *runtime != 0),
        realtime_period: cpu.realtime_period.filter(|period| *period != 0),
        idle: cpu.idle,
        cpuset_cpus: list(&cpu.cpus),
        cpuset_mems: list(&cpu.mems),
    }
}

fn blkio(block_io: &spec::runtime::BlockIo) -> Blkio {
    let throttles = [
        (&block_io.throttle_read_bps_device, ThrottleKind::ReadBytes),
        (&block_io.throttle_write_bps_device, ThrottleKind::WriteBytes),
        (&block_io.throttle_read_iops_device, ThrottleKind::ReadOperations),
        (&block_io.throttle_write_iops_device, ThrottleKind::WriteOperations),
    ];
    let throttle = |kind| {
        move |asked: &spec::runtime::ThrottleDevice| Throttle {
            device: block_device(asked.major, asked.minor),
            kind,
            rate: asked.rate,
        }
    };
    let weight = |asked: &spec::runtime::WeightDevice| DeviceWeight {
        device: block_device(asked.major, asked.minor),
        weight: asked.weight,
        leaf_weight: asked.leaf_weight,
    };
    Blkio {
        weight: block_io.weight.filter(|weight| *weight != 0),
        leaf_weight: block_io.leaf_weight.filter(|weight| *weight != 0),
        device_weights: block_io.weight_device.iter().map(weight).collect(),
        throttles: throttles.into_iter().flat_map(|(list, kind)| list.iter().map(throttle(kind))).collect(),
    }
}

/// A number that no device has is refused by the kernel, which says so.
fn block_device(major: i64, minor: i64) -> BlockDevice {
    BlockDevice { major: u32::try_from(major).unwrap_or(u32::MAX), minor: u32::try_from(minor).unwrap_or(u32::MAX) }
}

fn network(network: &spec::runtime::NetworkClass) -> Network {
    Network {
        class: network.class_id,
        priorities: network.priorities.iter().map(|entry| (entry.name.clone(), entry.priority)).collect(),
    }
}

fn rdma((device, limits): (&String, &spec::runtime::Rdma)) -> Rdma {
    Rdma { device: device.clone(), handles: limits.hca_handles, objects: limits.hca_objects }
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
    // An `a`, "all" in the files of version 1, stands in documents and means nothing there, as runc reads them.
    let letters = rule.access.replace('a', "");
    let access = Access::parse(&letters).filter(|_| known_kind && major.is_ok() && minor.is_ok());
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
    fn a_bundle_has_the_default_devices() {
        let denied = oci::Resources { devices: vec![rule(false, 'a', None, None, "rwm")], ..oci::Resources::default() };
        let all = resources_of_bundle(Some(&denied));
        assert!(all.devices[..2].iter().all(|rule| !rule.allow));
        assert!(all.devices[2..].iter().all(|rule| rule.allow));
        assert_eq!(all.devices.len(), 12);
    }

    #[test]
    fn a_group_is_handed_to_who_may_write_to_it() {
        let spec = |options: &[&str], kinds: &[NamespaceKind]| oci::Spec {
            mounts: vec![oci::Mount {
                destination: "/sys/fs/cgroup".into(),
                kind: "cgroup".into(),
                options: options.iter().map(|option| (*option).to_owned()).collect(),
                ..oci::Mount::default()
            }],
            linux: Some(oci::Linux {
                namespaces: kinds.iter().map(|kind| oci::Namespace { kind: *kind, path: String::new() }).collect(),
                uid_mappings: vec![oci::IdMapping { container_id: 0, host_id: 1000, size: 1 }],
                ..oci::Linux::default()
            }),
            ..oci::Spec::default()
        };
        assert_eq!(owner(&spec(&["rw"], &[NamespaceKind::Cgroup])), Some(1000));
        assert_eq!(owner(&spec(&["ro"], &[NamespaceKind::Cgroup])), None);
        assert_eq!(owner(&spec(&["rw"], &[])), None);
    }

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(clean("/a/../../b/./c"), Path::new("b/c"));
        assert_eq!(clean("a"), Path::new("a"));
        assert_eq!(clean("/"), Path::new(""));
        let layout = Layout::V2("/nonexistent".into());
        assert_eq!(name(&layout, "/a/../x", "id").unwrap(), "x");
        assert!(name(&layout, "/..", "id").is_err());
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
