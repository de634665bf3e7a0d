//! What prunes may take: docker's filters `until`, `label` and `label!`, which mean the same for containers, images and
//! volumes. And the prunes of containers and images themselves; that of volumes is in `volumes.rs`.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filter::{Label, moment};
use crate::lifecycle::{self, Remove};
use crate::state::Status;
use image::gc::Removed;
use spec::{ContainerId, Timestamp};
use std::collections::BTreeMap;

/// All must hold.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    until: Option<Timestamp>,
    labels: Vec<Label>,
    absent_labels: Vec<Label>,
}

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Filters> {
        let mut parsed = Filters::default();
        for filter in filters {
            let (key, value) = filter
                .split_once('=')
                .ok_or_else(|| Error::Invalid(format!("bad format of filter \"{filter}\" (expected name=value)")))?;
            let invalid = || Error::Invalid(format!("invalid filter '{key}={value}'"));
            match key {
                "until" => parsed.until = Some(moment(value, Timestamp::now()).ok_or_else(invalid)?),
                "label" => parsed.labels.push(Label::parse(value)),
                "label!" => parsed.absent_labels.push(Label::parse(value)),
                key => return Err(Error::Invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(parsed)
    }

    pub fn has_until(&self) -> bool {
        self.until.is_some()
    }

    fn is_empty(&self) -> bool {
        self.until.is_none() && self.labels.is_empty() && self.absent_labels.is_empty()
    }

    pub(crate) fn matches(&self, created: Option<Timestamp>, labels: &BTreeMap<String, String>) -> bool {
        self.until.is_none_or(|until| created.unwrap_or(Timestamp::EPOCH) < until)
            && self.labels.iter().all(|label| label.is_among(labels))
            && !self.absent_labels.iter().any(|label| label.is_among(labels))
    }
}

/// Removes containers that do not run. Returns how many bytes they had written.
pub fn containers(engine: &Engine, filters: &Filters) -> Result<(Vec<ContainerId>, u64)> {
    let (mut removed, mut freed) = (Vec::new(), 0_u64);
    for container in crate::list::all(engine)? {
        let stopped = matches!(container.status(), Status::Created | Status::Exited);
        if !stopped || !filters.matches(Some(container.record.created), &container.record.process.labels) {
            continue;
        }
        // As docker, by the lengths of files; measured while they are there.
        let bytes = crate::volumes::size_bytes(&container.upper(engine));
        let id = container.id().clone();
        match lifecycle::remove(engine, &container, Remove { force: false, volumes: false }) {
            Ok(()) => {
                removed.push(id);
                freed = freed.saturating_add(bytes);
            }
            // Started or removed by somebody else meanwhile.
            Err(Error::NotFound(_) | Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((removed, freed))
}

/// Removes images without a tag, with `all` every one that no container uses. Returns the bytes on the disk that this freed.
pub fn images(engine: &Engine, all: bool, filters: &Filters) -> Result<(Vec<Removed>, u64)> {
    if filters.is_empty() {
        return crate::images::prune(engine, all);
    }
    let used: Vec<_> = crate::list::all(engine)?.into_iter().map(|container| container.record.image_id).collect();
    let before = engine.store().disk_usage()?.total;
    let mut removed = Vec::new();
    for image in engine.store().list()? {
        let config = &image.config;
        let is_wanted = all || image.tags().next().is_none();
        if !is_wanted || used.contains(&image.id) || !filters.matches(config.created, &config.config.labels) {
            continue;
        }
        // Name by name: by id it would need force, which takes images from containers that appear meanwhile.
        let mut handles: Vec<String> = image.tags().map(|name| name.familiar()).collect();
        if handles.is_empty() {
            handles.extend(image.repository_digests().map(|name| name.familiar()));
        }
        if handles.is_empty() {
            handles.push(image.id.to_string());
        }
        for handle in handles {
            match crate::images::take_out(engine, &handle, false) {
                Ok((done, remains)) => {
                    remains.delete();
                    removed.extend(done);
                }
                Err(Error::NotFound(_) | Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let after = engine.store().disk_usage()?.total;
    Ok((removed, before.saturating_sub(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let labels: BTreeMap<String, String> = [("a".to_owned(), "1".to_owned())].into();
        let created = Some(Timestamp::from_seconds(1000));
        for (filters, expected) in [
            (&[][..], true),
            (&["until=2000"], true),
            (&["until=1000"], false),
            (&["until=1h"], true),
            (&["label=a"], true),
            (&["label=a=1", "label=b"], false),
            (&["label!=a"], false),
            (&["label!=a=2"], true),
        ] {
            let filters: Vec<String> = filters.iter().map(ToString::to_string).collect();
            assert_eq!(Filters::parse(&filters).unwrap().matches(created, &labels), expected, "{filters:?}");
        }
        for bad in ["x", "status=exited", "until=soon"] {
            assert!(Filters::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
