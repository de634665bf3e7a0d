//! `HostConfig`: what was asked of the container, as docker's API has it. Called by `container.rs` alone.
//! Rebuilds from the options what was typed: `Binds` from `-v`, `Mounts` from `--mount`.

use super::list_or_null;
use engine::defaults::paths;
use engine::options::{Ipc, LogDriver, Mount, MountSource, Options, Resources, Restart, Seccomp, Sharing, Typed};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const SHM_BYTES: u64 = 64 << 20;

/// The object.
pub fn host_config(options: &Options) -> Value {
    let (security, namespaces) = (&options.security, &options.namespaces);
    let mut fields = Map::new();
    add(&mut fields, asked(options));
    let structured: Vec<Value> = options.storage.mounts.iter().filter_map(structured).collect();
    let tmpfs = tmpfs(&options.storage.mounts);
    if !tmpfs.is_empty() {
        fields.insert("Tmpfs".to_owned(), json!(tmpfs));
    }
    add(
        &mut fields,
        json!({
            "UTSMode": if namespaces.uts_host { "host" } else { "" },
            "UsernsMode": if namespaces.userns_host { "host" } else { "" },
            "ShmSize": options.storage.shm_size_bytes.unwrap_or(SHM_BYTES),
        }),
    );
    if !security.sysctls.is_empty() {
        fields.insert("Sysctls".to_owned(), json!(security.sysctls));
    }
    fields.insert("Runtime".to_owned(), options.runtime.as_deref().unwrap_or("brig").into());
    fields.insert("Isolation".to_owned(), "".into());
    add(&mut fields, resources(options));
    if !structured.is_empty() {
        fields.insert("Mounts".to_owned(), Value::Array(structured));
    }
    let masked: Vec<&str> = paths::MASKED.iter().chain(&paths::MASKED_POWER).copied().collect();
    let unless_privileged = |paths: Value| if security.privileged { Value::Null } else { paths };
    fields.insert("MaskedPaths".to_owned(), unless_privileged(json!(masked)));
    fields.insert("ReadonlyPaths".to_owned(), unless_privileged(json!(paths::READ_ONLY)));
    if options.process.init {
        fields.insert("Init".to_owned(), true.into());
    }
    Value::Object(fields)
}

fn add(fields: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
}

/// Up to `SecurityOpt`.
fn asked(options: &Options) -> Value {
    let (security, namespaces, lifecycle) = (&options.security, &options.namespaces, &options.lifecycle);
    let binds: Vec<String> = options.storage.mounts.iter().filter_map(bind).collect();
    let (restart, retries) = match lifecycle.restart {
        Restart::No => ("no", 0),
        Restart::Always => ("always", 0),
        Restart::UnlessStopped => ("unless-stopped", 0),
        Restart::OnFailure { maximum_retries } => ("on-failure", maximum_retries),
    };
    let mut object = json!({
        "Binds": list_or_null(&binds),
        "ContainerIDFile": "",
        "LogConfig": {
            "Type": match options.log.driver { LogDriver::JsonFile => "json-file", LogDriver::None => "none" },
            "Config": options.log.options,
        },
        "NetworkMode": engine::network::mode(options),
        "PortBindings": port_bindings(options),
        "RestartPolicy": { "Name": restart, "MaximumRetryCount": retries },
        "AutoRemove": lifecycle.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": null,
        "ConsoleSize": options.process.console_size.map_or([0, 0], |(width, height)| [height, width]),
    });
    if let (Value::Object(fields), false) = (&mut object, options.annotations.is_empty()) {
        fields.insert("Annotations".to_owned(), json!(options.annotations));
    }
    let rest = json!({
        "CapAdd": capabilities(&security.cap_add),
        "CapDrop": capabilities(&security.cap_drop),
        "CgroupnsMode": if namespaces.cgroup_host { "host" } else { "private" },
        "Dns": options.networking.dns,
        "DnsOptions": options.networking.dns_options,
        "DnsSearch": options.networking.dns_search,
        "ExtraHosts": list_or_null(&options.networking.extra_hosts),
        "GroupAdd": list_or_null(&options.process.group_add),
        "IpcMode": ipc(&namespaces.ipc),
        "Cgroup": "",
        "Links": list_or_null(&options.networking.links),
        "OomScoreAdj": options.resources.oom_score_adj.unwrap_or(0),
        "PidMode": match &namespaces.pid {
            Sharing::Private => String::new(),
            Sharing::Host => "host".to_owned(),
            Sharing::Container(name) => format!("container:{name}"),
        },
        "Privileged": security.privileged,
        "PublishAllPorts": options.networking.publish_all,
        "ReadonlyRootfs": options.storage.read_only,
        "SecurityOpt": list_or_null(&security_options(options)),
    });
    if let Value::Object(fields) = &mut object {
        add(fields, rest);
    }
    object
}

/// As asked: a port that the kernel is to choose is 0.
fn port_bindings(options: &Options) -> Value {
    let mut bindings = Map::new();
    for one in &options.networking.publish {
        let (first, last) = one.host_ports;
        let port = match (first, last) {
            (0, 0) => String::new(),
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let address = one.host_address.map(|address| address.to_string()).unwrap_or_default();
        let binding = json!({ "HostIp": address, "HostPort": port });
        let key = format!("{}/{}", one.container_port, one.protocol);
        match bindings.entry(key).or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(binding),
            other => *other = json!([binding]),
        }
    }
    Value::Object(bindings)
}

fn ipc(ipc: &Ipc) -> String {
    match ipc {
        Ipc::Private => "private".to_owned(),
        Ipc::Shareable => "shareable".to_owned(),
        Ipc::None => "none".to_owned(),
        Ipc::Host => "host".to_owned(),
        Ipc::Container(name) => format!("container:{name}"),
    }
}

/// With `CAP_` and in capitals, as docker normalises them.
fn capabilities(names: &[String]) -> Value {
    let normal = |name: &String| match name.to_ascii_uppercase() {
        upper if upper == "ALL" || upper.starts_with("CAP_") => upper,
        upper => format!("CAP_{upper}"),
    };
    list_or_null(&names.iter().map(normal).collect::<Vec<_>>())
}

fn security_options(options: &Options) -> Vec<String> {
    let mut list = Vec::new();
    if options.security.no_new_privileges {
        list.push("no-new-privileges".to_owned());
    }
    match &options.security.seccomp {
        Seccomp::Default => {}
        Seccomp::Unconfined => list.push("seccomp=unconfined".to_owned()),
        Seccomp::Profile(profile) => list.push(format!("seccomp={profile}")),
    }
    list
}

/// A mount of `-v`, as typed. Those without a source are in `Config.Volumes`.
fn bind(mount: &Mount) -> Option<String> {
    let Typed::Volume { mode } = &mount.typed else { return None };
    let source = match &mount.source {
        MountSource::Bind { path, .. } => path,
        MountSource::Volume { name, .. } => name.as_ref()?,
        MountSource::Tmpfs { .. } => return None,
    };
    let colon = if mode.is_empty() { "" } else { ":" };
    Some(format!("{source}:{}{colon}{mode}", mount.target))
}

/// A mount of `--mount`: what was asked for, without the defaults.
fn structured(mount: &Mount) -> Option<Value> {
    let Typed::Mount { consistency } = &mount.typed else { return None };
    let (kind, source, group, options) = match &mount.source {
        MountSource::Bind { path, propagation, non_recursive, .. } => {
            let options = asked_only([
                (!propagation.is_empty(), "Propagation", json!(propagation)),
                (*non_recursive, "NonRecursive", json!(true)),
            ]);
            ("bind", path.as_str(), "BindOptions", options)
        }
        MountSource::Volume { name, copy, labels, driver, driver_options } => {
            let driver = asked_only([
                (!driver.is_empty(), "Name", json!(driver)),
                (!driver_options.is_empty(), "Options", json!(driver_options)),
            ]);
            let mut options =
                asked_only([(!copy, "NoCopy", json!(true)), (!labels.is_empty(), "Labels", json!(labels))]);
            // There whenever anything of its group was asked for.
            if !options.is_empty() || !driver.is_empty() {
                options.insert("DriverConfig".to_owned(), Value::Object(driver));
            }
            ("volume", name.as_deref().unwrap_or_default(), "VolumeOptions", options)
        }
        MountSource::Tmpfs { size_bytes, mode, .. } => {
            let options = asked_only([
                (size_bytes.is_some(), "SizeBytes", json!(size_bytes)),
                (mode.is_some(), "Mode", json!(mode)),
            ]);
            ("tmpfs", "", "TmpfsOptions", options)
        }
    };
    Some(Value::Object(asked_only([
        (true, "Type", json!(kind)),
        (!source.is_empty(), "Source", json!(source)),
        (true, "Target", json!(mount.target)),
        (mount.read_only, "ReadOnly", json!(true)),
        (!consistency.is_empty(), "Consistency", json!(consistency)),
        (!options.is_empty(), group, Value::Object(options)),
    ])))
}

/// The fields whose condition holds.
fn asked_only<const N: usize>(fields: [(bool, &str, Value); N]) -> Map<String, Value> {
    fields.into_iter().filter(|(asked, ..)| *asked).map(|(_, name, value)| (name.to_owned(), value)).collect()
}

/// Those of `--tmpfs`, with their options.
fn tmpfs(mounts: &[Mount]) -> BTreeMap<&str, String> {
    let own = mounts.iter().filter_map(|mount| match (&mount.typed, &mount.source) {
        (Typed::Tmpfs, MountSource::Tmpfs { options, .. }) => Some((mount.target.as_str(), options.join(","))),
        _ => None,
    });
    own.collect()
}

fn resources(options: &Options) -> Value {
    let asked = &options.resources;
    let devices: Vec<Value> = options
        .security
        .devices
        .iter()
        .map(|device| {
            json!({ "PathOnHost": device.host_path, "PathInContainer": device.container_path, "CgroupPermissions": device.permissions })
        })
        .collect();
    json!({
        "CpuShares": asked.cpu_shares.unwrap_or(0),
        "Memory": asked.memory_bytes.unwrap_or(0),
        "NanoCpus": asked.nano_cpus.unwrap_or(0),
        "CgroupParent": "",
        "BlkioWeight": asked.blkio_weight.unwrap_or(0),
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": asked.cpu_period_microseconds.unwrap_or(0),
        "CpuQuota": asked.cpu_quota_microseconds.unwrap_or(0),
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": asked.cpuset_cpus.as_deref().unwrap_or_default(),
        "CpusetMems": asked.cpuset_mems.as_deref().unwrap_or_default(),
        "Devices": devices,
        "DeviceCgroupRules": null,
        "DeviceRequests": null,
        "MemoryReservation": asked.memory_reservation_bytes.unwrap_or(0),
        "MemorySwap": memory_swap(asked),
        "MemorySwappiness": asked.memory_swappiness,
        "OomKillDisable": asked.oom_kill_disable,
        "PidsLimit": asked.pids_limit,
        "Ulimits": asked.ulimits.iter().map(|limit| json!({ "Name": limit.name, "Hard": signed(limit.hard), "Soft": signed(limit.soft) })).collect::<Vec<_>>(),
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    })
}

/// Docker's default: as much swap as memory.
fn memory_swap(asked: &Resources) -> i64 {
    let default = asked.memory_bytes.map_or(0, |memory| memory.saturating_mul(2));
    asked.memory_swap_bytes.unwrap_or(default)
}

/// Unlimited is -1.
fn signed(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::options::Ulimit;

    #[test]
    fn mounts_as_typed() {
        let source = |name: Option<&str>, copy| MountSource::Volume {
            name: name.map(str::to_owned),
            copy,
            labels: BTreeMap::new(),
            driver: String::new(),
            driver_options: BTreeMap::new(),
        };
        let mount = |source, typed| Mount { target: "/d".to_owned(), read_only: true, source, typed };
        let short = Typed::Volume { mode: "nocopy,ro".to_owned() };
        let long = Typed::Mount { consistency: String::new() };
        let named = mount(source(Some("v1"), false), short.clone());
        assert_eq!((bind(&named).as_deref(), structured(&named)), (Some("v1:/d:nocopy,ro"), None));
        assert_eq!(bind(&mount(source(None, true), short)), None);
        let named = mount(source(Some("v1"), false), long.clone());
        assert_eq!(bind(&named), None);
        assert_eq!(
            structured(&named).unwrap().to_string(),
            r#"{"Type":"volume","Source":"v1","Target":"/d","ReadOnly":true,"VolumeOptions":{"NoCopy":true,"DriverConfig":{}}}"#
        );
        let anonymous = structured(&mount(source(None, true), long)).unwrap();
        assert_eq!(anonymous.to_string(), r#"{"Type":"volume","Target":"/d","ReadOnly":true}"#);
    }

    #[test]
    fn docker_defaults() {
        let value = host_config(&Options::default());
        assert_eq!(
            (&value["Binds"], &value["CapAdd"], &value["PidsLimit"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(value["RestartPolicy"], json!({ "Name": "no", "MaximumRetryCount": 0 }));
        assert_eq!(value["ShmSize"], 67_108_864);
        assert!(value.get("Init").is_none() && value.get("Tmpfs").is_none());
    }

    #[test]
    fn limits() {
        let mut options = Options::default();
        options.resources.memory_bytes = Some(100);
        options.resources.ulimits = vec![Ulimit { name: "nofile".to_owned(), soft: 1, hard: u64::MAX }];
        options.security.cap_add = vec!["net_admin".to_owned(), "all".to_owned()];
        let value = host_config(&options);
        assert_eq!(value["MemorySwap"], 200);
        assert_eq!(value["Ulimits"], json!([{ "Name": "nofile", "Hard": -1, "Soft": 1 }]));
        assert_eq!(value["CapAdd"], json!(["CAP_NET_ADMIN", "ALL"]));
    }
}
