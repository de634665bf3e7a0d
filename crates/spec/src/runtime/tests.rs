//! Documents survive being read and written: by example, and with random values in every field.

use super::*;
use proptest::prelude::*;

/// What `runc spec` and engines write, in small, with every field of the specification for Linux.
const WHOLE: &str = r#"{
  "ociVersion": "1.3.0",
  "process": {
    "terminal": true, "consoleSize": {"height": 24, "width": 80},
    "user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [3, 4]},
    "args": ["sh", "-c", "true"], "env": ["A=b"], "cwd": "/",
    "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "inheritable": ["CAP_CHOWN"],
      "permitted": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 18446744073709551615, "soft": 1024}],
    "noNewPrivileges": true, "apparmorProfile": "p", "oomScoreAdj": -1,
    "scheduler": {"policy": "SCHED_DEADLINE", "nice": -3, "priority": 1, "flags": ["SCHED_FLAG_RECLAIM"],
      "runtime": 1, "deadline": 2, "period": 3},
    "selinuxLabel": "l", "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
    "execCPUAffinity": {"initial": "0", "final": "0-1"}
  },
  "root": {"path": "rootfs", "readonly": true}, "hostname": "h", "domainname": "d",
  "mounts": [{"destination": "/m", "type": "bind", "source": "/s", "options": ["ro", "idmap"],
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
    "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}],
  "hooks": {"prestart": [{"path": "/p", "args": ["p"], "env": ["X=1"], "timeout": 5}], "createRuntime": [{"path": "/p"}],
    "createContainer": [{"path": "/p"}], "startContainer": [{"path": "/p"}], "poststart": [{"path": "/p"}],
    "poststop": [{"path": "/p"}]},
  "annotations": {"org.example": "x"},
  "linux": {
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
    "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
    "sysctl": {"net.core.somaxconn": "256"},
    "resources": {
      "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}],
      "memory": {"limit": 1, "reservation": 2, "swap": 3, "kernel": 4, "kernelTCP": 5, "swappiness": 6,
        "disableOOMKiller": true, "useHierarchy": false, "checkBeforeUpdate": true},
      "cpu": {"shares": 1, "quota": -1, "burst": 2, "period": 3, "realtimeRuntime": 4, "realtimePeriod": 5, "cpus": "0",
        "mems": "0", "idle": 1},
      "pids": {"limit": 5},
      "blockIO": {"weight": 10, "leafWeight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 1, "leafWeight": 2}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}],
        "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 1}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 1}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 1}]},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 9}],
      "network": {"classID": 7, "priorities": [{"name": "lo", "priority": 3}]},
      "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 4}},
      "unified": {"memory.high": "max"}
    },
    "cgroupsPath": "/a/b",
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/n"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
      {"type": "user"}, {"type": "cgroup"}, {"type": "time"}],
    "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
    "netDevices": {"eth0": {"name": "c0"}, "eth1": {}},
    "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
      "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/s", "listenerMetadata": "m",
      "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
        "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]},
    "rootfsPropagation": "slave", "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"], "mountLabel": "l",
    "intelRdt": {"closID": "c", "schemata": ["L3:0=f"], "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=10",
      "enableMonitoring": true},
    "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
    "personality": {"domain": "LINUX32", "flags": ["F"]},
    "timeOffsets": {"boottime": {}, "monotonic": {"secs": -5, "nanosecs": 7}}
  }
}"#;

#[test]
fn every_field_comes_back() {
    let before: Value = serde_json::from_str(WHOLE).unwrap();
    let spec = Spec::parse(WHOLE.as_bytes()).unwrap();
    let after = serde_json::to_value(&spec).unwrap();
    assert_eq!(before, after);
    // In the same order too, so that a document that is only passed on does not change.
    assert_eq!(before.to_string(), after.to_string());
}

#[test]
fn null_is_absent_and_unknown_fields_are_ignored() {
    let text = r#"{"ociVersion": "1.0.2", "mounts": null, "annotations": null, "process": {"args": ["a"], "env": null,
        "cwd": "/", "user": {"uid": 0, "gid": 0, "additionalGids": null}}, "linux": {"devices": null, "later": 1}}"#;
    let spec = Spec::parse(text.as_bytes()).unwrap();
    assert!(spec.mounts.is_empty() && spec.linux.unwrap().devices.is_empty());
    assert!(Spec::parse(br#"{"ociVersion": "1.0.2", "process": 5}"#).is_err());
    assert!(Spec::parse(br#"{"hostname": null}"#).is_err());
    assert!(Spec::parse(b"{").is_err());
}

/// A value of the same shape with other contents.
fn changed(value: &Value) -> BoxedStrategy<Value> {
    match value {
        // Those texts that are one of a few words, or one letter, stay.
        Value::String(text) if text.len() == 1 || text.chars().all(|c| c.is_ascii_lowercase()) => {
            Just(value.clone()).boxed()
        }
        Value::String(_) => "[a-zA-Z0-9/=:_ ]{2,12}".prop_map(Value::String).boxed(),
        Value::Number(_) => (1u16..1000).prop_map(Value::from).boxed(),
        Value::Array(items) => {
            let one = items.first().map_or(Just(Value::Null).boxed(), changed);
            prop::collection::vec(one, 1..4).prop_map(Value::Array).boxed()
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(key, field)| (Just(key.clone()), changed(field))).collect();
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())).boxed()
        }
        other => Just(other.clone()).boxed(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn round_trip(document in changed(&serde_json::from_str(WHOLE).unwrap())) {
        let spec = Spec::parse(document.to_string().as_bytes()).unwrap();
        prop_assert_eq!(serde_json::to_value(&spec).unwrap(), document);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}", cut in 0usize..3000) {
        let _ = Spec::parse(text.as_bytes());
        let _ = Spec::parse(WHOLE.get(..cut).unwrap_or("").as_bytes());
    }
}
