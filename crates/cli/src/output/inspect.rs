//! The output of `inspect`: objects as indented JSON, as one line of JSON, or through a template that sees them as docker's
//! Go structs. The table below holds what JSON does not say: which names are free maps, which nulls are pointers, and which
//! fields docker leaves out when they are empty.

use super::template::{Kind, Shape, Template};
use crate::failure::Failure;
use serde_json::Value;

/// `objects` in the form that `--format` asks for. The error comes with nothing printed.
pub fn render(objects: &[Value], format: Option<&str>) -> Result<String, Failure> {
    match format.filter(|format| !format.is_empty()) {
        None => Ok(indented(objects)),
        Some("json") => Ok(line(objects) + "\n"),
        Some(source) => {
            let parse = |problem| Failure::template(format!("template parsing error: {problem}"));
            let template = Template::parse(&source.replace("\\t", "\t").replace("\\n", "\n")).map_err(parse)?;
            let mut text = String::new();
            for object in objects {
                let done = template.run(object, &Struct, &mut text);
                done.map_err(|problem| Failure::message(format!("template parsing error: {problem}")))?;
                text.push('\n');
            }
            Ok(text)
        }
    }
}

fn line(objects: &[Value]) -> String {
    Value::Array(objects.to_vec()).to_string()
}

/// Four blanks a level, as docker has it.
fn indented(objects: &[Value]) -> String {
    let two = format!("{:#}", Value::Array(objects.to_vec()));
    let mut text = String::with_capacity(two.len() * 2);
    for line in two.lines() {
        // Line breaks inside of strings are escaped, so every leading blank is an indentation.
        let body = line.trim_start_matches(' ');
        text.extend(std::iter::repeat_n(' ', (line.len() - body.len()) * 2));
        text.push_str(body);
        text.push('\n');
    }
    text
}

/// Docker's objects as their Go types.
struct Struct;

const MAPS: [&str; 14] = [
    "Labels",
    "Annotations",
    "Sysctls",
    "Tmpfs",
    "Ports",
    "PortBindings",
    "Networks",
    "ExposedPorts",
    "Volumes",
    "Options",
    "DriverOpts",
    "StorageOpt",
    "LogConfig.Config",
    "GraphDriver.Data",
];
const POINTERS: [&str; 10] = [
    "Health",
    "Healthcheck",
    "Init",
    "PidsLimit",
    "MemorySwappiness",
    "StopTimeout",
    "IPAMConfig",
    "SizeRw",
    "SizeRootFs",
    "Platform",
];
/// Fields that are left out when empty, by the object that they belong to.
const OMITTED: [(&str, Kind); 20] = [
    ("State.Health", Kind::Pointer),
    ("SizeRw", Kind::Pointer),
    ("SizeRootFs", Kind::Pointer),
    ("Comment", Kind::Text),
    ("Variant", Kind::Text),
    ("Config.Healthcheck", Kind::Pointer),
    ("Config.ExposedPorts", Kind::Map),
    ("Config.StopSignal", Kind::Text),
    ("Config.StopTimeout", Kind::Pointer),
    ("Config.Shell", Kind::Slice),
    ("Config.ArgsEscaped", Kind::Text),
    ("HostConfig.Mounts", Kind::Slice),
    ("HostConfig.Tmpfs", Kind::Map),
    ("HostConfig.Sysctls", Kind::Map),
    ("HostConfig.Annotations", Kind::Map),
    ("HostConfig.StorageOpt", Kind::Map),
    ("HostConfig.Init", Kind::Pointer),
    ("Name", Kind::Text),
    ("Driver", Kind::Text),
    ("Type", Kind::Text),
];

impl Shape for Struct {
    fn kind(&self, field: &str) -> Kind {
        let last = field.rsplit('.').next().unwrap_or(field);
        if MAPS.contains(&field) || MAPS.contains(&last) {
            Kind::Map
        } else if POINTERS.contains(&last) {
            Kind::Pointer
        } else {
            Kind::Slice
        }
    }

    fn omitted(&self, field: &str) -> Option<Kind> {
        OMITTED.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind)
    }

    fn missing(&self, field: &str) -> String {
        format!("map has no entry for key {field:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn show(format: &str) -> Result<String, String> {
        let object = json!({
            "State": {"Status": "running"}, "HostConfig": {"PidsLimit": null, "CapAdd": null, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}},
            "Config": {"Labels": {"a": "b"}, "Entrypoint": null, "Volumes": null}, "Mounts": [],
        });
        render(&[object], Some(format)).map_err(|failure| failure.text())
    }

    #[test]
    fn as_dockers_structs() {
        assert_eq!(
            show("{{.Config.Entrypoint}} {{.HostConfig.PidsLimit}} {{.HostConfig.CapAdd}} {{.Config.Volumes}}")
                .unwrap(),
            "[] <nil> [] map[]\n"
        );
        assert_eq!(show("{{.Config.Labels.foo}} {{index .Config.Labels \"a\"}}").unwrap(), "<no value> b\n");
        assert_eq!(
            show("{{.HostConfig.RestartPolicy}} {{.HostConfig.LogConfig.Config}}").unwrap(),
            "{no 0} map[max-size:1m]\n"
        );
        assert_eq!(show("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}").unwrap(), "none\n");
        assert_eq!(show("{{.HostConfig.Tmpfs}}{{.Config.StopSignal}}").unwrap(), "map[]\n");
        assert_eq!(
            show("{{.Foo}}").unwrap_err(),
            "template parsing error: template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""
        );
    }

    #[test]
    fn json_forms() {
        let objects = [json!({"a": ["x\n  y"], "b": {}, "c": []})];
        assert_eq!(
            render(&objects, None).unwrap(),
            "[\n    {\n        \"a\": [\n            \"x\\n  y\"\n        ],\n        \"b\": {},\n        \"c\": []\n    }\n]\n"
        );
        assert_eq!(render(&[], None).unwrap(), "[]\n");
        assert_eq!(render(&objects, Some("json")).unwrap(), "[{\"a\":[\"x\\n  y\"],\"b\":{},\"c\":[]}]\n");
    }
}
