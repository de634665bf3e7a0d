//! The specification that `spec` writes for others to edit (runc-spec(8)): a shell on a terminal, three capabilities,
//! nothing of the host but `/sys`. For users without privileges: in a user namespace with their own id alone, and
//! without what only root may have.

use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("template.json");

/// `config.json` as text, indented with tabs as runc writes it.
pub fn for_root() -> String {
    pretty(&template())
}

/// `config.json` for the user `uid`:`gid`.
pub fn for_user(uid: u32, gid: u32) -> String {
    let mut template = template();
    for mount in template["mounts"].as_array_mut().into_iter().flatten() {
        match mount["destination"].as_str() {
            // Without a network namespace of its own, a user may not mount sysfs.
            Some("/sys") => {
                mount["type"] = json!("none");
                mount["source"] = json!("/sys");
                mount["options"] = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
            }
            // Only one group is mapped, and it is not the terminals'.
            Some("/dev/pts") => {
                if let Some(options) = mount["options"].as_array_mut() {
                    options.retain(|option| option != "gid=5");
                }
            }
            _ => {}
        }
    }
    let linux = &mut template["linux"];
    let mut namespaces = linux["namespaces"].as_array().cloned().unwrap_or_default();
    namespaces.retain(|namespace| namespace["type"] != "network");
    namespaces.push(json!({"type": "user"}));
    let mut changed = serde_json::Map::new();
    changed.insert("uidMappings".into(), json!([{"containerID": 0, "hostID": uid, "size": 1}]));
    changed.insert("gidMappings".into(), json!([{"containerID": 0, "hostID": gid, "size": 1}]));
    changed.insert("namespaces".into(), Value::Array(namespaces));
    for name in ["maskedPaths", "readonlyPaths"] {
        changed.insert(name.into(), linux[name].clone());
    }
    *linux = Value::Object(changed);
    pretty(&template)
}

fn template() -> Value {
    let mut template: Value = serde_json::from_str(TEMPLATE).expect("the template is JSON");
    // As runc: on version 2 a container sees its own group as the root of all.
    if kernel::cgroup::Layout::detect().is_ok_and(|layout| layout.is_v2())
        && let Some(namespaces) = template["linux"]["namespaces"].as_array_mut()
    {
        namespaces.push(json!({"type": "cgroup"}));
    }
    template
}

fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(value, &mut serializer).expect("a value is JSON");
    String::from_utf8(bytes).expect("JSON is text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime::{NamespaceKind, Spec};

    #[test]
    fn both_are_specifications() {
        let root = Spec::parse(for_root().as_bytes()).unwrap();
        assert!(root.process.unwrap().terminal);
        let linux = Spec::parse(for_user(7, 8).as_bytes()).unwrap().linux.unwrap();
        assert!(linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::User));
        assert_eq!((linux.uid_mappings[0].host_id, linux.gid_mappings[0].host_id), (7, 8));
        assert!(linux.resources.is_none());
    }
}
