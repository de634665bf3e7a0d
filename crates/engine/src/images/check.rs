//! `image check --repair`: what `image::check` has found damaged is brought anew from where the image came from, and
//! nothing else is. Parts that no registry gives stay as they are.

use super::registries::Reach;
use crate::engine::Engine;
use crate::error::Result;
use image::check::{Owner, Part, Progress, Report};
use image::gc::User;
use registry::PullOptions;
use spec::Reference;

/// Manifest, configuration, layers.
const ROUNDS: usize = 3;

/// What became of a damaged image.
#[derive(Debug)]
pub struct Repair {
    pub image: Owner,
    /// Why it is still damaged; `None` if it is whole.
    pub failure: Option<String>,
    /// Ids of the containers that go on with the damaged layers until they are started anew.
    pub running: Vec<String>,
}

/// Checks the store; see `image::check`.
pub fn check(engine: &Engine, progress: Progress<'_>) -> Result<Report> {
    Ok(engine.store().check(progress, &|| super::users(engine))?)
}

/// Removes what the check has found unused, unless somebody is at work; the bytes on the disk that this frees.
pub fn remove_unused(engine: &Engine) -> Result<u64> {
    Ok(engine.store().remove_unused(&|| super::users(engine))?.unwrap_or(0))
}

/// Brings the damaged parts of each image anew, and gives what the store is like then. The layers of running containers
/// stay with them, but where they are directories: then such an image is not repaired.
pub fn repair(
    engine: &Engine,
    reach: &Reach,
    report: &Report,
    progress: Progress<'_>,
) -> Result<(Vec<Repair>, Report)> {
    let mut repairs: Vec<Repair> = Vec::new();
    let mut now: Option<Report> = None;
    // What a manifest or a configuration names can be looked at only when that is whole again.
    for _ in 0..ROUNDS {
        let failed = |owner: &Owner| {
            repairs.iter().any(|repair| repair.image.manifest == owner.manifest && repair.failure.is_some())
        };
        let damages = &now.as_ref().unwrap_or(report).damages;
        let mut owners: Vec<&Owner> = Vec::new();
        for owner in damages.iter().flat_map(|damage| &damage.images) {
            if !failed(owner) && !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        if owners.is_empty() {
            break;
        }
        let owners: Vec<Owner> = owners.into_iter().cloned().collect();
        for owner in &owners {
            let parts = damages.iter().filter(|damage| damage.images.contains(owner)).map(|damage| &damage.part);
            let parts: Vec<&Part> = parts.collect();
            let mut running = running_on(engine, &parts)?;
            let failure = repair_one(engine, reach, owner, &parts, &running)?;
            // An earlier round knew of the manifest or the configuration.
            let earlier = repairs.extract_if(.., |repair| repair.image.manifest == owner.manifest);
            running.extend(earlier.flat_map(|repair| repair.running));
            repairs.push(Repair { image: owner.clone(), failure, running });
        }
        now = Some(check(engine, progress)?);
    }
    let now = match now {
        Some(now) => now,
        None => check(engine, progress)?,
    };
    Ok((repairs, now))
}

/// The ids of containers that run on one of these layers.
fn running_on(engine: &Engine, parts: &[&Part]) -> Result<Vec<String>> {
    let users = super::users(engine)?.into_iter().filter(|user| user.running);
    let has_part =
        |user: &User| user.layers.iter().any(|id| parts.iter().any(|part| **part == Part::Layer(id.clone())));
    Ok(users.filter(has_part).map(|user| user.container).collect())
}

/// Why it could not be done.
fn repair_one(
    engine: &Engine,
    reach: &Reach,
    owner: &Owner,
    parts: &[&Part],
    running: &[String],
) -> Result<Option<String>> {
    let layers = parts.iter().filter_map(|part| match part {
        Part::Layer(diff_id) => Some(diff_id),
        Part::Blob(_) => None,
    });
    if layers.clone().any(|diff_id| engine.store().is_directory(diff_id))
        && let Some(container) = running.first()
    {
        let short = container.get(..12).unwrap_or(container);
        return Ok(Some(format!(
            "container {short} runs on its damaged layer, whose files it would lose: stop it first"
        )));
    }
    let sources: Vec<&Reference> = owner.names.iter().filter(|name| name.digest().is_some()).collect();
    if sources.is_empty() {
        let remedy = if layers.clone().any(|diff_id| engine.store().is_directory(diff_id)) {
            "remove it, and then load it or pull it again"
        } else {
            "load it or pull it again"
        };
        for diff_id in layers {
            engine.store().mark_damaged(diff_id)?;
            image::mounts::forget(&engine.paths().layer_mounts(), diff_id);
        }
        return Ok(Some(format!("nothing says where it came from: {remedy}")));
    }
    // What an earlier image shared with this one is whole by now: it is fetched once more, which does no harm.
    let _aside = engine.store().set_aside(parts.iter().copied())?;
    let mut failures = Vec::new();
    for source in sources {
        match fetch(engine, reach, source, owner)? {
            Ok(()) => {
                // A container that starts now must not share the mount of one that runs on the damaged layer.
                layers.for_each(|diff_id| image::mounts::forget(&engine.paths().layer_mounts(), diff_id));
                return Ok(None);
            }
            Err(error) => failures.push(format!("{}: {error}", source.familiar())),
        }
    }
    Ok(Some(failures.join("; ")))
}

/// By the name that it was pulled by, which may be that of an index: the policy may ask for a signature of that. The
/// manifest is chosen by its digest, so that the platform does not matter. An index that is no longer there is passed
/// over.
fn fetch(engine: &Engine, reach: &Reach, source: &Reference, owner: &Owner) -> Result<Result<(), registry::Error>> {
    let options = PullOptions { manifest: Some(owner.manifest.clone()), ..PullOptions::default() };
    let session = reach.session(&[source.registry()])?;
    match registry::pull(&session, engine.store(), source, &options, &mut |_| ()) {
        Err(registry::Error::NotFound { .. }) if source.digest() != Some(&owner.manifest) => {}
        outcome => return Ok(outcome.map(|_| ())),
    }
    let exact = source.with_digest(owner.manifest.clone());
    if let Err(error) = registry::pull(&session, engine.store(), &exact, &options, &mut |_| ()) {
        return Ok(Err(error));
    }
    if !owner.names.contains(&exact) {
        engine.store().untag(&exact)?;
    }
    Ok(Ok(()))
}
