//! An image as `docker image inspect` shows it.
//! Called by `brig inspect`; reads sizes and paths from the store.

use super::{list_or_null, set_or_null, time};
use engine::Engine;
use image::Image;
use serde_json::{Map, Value, json};
use spec::image::{Config, Healthcheck};

/// The object.
pub fn inspect(engine: &Engine, image: &Image) -> Value {
    let config = &image.config;
    let names = |names: Vec<String>| Value::from(names);
    // The image's own, else that of the last step that has one.
    let last = config.history.iter().rev().map(|step| step.comment.as_str()).find(|comment| !comment.is_empty());
    let comment = if config.comment.is_empty() { last.unwrap_or_default() } else { &config.comment };
    let layers: Vec<String> = config.rootfs.diff_ids.iter().map(ToString::to_string).collect();
    let directories: Vec<String> =
        image.layers(engine.store()).iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let mut object = json!({
        "Id": image.id.to_string(),
        "RepoTags": names(image.tags().map(|name| name.familiar()).collect()),
        "RepoDigests": names(image.repository_digests().map(|name| name.familiar()).collect()),
        "Parent": "",
        "Comment": comment,
        "Created": time(config.created),
        "DockerVersion": "",
        "Author": config.author,
        "Architecture": config.architecture,
    });
    if let Value::Object(fields) = &mut object {
        if !config.variant.is_empty() {
            fields.insert("Variant".to_owned(), config.variant.as_str().into());
        }
        let rest = json!({
            "Os": if config.os.is_empty() { "linux" } else { &config.os },
            "Size": image.size(engine.store()),
            "GraphDriver": { "Data": graph_data(&directories), "Name": "overlay" },
            "RootFS": { "Type": "layers", "Layers": layers },
            "Metadata": { "LastTagTime": time(None) },
            "Config": process(&config.config),
        });
        if let Value::Object(rest) = rest {
            fields.extend(rest);
        }
        // Ours: only where a policy asked for signatures.
        if let Some(signed) = engine::images::signed(engine, image) {
            fields.insert("Signed".to_owned(), json!({ "Digest": signed.digest, "By": signed.signers }));
        }
    }
    object
}

/// The layers' directories: the top one is `UpperDir`, those below it are `LowerDir`.
fn graph_data(directories: &[String]) -> Value {
    let mut data = Map::new();
    if let Some((top, below)) = directories.split_first() {
        if !below.is_empty() {
            data.insert("LowerDir".to_owned(), below.join(":").into());
        }
        data.insert("UpperDir".to_owned(), top.as_str().into());
    }
    Value::Object(data)
}

fn process(config: &Config) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| _ = object.insert(name.to_owned(), value);
    put("Cmd", list_or_null(&config.cmd));
    put("Entrypoint", list_or_null(&config.entrypoint));
    put("Env", list_or_null(&config.env));
    if !config.exposed_ports.is_empty() {
        put("ExposedPorts", set_or_null(config.exposed_ports.iter()));
    }
    if let Some(health) = &config.healthcheck {
        put("Healthcheck", healthcheck(health));
    }
    put("Labels", if config.labels.is_empty() { Value::Null } else { json!(config.labels) });
    put("OnBuild", list_or_null(&config.on_build));
    if !config.shell.is_empty() {
        put("Shell", list_or_null(&config.shell));
    }
    if !config.stop_signal.is_empty() {
        put("StopSignal", config.stop_signal.as_str().into());
    }
    put("User", config.user.as_str().into());
    put("Volumes", set_or_null(config.volumes.iter()));
    put("WorkingDir", config.working_dir.as_str().into());
    Value::Object(object)
}

fn healthcheck(health: &Healthcheck) -> Value {
    let mut object = Map::new();
    let times = [
        ("Interval", health.interval),
        ("Retries", health.retries),
        ("StartInterval", health.start_interval),
        ("StartPeriod", health.start_period),
        ("Timeout", health.timeout),
    ];
    for (name, value) in times {
        if value != 0 {
            object.insert(name.to_owned(), value.into());
        }
    }
    object.insert("Test".to_owned(), Value::from(health.test.clone()));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parts_are_null_or_left_out() {
        let value = process(&Config::default());
        assert_eq!(
            value.to_string(),
            r#"{"Cmd":null,"Entrypoint":null,"Env":null,"Labels":null,"OnBuild":null,"User":"","Volumes":null,"WorkingDir":""}"#
        );
        let config =
            Config { cmd: vec!["sh".to_owned()], exposed_ports: ["80/tcp".to_owned()].into(), ..Config::default() };
        assert_eq!(process(&config)["ExposedPorts"], json!({"80/tcp": {}}));
    }

    #[test]
    fn layers_from_the_top() {
        let directories: Vec<String> = ["/c", "/b", "/a"].map(str::to_owned).into();
        assert_eq!(graph_data(&directories), json!({"LowerDir": "/b:/a", "UpperDir": "/c"}));
    }
}
