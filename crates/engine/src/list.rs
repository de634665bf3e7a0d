//! All containers, and docker's filters over them. A directory whose name begins with a dot is
//! being made or removed and is no container; `recover::sweep` clears up such leftovers.

use crate::container::{Container, no_such};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filter::Label;
use crate::name_pattern::NamePattern;
use crate::state::{HealthStatus, Status};
use kernel::Context;
use spec::{ContainerId, Digest, Timestamp};

/// Ids of all containers, in no order.
pub fn ids(engine: &Engine) -> Result<Vec<ContainerId>> {
    let directory = engine.paths().containers();
    let entries = std::fs::read_dir(&directory).during_at("list", &directory)?;
    Ok(entries.flatten().filter_map(|entry| ContainerId::parse(entry.file_name().to_str()?).ok()).collect())
}

/// The name that leads to a container, for one that cannot tell itself.
pub(crate) fn name_of(engine: &Engine, id: &ContainerId) -> Option<String> {
    let entries = std::fs::read_dir(engine.paths().names()).ok()?;
    let mut names = entries
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == id.as_str()));
    names.next()?.file_name().into_string().ok()
}

/// All containers, newest first. One that is removed meanwhile is left out.
pub fn all(engine: &Engine) -> Result<Vec<Container>> {
    crate::recover::sweep(engine);
    let mut containers = Vec::new();
    for id in ids(engine)? {
        // One that cannot be repaired, on a full disk say, is shown as its files have it.
        let container = match Container::load(engine, &id) {
            Ok(container) => container,
            Err(_) => Container::read(engine, &id)?,
        };
        containers.extend(container);
    }
    containers.sort_by_key(|container| std::cmp::Reverse(container.record.created));
    Ok(containers)
}

/// `--filter key=value`: values of one key are alternatives (labels excepted), keys must all hold.
#[derive(Debug, Default)]
pub struct Filters {
    ancestors: Vec<String>,
    before: Option<String>,
    since: Option<String>,
    exited: Vec<i32>,
    expose: Vec<String>,
    health: Vec<String>,
    ids: Vec<String>,
    labels: Vec<Label>,
    names: Vec<NamePattern>,
    networks: Vec<String>,
    statuses: Vec<Status>,
    volumes: Vec<String>,
    is_task: Option<bool>,
}

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Filters> {
        let mut parsed = Filters::default();
        for filter in filters {
            let (key, value) = filter.split_once('=').ok_or_else(|| {
                Error::Invalid(format!("invalid argument \"{filter}\" for \"-f, --filter\" flag: bad format of filter (expected name=value)"))
            })?;
            parsed.add(key.trim().to_ascii_lowercase().as_str(), value.trim())?;
        }
        Ok(parsed)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<()> {
        let bad = || Error::Invalid(format!("invalid filter '{key}={value}'"));
        let owned = value.to_owned();
        match key {
            "ancestor" => self.ancestors.push(owned),
            "before" => self.before = Some(owned),
            "since" => self.since = Some(owned),
            "exited" => self.exited.push(value.parse().map_err(|_| bad())?),
            "expose" | "publish" => self.expose.push(with_protocol(value)),
            "health" if matches!(value, "starting" | "healthy" | "unhealthy" | "none") => self.health.push(owned),
            "id" => self.ids.push(owned),
            "label" => self.labels.push(Label::parse(value)),
            "name" => self.names.push(NamePattern::parse(value)?),
            "network" => self.networks.push(owned),
            "status" => self.statuses.push(parse_status(value).ok_or_else(bad)?),
            "volume" => self.volumes.push(owned),
            "is-task" => self.is_task = Some(matches!(value, "true" | "1" | "t" | "T" | "TRUE" | "True")),
            "health" => return Err(bad()),
            _ => return Err(Error::Invalid(format!("invalid filter '{key}'"))),
        }
        Ok(())
    }

    /// A filter on status or exit code shows containers that do not run, without `-a`.
    pub fn implies_all(&self) -> bool {
        !self.statuses.is_empty() || !self.exited.is_empty()
    }

    pub fn matches(&self, engine: &Engine, container: &Container) -> Result<bool> {
        let record = &container.record;
        let process = &record.process;
        let one_of =
            |wanted: &[String], test: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|w| test(w));
        Ok(one_of(&self.ids, &|id| record.id.as_str().starts_with(id))
            && self.has_name(&record.name)
            && self.labels.iter().all(|label| label.is_among(&process.labels))
            && (self.statuses.is_empty() || self.statuses.contains(&container.status()))
            && (self.exited.is_empty()
                || (container.state.status == Status::Exited && self.exited.contains(&container.state.exit_code)))
            && one_of(&self.health, &|health| health == health_name(container))
            && one_of(&self.expose, &|port| process.exposed_ports.iter().any(|exposed| exposed == port))
            && one_of(&self.networks, &|wanted| crate::network::names_of(container).iter().any(|name| name == wanted))
            && one_of(&self.volumes, &|volume| uses_volume(container, volume))
            && self.is_task != Some(true)
            && self.in_time(engine, container)?
            && self.has_ancestor(engine, container)?)
    }

    /// Docker's own names begin with a slash, and patterns may be written for either.
    fn has_name(&self, name: &str) -> bool {
        let slashed = format!("/{name}");
        self.names.is_empty() || self.names.iter().any(|wanted| wanted.matches(name) || wanted.matches(&slashed))
    }

    fn in_time(&self, engine: &Engine, container: &Container) -> Result<bool> {
        let created = |name: &String| -> Result<Timestamp> {
            Ok(Container::find(engine, name).map_err(|_| no_such(name))?.record.created)
        };
        let before = self.before.as_ref().map(created).transpose()?;
        let since = self.since.as_ref().map(created).transpose()?;
        let own = container.record.created;
        Ok(before.is_none_or(|time| own < time) && since.is_none_or(|time| own > time))
    }

    /// An image given by name or id, or any image that has all its layers at the bottom.
    fn has_ancestor(&self, engine: &Engine, container: &Container) -> Result<bool> {
        if self.ancestors.is_empty() {
            return Ok(true);
        }
        for wanted in &self.ancestors {
            let Ok(image) = engine.store().resolve(wanted) else { continue };
            let layers: &[Digest] = &image.config.rootfs.diff_ids;
            if container.record.image_id == image.id
                || (!layers.is_empty() && container.record.layers.starts_with(layers))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

fn parse_status(text: &str) -> Option<Status> {
    Some(match text {
        "created" => Status::Created,
        "running" => Status::Running,
        "restarting" => Status::Restarting,
        "exited" | "dead" => Status::Exited,
        "paused" => Status::Paused,
        "removing" => Status::Removing,
        _ => return None,
    })
}

fn health_name(container: &Container) -> &'static str {
    match container.state.health.as_ref().map(|health| health.status) {
        None => "none",
        Some(HealthStatus::Starting) => "starting",
        Some(HealthStatus::Healthy) => "healthy",
        Some(HealthStatus::Unhealthy) => "unhealthy",
    }
}

fn uses_volume(container: &Container, wanted: &str) -> bool {
    container.record.volumes.iter().any(|volume| volume.name == wanted || volume.target == wanted)
        || container.record.options.storage.mounts.iter().any(|mount| {
            mount.target == wanted
                || matches!(&mount.source, crate::options::MountSource::Bind { path, .. } if path == wanted)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_docker_refuses() {
        for bad in ["x", "nope=1", "name=[", "exited=a", "status=nope", "health=nope"] {
            assert!(Filters::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(Filters::parse(&["status=exited".to_owned()]).unwrap().implies_all());
    }
}
