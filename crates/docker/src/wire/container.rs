//! A container as `docker inspect` shows it.
//! Called by `brig inspect`. What has no meaning here carries docker's value for "not used".

use super::host_config::host_config;
use super::size::Sizes;
use super::{list_or_null, network, set_or_null, time, word};
use engine::options::{Mount, MountSource, Typed};
use engine::record::{Record, ResolvedHealth, VolumeUse};
use engine::state::{Health, State, Status};
use engine::{Container, Engine};
use serde_json::{Map, Value, json};

/// The object; with `sizes` also `SizeRw` and `SizeRootFs`.
pub fn inspect(engine: &Engine, container: &Container, sizes: Option<Sizes>) -> Value {
    let record = &container.record;
    let mut argv = record.process.argv().into_iter();
    let path = argv.next().unwrap_or_default();
    let directory = engine.paths().container(container.id());
    let run = engine.paths().run(container.id());
    let file = |name: &str| run.join(name).to_string_lossy().into_owned();
    let mut object = json!({
        "Id": container.id().as_str(),
        "Created": record.created.to_string(),
        "Path": path,
        "Args": argv.collect::<Vec<_>>(),
        "State": state(container),
        "Image": record.image_id.to_string(),
        "ResolvConfPath": file("resolv.conf"),
        "HostnamePath": file("hostname"),
        "HostsPath": file("hosts"),
        "LogPath": directory.join(engine::logs::FILE_NAME).to_string_lossy(),
        "Name": format!("/{}", container.name()),
        "RestartCount": container.state.restart_count,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host_config(&record.options),
        "GraphDriver": { "Data": graph_data(engine, container), "Name": "overlay" },
    });
    if let Value::Object(fields) = &mut object {
        if let Some(sizes) = sizes {
            fields.insert("SizeRw".to_owned(), sizes.writable.into());
            fields.insert("SizeRootFs".to_owned(), sizes.root.into());
        }
        fields.insert("Mounts".to_owned(), Value::Array(mounts(engine, record)));
        fields.insert("Config".to_owned(), config(record));
        fields.insert("NetworkSettings".to_owned(), network::settings(engine, container));
    }
    object
}

fn state(container: &Container) -> Value {
    let state: &State = &container.state;
    let status = container.status();
    let mut object = json!({
        "Status": word::status(status),
        "Running": matches!(status, Status::Running | Status::Paused | Status::Restarting),
        "Paused": status == Status::Paused,
        "Restarting": status == Status::Restarting,
        "OOMKilled": state.oom_killed,
        "Dead": false,
        "Pid": container.pid().unwrap_or(0),
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": time(state.started_at),
        "FinishedAt": time(state.finished_at),
    });
    if let (Value::Object(fields), Some(health)) = (&mut object, &state.health) {
        fields.insert("Health".to_owned(), health_state(health));
    }
    object
}

fn health_state(health: &Health) -> Value {
    let probes: Vec<Value> = health
        .log
        .iter()
        .map(|probe| {
            json!({ "Start": probe.start.to_string(), "End": probe.end.to_string(), "ExitCode": probe.exit_code, "Output": probe.output })
        })
        .collect();
    json!({ "Status": word::health(health.status), "FailingStreak": health.failing_streak, "Log": probes })
}

/// Where the layers are. There is no `MergedDir`: the root file system is mounted in the container's namespace only.
fn graph_data(engine: &Engine, container: &Container) -> Value {
    let work = engine.paths().container(container.id()).join("work");
    match container.layer_directories(engine) {
        Ok((lower, upper)) => {
            let lower: Vec<String> = lower.iter().map(|path| path.to_string_lossy().into_owned()).collect();
            json!({
                "ID": container.id().as_str(),
                "LowerDir": lower.join(":"),
                "UpperDir": upper.to_string_lossy(),
                "WorkDir": work.to_string_lossy(),
            })
        }
        Err(_) => json!({ "ID": container.id().as_str() }),
    }
}

fn mounts(engine: &Engine, record: &Record) -> Vec<Value> {
    let place = |target: &str| target.trim_end_matches('/').to_owned();
    let volumes = record.volumes.iter().map(|volume| {
        json!({
            "Type": "volume",
            "Name": volume.name,
            "Source": engine::volumes::data_path(engine, &volume.name).to_string_lossy(),
            "Destination": place(&volume.target),
            "Driver": "local",
            "Mode": volume_mode(record, volume),
            "RW": !volume.read_only,
            "Propagation": "",
        })
    });
    let others = record.options.storage.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind { path, propagation, .. } => Some(json!({
            "Type": "bind",
            "Source": path,
            "Destination": place(&mount.target),
            "Mode": mode(mount),
            "RW": !mount.read_only,
            "Propagation": if propagation.is_empty() { "rprivate" } else { propagation },
        })),
        // Docker lists those of --mount and leaves out those of --tmpfs.
        MountSource::Tmpfs { .. } if mount.typed != Typed::Tmpfs => Some(json!({
            "Type": "tmpfs",
            "Source": "",
            "Destination": place(&mount.target),
            "Mode": "",
            "RW": !mount.read_only,
            "Propagation": "",
        })),
        _ => None,
    });
    volumes.chain(others).collect()
}

/// The words behind the second colon of `-v`.
fn mode(mount: &Mount) -> &str {
    if let Typed::Volume { mode } = &mount.typed { mode } else { "" }
}

/// Docker gives volumes `z` where no mode was typed, unless nothing but a place was named, by `-v` or by the image.
fn volume_mode<'a>(record: &'a Record, volume: &VolumeUse) -> &'a str {
    match record.options.storage.mounts.iter().find(|mount| mount.target == volume.target) {
        None => "",
        Some(mount) if is_bare(mount) => "",
        Some(mount) if mode(mount).is_empty() => "z",
        Some(mount) => mode(mount),
    }
}

/// `-v /place`
fn is_bare(mount: &Mount) -> bool {
    matches!((&mount.typed, &mount.source), (Typed::Volume { .. }, MountSource::Volume { name: None, .. }))
}

fn config(record: &Record) -> Value {
    let (options, process) = (&record.options, &record.process);
    let mut object = json!({
        "Hostname": process.hostname,
        "Domainname": options.namespaces.domainname.as_deref().unwrap_or_default(),
        "User": process.user,
        "AttachStdin": options.process.attach_stdin,
        "AttachStdout": options.process.attach_stdout,
        "AttachStderr": options.process.attach_stderr,
    });
    let Value::Object(fields) = &mut object else { return object };
    let mut put = |name: &str, value: Value| _ = fields.insert(name.to_owned(), value);
    if !process.exposed_ports.is_empty() {
        put("ExposedPorts", set_or_null(process.exposed_ports.iter()));
    }
    put("Tty", options.process.tty.into());
    put("OpenStdin", options.process.stdin_open.into());
    put("StdinOnce", (options.process.stdin_open && options.process.attach_stdin).into());
    put("Env", Value::from(process.env.clone()));
    put("Cmd", list_or_null(&process.command));
    if let Some(health) = &process.health {
        put("Healthcheck", healthcheck(health));
    }
    put("Image", options.image.as_str().into());
    let bare = options.storage.mounts.iter().filter(|mount| is_bare(mount)).map(|mount| &mount.target);
    put("Volumes", set_or_null(process.image_volumes.iter().chain(bare)));
    put("WorkingDir", process.workdir.as_str().into());
    put("Entrypoint", list_or_null(&process.entrypoint));
    put("OnBuild", Value::Null);
    put("Labels", json!(process.labels));
    if !process.stop_signal.is_empty() {
        put("StopSignal", process.stop_signal.as_str().into());
    }
    if let Some(seconds) = options.lifecycle.stop_timeout_seconds {
        put("StopTimeout", seconds.into());
    }
    object
}

fn healthcheck(health: &ResolvedHealth) -> Value {
    let mut object = Map::new();
    object.insert("Test".to_owned(), Value::from(health.test.clone()));
    let times = [
        ("Interval", health.interval_nanoseconds),
        ("Timeout", health.timeout_nanoseconds),
        ("StartPeriod", health.start_period_nanoseconds),
        ("StartInterval", health.start_interval_nanoseconds),
        ("Retries", i64::from(health.retries)),
    ];
    for (name, value) in times {
        if value != 0 {
            object.insert(name.to_owned(), value.into());
        }
    }
    Value::Object(object)
}
