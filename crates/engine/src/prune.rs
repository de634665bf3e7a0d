//! What prunes may take: docker's filters `until`, `label` and `label!`, which mean the same for containers, images and
//! volumes. And the prunes of containers and images themselves; that of volumes is in `volumes.rs`.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filter::{self, Common};
use crate::lifecycle::{self, Remove};
use crate::state::Status;
use image::gc::Pruned;
use spec::{ContainerId, Timestamp};
use std::collections::BTreeMap;

/// All must hold.
#[derive(Debug, Clone, Default)]
pub struct Filters(Common);

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Filters> {
        let mut parsed = Common::default();
        for filter in filters {
            let (key, value) = filter::split(filter)?;
            parsed.add(&key, value)?;
        }
        Ok(Filters(parsed))
    }

    pub fn has_until(&self) -> bool {
        self.0.has_until()
    }

    pub(crate) fn matches(&self, created: Option<Timestamp>, labels: &BTreeMap<String, String>) -> bool {
        self.0.matches(created, labels)
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

/// Removes images without a tag, with `all` every one that no container uses.
pub fn images(engine: &Engine, all: bool, filters: &Filters) -> Result<Pruned> {
    if filters.0.is_empty() {
        return crate::images::prune(engine, all);
    }
    let used: Vec<_> = crate::list::all(engine)?.into_iter().map(|container| container.record.image_id).collect();
    let before = engine.store().disk_usage()?.total;
    let mut removed = Vec::new();
    // What is damaged has no labels and no age that could be asked for.
    for image in engine.store().listing()?.images {
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
    let is_swept = match engine.store().remove_unused(&|| crate::images::users(engine)) {
        // Another image is damaged, so nobody knows what is its; that is not for others to end.
        Err(image::Error::Invalid { .. }) => true,
        swept => swept?.is_some(),
    };
    let after = engine.store().disk_usage()?.total;
    Ok(Pruned { removed, freed: before.saturating_sub(after), is_swept })
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
