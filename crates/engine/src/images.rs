//! Images as commands see them: getting one for a container, pulling, removing with docker's
//! rules on containers that use it, listing with filters. The work is done by `image` and
//! `registry`; here the containers come in.

pub mod budget;
pub mod check;
pub mod copy;
pub mod files;
mod filter;
pub mod lists;
pub mod manifests;
mod registries;

pub use image::gc::{Pruned, Removed};
pub use registries::*;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::state::Status;
use filter::Filters;
use image::gc::{self, Remains};
use image::{Image, Listing, hello};
use kernel::Context;
use registries::{find_here, first_of, invalid};
use spec::{Platform, Reference};
use std::fs::File;
use std::path::Path;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    /// Only when the store has no such image (or none for the platform).
    #[default]
    Missing,
    Never,
}

/// The image for `name` without a registry, and the name by which it is found from now on; `None` when the policy says
/// that it is to be pulled. `hello` needs none: it is made of this very program, unless the user gave that name to
/// another image.
pub fn local(
    engine: &Engine,
    reach: &Reach,
    name: &str,
    policy: PullPolicy,
    platform: Option<&Platform>,
) -> Result<Option<(String, Image)>> {
    if let Some(image) = embedded(engine, name)? {
        return Ok(Some((name.to_owned(), image)));
    }
    if policy == PullPolicy::Always {
        return Ok(None);
    }
    // The usual case asks nobody what a short name means.
    let here = match engine.store().resolve(name) {
        Err(error) if error.is_not_found() => {
            find_here(engine, reach, name).map(|(called, image)| (called.familiar(), image))
        }
        here => here.map(|image| (name.to_owned(), image)),
    };
    match here {
        Ok((called, image)) if fits(&image, platform) => Ok(Some((called, image))),
        Ok((_, image)) if policy == PullPolicy::Never => Err(wrong_platform(name, &image, platform)),
        Err(error) if policy == PullPolicy::Never || !error.is_not_found() => Err(sorted(error)),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Brings `name` (with the tag `latest` if it has none) from its registry; a short name from the first registry that
/// has it. Gives what it was pulled as.
pub fn pull(
    engine: &Engine,
    reach: &Reach,
    name: &str,
    options: &PullOptions,
    progress: &mut dyn FnMut(&Reference, Progress<'_>),
) -> Result<(Reference, Pulled)> {
    Reference::parse(name).map_err(invalid)?;
    let (session, candidates) = reach.named(name)?;
    let pulled = first_of(name, candidates, |reference| {
        registry::pull(&session, engine.store(), reference, options, &mut |event| progress(reference, event))
    })?;
    // Also when it was here already.
    engine.store().note_use(&pulled.1.image);
    Ok(pulled)
}

/// Removes an image or one of its names; `Conflict` carries docker's texts. What the image took on the disk is being
/// deleted when this returns: a large file takes the kernel some 100 ms, for which nobody need wait.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<Vec<Removed>> {
    let (removed, remains) = take_out(engine, name, force)?;
    delete_behind(remains);
    Ok(removed)
}

/// As [`remove`], for a caller who deletes the remains.
pub(crate) fn take_out(engine: &Engine, name: &str, force: bool) -> Result<(Vec<Removed>, Remains)> {
    engine.store().remove(name, force, &|| users(engine)).map_err(sorted)
}

/// In a process of its own, which holds no lock and none of the caller's streams.
fn delete_behind(remains: Remains) {
    if remains.is_empty() {
        return;
    }
    let mut remains = Some(remains);
    let forked = kernel::clone::fork(|| {
        // Without it the caller's terminal would have to wait; what is left undone is done by the next pull.
        if kernel::daemon::detach().is_ok() {
            remains.take().unwrap_or_default().delete();
        }
        0
    });
    if forked.is_err() {
        remains.take().unwrap_or_default().delete();
    }
}

/// Removes images without a tag, with `all` every one that no container uses.
pub fn prune(engine: &Engine, all: bool) -> Result<Pruned> {
    Ok(engine.store().prune(all, &|| users(engine))?)
}

/// By name, id or prefix of an id.
pub fn find(engine: &Engine, name: &str) -> Result<Image> {
    engine.store().resolve(name).map_err(sorted)
}

/// Bytes of the image's documents and, where the store keeps them, compressed layers; not what they unpack to.
pub fn content_size(engine: &Engine, image: &Image) -> u64 {
    let layers = image.manifest.layers.iter().map(|layer| &layer.digest);
    let blobs = [&image.manifest_digest, &image.id].into_iter().chain(layers);
    let sizes = blobs.filter_map(|digest| engine.store().blob_path(digest).metadata().ok());
    sizes.map(|metadata| metadata.len()).sum()
}

/// Newest first. `repository` (`debian`, `debian:stable`, a pattern) is one more filter of the kind
/// `reference`; where there is one, the images have only the names that fit. What is damaged fits no filter: it is listed
/// apart whatever they are.
pub fn list(engine: &Engine, repository: Option<&str>, filters: &[String]) -> Result<Listing> {
    let mut filters = Filters::parse(filters)?;
    filters.add_reference(repository);
    let bounds = filters.bounds(engine.store())?;
    let mut listing = engine.store().listing()?;
    let images = &mut listing.images;
    images.retain(|image| filters.matches(image, &bounds));
    images.iter_mut().for_each(|image| filters.keep_names(image));
    images.sort_by_key(|image| std::cmp::Reverse(image.config.created));
    Ok(listing)
}

/// Every container, for the store's rules on what is in use.
pub(crate) fn users(engine: &Engine) -> image::Result<Vec<gc::User>> {
    let failed = |error: Error| match error {
        Error::Image(error) => error,
        Error::Kernel(error) => image::Error::Io(error),
        other => image::Error::InUse(format!("containers cannot be read, so no image is removed: {other}")),
    };
    let mut users = Vec::new();
    for id in crate::list::ids(engine).map_err(failed)? {
        let Some(Container { record, state }) = Container::load(engine, &id).map_err(failed)? else { continue };
        users.push(gc::User {
            container: id.as_str().to_owned(),
            running: matches!(state.status, Status::Running | Status::Restarting),
            image: record.image_id,
            layers: record.layers,
        });
    }
    Ok(users)
}

/// The variants on which our callers act differently.
fn sorted(error: image::Error) -> Error {
    match error {
        image::Error::NotFound { .. } => Error::NotFound(error.to_string()),
        image::Error::Ambiguous { .. } => Error::Ambiguous(error.to_string()),
        image::Error::InUse(text) => Error::Conflict(text),
        image::Error::Name(_) | image::Error::Argument(_) => Error::Invalid(error.to_string()),
        other => Error::Image(other),
    }
}

fn embedded(engine: &Engine, name: &str) -> Result<Option<Image>> {
    if name != "hello" && name != hello::NAME {
        return Ok(None);
    }
    match engine.store().resolve(hello::NAME) {
        Ok(image) if !hello::is_embedded(&image) => return Ok(Some(image)),
        Err(error) if !error.is_not_found() => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let path = Path::new("/proc/self/exe");
    let mut executable = File::open(path).during_at("open", path)?;
    Ok(Some(engine.store().embed_hello(&mut executable)?))
}

fn fits(image: &Image, platform: Option<&Platform>) -> bool {
    platform.is_none_or(|wanted| wanted.distance(&image.config.platform()).is_some())
}

fn wrong_platform(name: &str, image: &Image, wanted: Option<&Platform>) -> Error {
    let wanted = wanted.cloned().unwrap_or_else(Platform::host);
    let (wanted, actual) = (wanted.to_string(), image.config.platform().to_string());
    Error::NotFound(format!("image {name} is here for {actual} and not for {wanted}: pull it for that platform"))
}
