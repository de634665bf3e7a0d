//! What `--log-opt labels=`, `env=` and `tag=` put beside each line of a container's log, for `logs --details` and for
//! those who collect logs. Chosen once for a start by the monitor; `create` asks too, so that a bad tag is told at once.

use crate::error::{Error, Result};
use crate::options::Log;
use crate::record::Record;
use std::collections::BTreeMap;

/// By name. As docker's: a variable wins over a label of the same name, the tag over both.
pub type Attributes = BTreeMap<String, String>;

/// `Unsupported` for a tag with more than the plain fields of docker's template.
pub fn of(record: &Record) -> Result<Attributes> {
    let (log, process) = (&record.options.log, &record.process);
    let mut attributes = Attributes::new();
    for name in &log.labels {
        attributes.extend(process.labels.get_key_value(name).map(|(name, value)| (name.clone(), value.clone())));
    }
    for (name, value) in process.env.iter().filter_map(|setting| setting.split_once('=')) {
        if log.env.iter().any(|wanted| wanted == name) {
            attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    let tag = tag(log, record)?;
    if !tag.is_empty() {
        attributes.insert("tag".to_owned(), tag);
    }
    Ok(attributes)
}

/// Text with `{{.Field}}` in it.
fn tag(log: &Log, record: &Record) -> Result<String> {
    let mut parts = log.tag.split("{{");
    let mut tag = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, text) = part.split_once("}}").unwrap_or((part, ""));
        let value = field(name.trim(), record).ok_or_else(|| {
            Error::Unsupported(format!(
                "log tag {:?}: only .ID, .FullID, .Name, .ImageID, .ImageFullID and .ImageName can stand in {{{{}}}}",
                log.tag
            ))
        })?;
        tag += &value;
        tag += text;
    }
    Ok(tag)
}

fn field(name: &str, record: &Record) -> Option<String> {
    let image_id = record.image_id.to_string();
    Some(match name {
        ".ID" => record.id.short().to_owned(),
        ".FullID" => record.id.as_str().to_owned(),
        ".Name" => record.name.clone(),
        // Twelve characters of it all, as docker cuts it: `sha256:01234`.
        ".ImageID" => image_id.chars().take(12).collect(),
        ".ImageFullID" => image_id,
        ".ImageName" => record.options.image.clone(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::ContainerId;

    fn record() -> Record {
        let mut record = Record::unreadable(ContainerId::random([0xab; 32]), "box".to_owned());
        record.options.image = "bb".to_owned();
        record.process.labels =
            [("a", "1"), ("b", "x y"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        record.process.env = ["A=1", "B=x=y", "b=env", "C"].map(str::to_owned).to_vec();
        record
    }

    fn text(labels: &[&str], env: &[&str], tag: &str) -> Result<String> {
        let mut record = record();
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        record.options.log = Log { labels: list(labels), env: list(env), tag: tag.to_owned(), ..Log::default() };
        Ok(of(&record)?.iter().map(|(name, value)| format!("{name}={value};")).collect())
    }

    #[test]
    fn chosen_by_name() {
        assert_eq!(text(&[], &[], "").unwrap(), "");
        assert_eq!(text(&["a", "nosuch"], &["B", "C"], "").unwrap(), "B=x=y;a=1;");
        assert_eq!(text(&["b"], &["b"], "").unwrap(), "b=env;");
    }

    #[test]
    fn tags() {
        for (tag, expected) in [
            ("plain", "plain".to_owned()),
            ("{{.Name}}/{{ .ID }}.", format!("box/{}.", "ab".repeat(6))),
            ("{{.ImageName}}{{.ImageID}}", "bbsha256:00000".to_owned()),
        ] {
            assert_eq!(text(&[], &[], tag).unwrap(), format!("tag={expected};"));
        }
        for bad in ["{{.Nope}}", "{{", "{{upper .Name}}"] {
            assert!(matches!(text(&[], &[], bad), Err(Error::Unsupported(_))), "{bad}");
        }
    }
}
