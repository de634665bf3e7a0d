//! Options and image configuration merged into what the container will be (docker's `Config`):
//! entrypoint and command, environment, user, directory, labels, ports, health check.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::record::{ResolvedHealth, ResolvedProcess};
use spec::ContainerId;
use spec::image::{Healthcheck, ImageConfig};

const SECOND: i64 = 1_000_000_000;

/// The hostname is added by `with_hostname`, because the default is the id.
pub fn process(options: &Options, image: &ImageConfig) -> Result<ResolvedProcess> {
    let config = image.config.clone();
    let asked = &options.process;
    let (entrypoint, command) = match &asked.entrypoint {
        // A new entrypoint drops the image's command as well: it was written for the other one.
        Some(entrypoint) => (entrypoint.clone(), asked.command.clone()),
        None if asked.command.is_empty() => (config.entrypoint, config.cmd),
        None => (config.entrypoint, asked.command.clone()),
    };
    if entrypoint.is_empty() && command.is_empty() {
        return Err(Error::Invalid("no command specified: the image has none, so give one after the image".into()));
    }
    let mut labels = config.labels;
    labels.extend(options.labels.clone());
    let mut exposed_ports: Vec<String> = config.exposed_ports.into_iter().collect();
    for port in &options.expose {
        if !exposed_ports.contains(port) {
            exposed_ports.push(port.clone());
        }
    }
    Ok(ResolvedProcess {
        entrypoint,
        command,
        env: asked_before(&asked.env, config.env),
        workdir: asked.workdir.clone().unwrap_or(config.working_dir),
        user: asked.user.clone().unwrap_or(config.user),
        hostname: String::new(),
        labels,
        exposed_ports,
        stop_signal: options.lifecycle.stop_signal.clone().unwrap_or(config.stop_signal),
        health: health(options, config.healthcheck.as_ref()),
        image_volumes: config.volumes.into_iter().collect(),
    })
}

/// The name given, the host's where its UTS namespace is shared, or the first 12 characters of the id.
pub fn with_hostname(mut process: ResolvedProcess, options: &Options, id: &ContainerId) -> ResolvedProcess {
    let namespaces = &options.namespaces;
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    process.hostname = match &namespaces.hostname {
        Some(name) => name.clone(),
        None if namespaces.uts_host || namespaces.network == crate::options::Network::Host => host(),
        None => id.short().to_owned(),
    };
    process
}

/// What was asked comes first, as docker shows it, then what only the image sets. `NAME` without `=` removes the image's.
fn asked_before(asked: &[String], image: Vec<String>) -> Vec<String> {
    let name = |setting: &str| setting.split('=').next().unwrap_or_default().to_owned();
    let merged = merge_env(Vec::new(), asked);
    let asked_names: Vec<String> = asked.iter().map(|setting| name(setting)).collect();
    merged.into_iter().chain(image.into_iter().filter(|setting| !asked_names.contains(&name(setting)))).collect()
}

/// Later settings of a variable replace earlier ones in place; `NAME` without `=` removes it.
pub fn merge_env(base: Vec<String>, over: &[String]) -> Vec<String> {
    let mut merged = base;
    for setting in over {
        let name = setting.split('=').next().unwrap_or(setting);
        let position = merged.iter().position(|old| old.split('=').next() == Some(name));
        match (position, setting.contains('=')) {
            (Some(index), true) => merged[index] = setting.clone(),
            (Some(index), false) => {
                merged.remove(index);
            }
            (None, true) => merged.push(setting.clone()),
            (None, false) => {}
        }
    }
    merged
}

fn health(options: &Options, image: Option<&Healthcheck>) -> Option<ResolvedHealth> {
    let asked = &options.health;
    if asked.disabled {
        return None;
    }
    let test = match (&asked.command, image) {
        (Some(line), _) => vec!["CMD-SHELL".to_owned(), line.clone()],
        (None, Some(image)) if !image.test.is_empty() => image.test.clone(),
        _ => return None,
    };
    if test.first().is_some_and(|word| word == "NONE") {
        return None;
    }
    let pick = |asked: Option<i64>, image: Option<i64>, default: i64| {
        [asked, image].into_iter().flatten().find(|value| *value > 0).unwrap_or(default)
    };
    Some(ResolvedHealth {
        test,
        interval_nanoseconds: pick(asked.interval_nanoseconds, image.map(|h| h.interval), 30 * SECOND),
        timeout_nanoseconds: pick(asked.timeout_nanoseconds, image.map(|h| h.timeout), 30 * SECOND),
        start_period_nanoseconds: pick(asked.start_period_nanoseconds, image.map(|h| h.start_period), 0),
        start_interval_nanoseconds: pick(asked.start_interval_nanoseconds, image.map(|h| h.start_interval), 5 * SECOND),
        retries: pick(asked.retries.map(i64::from), image.map(|h| h.retries), 3) as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn command_and_entrypoint_combine_as_docker_does() {
        let mut image = ImageConfig::default();
        image.config.entrypoint = words("/entry");
        image.config.cmd = words("a b");
        for (entrypoint, command, want) in [
            (None, "", "/entry a b"),
            (None, "c", "/entry c"),
            (Some("/other"), "", "/other"),
            (Some("/other"), "c", "/other c"),
            (Some(""), "c", "c"),
        ] {
            let mut options = Options::default();
            options.process.entrypoint = entrypoint.map(words);
            options.process.command = words(command);
            assert_eq!(process(&options, &image).unwrap().argv(), words(want), "{entrypoint:?} {command}");
        }
        let mut options = Options::default();
        options.process.entrypoint = Some(vec![]);
        assert!(process(&options, &image).is_err());
    }

    #[test]
    fn env_is_replaced_in_place_and_removed() {
        let merged = merge_env(words("A=1 B=2 C=3"), &words("B=9 C D=4"));
        assert_eq!(merged, words("A=1 B=9 D=4"));
    }
}
