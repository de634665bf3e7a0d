//! `--log-driver` and `--log-opt`.
//! Gives the engine's type with docker's words for what is wrong.

use super::bytes;
use engine::options::{Log, LogDriver};

/// The two flags together.
pub fn parse(driver: Option<&str>, options: &[(String, String)]) -> Result<Log, String> {
    let driver = match driver {
        None | Some("" | "json-file") => LogDriver::JsonFile,
        Some("none") => LogDriver::None,
        Some(
            other @ ("syslog" | "journald" | "gelf" | "fluentd" | "awslogs" | "splunk" | "etwlogs" | "gcplogs"
            | "local" | "k8s-file" | "passthrough"),
        ) => return Err(format!("log driver {other} is not supported yet by brig (use json-file or none)")),
        Some(other) => return Err(format!("log driver {other:?} is not known (use json-file or none)")),
    };
    let mut log = Log { driver, ..Log::default() };
    for (key, value) in options {
        match (driver, key.as_str()) {
            (LogDriver::JsonFile, "max-size") => log.max_size_bytes = max_size(value)?,
            (LogDriver::JsonFile, "max-file") => {
                log.max_files = value
                    .parse()
                    .ok()
                    .filter(|count| *count > 0)
                    .ok_or_else(|| format!("invalid max-file {value:?}: use 1 or more"))?;
            }
            (LogDriver::JsonFile, "labels") => log.labels = names(value),
            (LogDriver::JsonFile, "env") => log.env = names(value),
            (LogDriver::JsonFile, "tag") => log.tag.clone_from(value),
            (LogDriver::JsonFile, "labels-regex" | "env-regex") => {
                return Err(format!("log opt '{key}' is not supported yet by brig (use labels or env)"));
            }
            (LogDriver::JsonFile, _) => {
                return Err(format!(
                    "unknown log opt '{key}' for json-file log driver (use max-size, max-file, labels, env or tag)"
                ));
            }
            (LogDriver::None, _) => return Err(format!("unknown log opt '{key}' for none log driver")),
        }
        log.options.insert(key.clone(), value.clone());
    }
    if log.max_size_bytes == 0 && log.options.contains_key("max-file") && log.max_files > 1 {
        return Err("max-file above 1 needs a max-size".to_owned());
    }
    Ok(log)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

/// Bytes; 0 for unbounded, which is typed as -1.
fn max_size(text: &str) -> Result<u64, String> {
    match bytes::decimal(text) {
        _ if text == "-1" => Ok(0),
        Ok(size) if size > 0 => Ok(size.unsigned_abs()),
        _ => Err(format!("invalid max-size {text:?}: use a size such as 10m, or -1 for no bound")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn sizes_and_counts() {
        let log = parse(None, &options(&[("max-size", "1m"), ("max-file", "5")])).unwrap();
        assert_eq!((log.max_size_bytes, log.max_files), (1_000_000, 5));
        assert_eq!(parse(None, &options(&[("max-size", "-1")])).unwrap().max_size_bytes, 0);
        assert_eq!(parse(Some("none"), &[]).unwrap().driver, LogDriver::None);
        let log = parse(None, &options(&[("labels", "a,b.c"), ("env", "X"), ("tag", "t")])).unwrap();
        assert_eq!((log.labels.join(" "), log.env.join(" "), log.tag), ("a b.c".into(), "X".into(), "t".into()));
        assert!(parse(None, &options(&[("env-regex", "^X")])).unwrap_err().contains("not supported yet"));
        assert!(parse(Some("syslog"), &[]).unwrap_err().contains("not supported yet"));
        for bad in [("foo", "bar"), ("max-size", "0"), ("max-size", "x"), ("max-file", "0")] {
            assert!(parse(None, &options(&[bad])).is_err(), "{bad:?}");
        }
        assert!(parse(Some("none"), &options(&[("max-size", "1m")])).is_err());
    }
}
