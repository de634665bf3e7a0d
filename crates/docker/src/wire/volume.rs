//! A volume as `docker volume inspect` shows it.
//! Keys are in alphabetical order, which is what docker's encoder gives.

use engine::volumes::Volume;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The object.
pub fn inspect(volume: &Volume) -> Value {
    json!({
        "CreatedAt": volume.created.to_string(),
        "Driver": volume.driver,
        "Labels": map_or_null(&volume.labels),
        "Mountpoint": volume.mountpoint.to_string_lossy(),
        "Name": volume.name,
        "Options": map_or_null(&volume.options),
        "Scope": "local",
    })
}

fn map_or_null(map: &BTreeMap<String, String>) -> Value {
    let object: Map<String, Value> =
        map.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    if object.is_empty() { Value::Null } else { Value::Object(object) }
}
