//! The engine's objects as Docker's JSON, field by field in docker's order. Used by `brig inspect` and by whatever speaks
//! Docker's API. Fields that brig has nothing to say about carry the value that docker has when the feature is not used.

pub mod container;
mod host_config;
pub mod image;
pub mod network;
pub mod size;
pub mod volume;
pub mod word;

use serde_json::Value;
use spec::Timestamp;

/// Go's zero time stands for "never".
fn time(time: Option<Timestamp>) -> Value {
    time.map_or_else(|| Value::from("0001-01-01T00:00:00Z"), |time| Value::from(time.to_string()))
}

/// An empty list is `null` in many of docker's fields.
fn list_or_null(list: &[String]) -> Value {
    if list.is_empty() { Value::Null } else { Value::from(list.to_vec()) }
}

/// A set as docker writes it: `{"80/tcp": {}}`, `null` when empty.
fn set_or_null<'a>(names: impl Iterator<Item = &'a String>) -> Value {
    let map: serde_json::Map<String, Value> =
        names.map(|name| (name.clone(), Value::Object(serde_json::Map::new()))).collect();
    if map.is_empty() { Value::Null } else { Value::Object(map) }
}
