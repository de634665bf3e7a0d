//! `image copy`: from registry, store, image layout, skopeo's directory or archive to any of them, blob by blob and byte
//! for byte. The store takes part only where it is one of the ends; then layers lose or get their compression, as with
//! `pull` and `push`. What comes from elsewhere than the store is asked about at the policy, wherever it goes.

mod place;
mod plan;

pub use place::Place;
pub use registry::{CopyProgress, CopyStep, Platforms};

use super::files;
use super::registries::{Progress, PushProgress, PushStep, Reach, Step, find_here};
use crate::engine::Engine;
use crate::error::{Error, Result};
use image::archive::{self, Outside, Package, Plain, Saved};
use plan::{Plan, plan};
use registry::policy::{Local, Transport};
use registry::{CopyOptions, PullOptions, PushOptions, Session};
use spec::image::{Descriptor, ImageConfig, Manifest};
use spec::{Digest, Platform, Reference};
use std::io::{Read, Write};

/// What is to be copied.
pub struct Copy<'a> {
    /// Needed where the store is one of the ends.
    pub engine: Option<&'a Engine>,
    pub from: &'a Place,
    pub from_reach: &'a Reach,
    pub to: &'a Place,
    pub to_reach: &'a Reach,
    /// Where a new archive goes.
    pub output: Option<&'a mut dyn Write>,
    pub platforms: Platforms,
    /// Between registries: what refers to the image comes along.
    pub referrers: bool,
}

/// Copies; gives the digest of what the target names now.
pub fn copy(request: Copy<'_>, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let Copy { from, to, .. } = request;
    if request.referrers && !matches!((from, to), (Place::Registry(_), Place::Registry(_))) {
        return Err(Error::Unsupported("what refers to an image can be copied between registries only".to_owned()));
    }
    match (from, to) {
        (Place::Registry(from), Place::Registry(to)) => between_registries(&request, from, to, progress),
        (Place::Registry(from), Place::Store(to)) => pull(&request, from, to, progress),
        (Place::Registry(from), _) => download(request, from, progress),
        (Place::Store(from), Place::Registry(to)) => push(&request, from, to, progress),
        (Place::Store(from), Place::Store(to)) => tag(&request, from, to),
        (Place::Store(from), _) => pack(request, from, progress),
        (_, Place::Registry(to)) => upload(&request, to, progress),
        (_, Place::Store(to)) => take_in(&request, to, progress),
        (_, _) => repack(request, progress),
    }
}

fn engine<'a>(request: &Copy<'a>) -> Result<&'a Engine> {
    request.engine.ok_or_else(|| Error::Failed("the store is not open".to_owned()))
}

/// For ends that hold images for one platform.
fn one_platform(request: &Copy<'_>, what: &str) -> Result<Option<Platform>> {
    match &request.platforms {
        Platforms::One(platform) => Ok(platform.clone()),
        Platforms::All => Err(Error::Unsupported(format!("{what} holds images for one platform: leave out --all"))),
    }
}

fn between_registries(
    request: &Copy<'_>,
    from: &Reference,
    to: &Reference,
    progress: &mut dyn FnMut(CopyProgress<'_>),
) -> Result<Digest> {
    let source = request.from_reach.session(&[from.registry()])?;
    let target = request.to_reach.session(&[to.registry()])?;
    let options =
        CopyOptions { platforms: request.platforms.clone(), referrers: request.referrers, ..CopyOptions::default() };
    Ok(registry::copy(&source, from, &target, to, &options, progress)?.digest)
}

/// The source's name means here what it meant before.
fn pull(request: &Copy<'_>, from: &Reference, to: &str, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let (engine, name) = (engine(request)?, new_name(to)?);
    let session = request.from_reach.session(&[from.registry()])?;
    let platform = one_platform(request, "the store")?;
    let options = PullOptions { platform, called: Some(name), ..PullOptions::default() };
    let pulled = registry::pull(&session, engine.store(), from, &options, &mut |event| {
        if let Progress::Layer { digest, step } = event {
            let step = match step {
                Step::Waiting | Step::Extracting => return,
                Step::AlreadyExists => CopyStep::AlreadyExists,
                Step::Downloading { current, total } => CopyStep::Copying { current, total },
                Step::Complete => CopyStep::Copied,
            };
            progress(CopyProgress::Blob { digest, step });
        }
    })?;
    Ok(pulled.image.manifest_digest)
}

fn push(request: &Copy<'_>, from: &str, to: &Reference, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let (engine, options) = (engine(request)?, PushOptions::default());
    let (_, image) = find_here(engine, request.from_reach, from)?;
    let session = request.to_reach.session(&[to.registry()])?;
    let pushed = registry::push(&session, engine.store(), &image, to, &options, &mut |event| {
        if let PushProgress::Layer { diff_id, step } = event {
            let step = match step {
                PushStep::Waiting => return,
                PushStep::AlreadyExists => CopyStep::AlreadyExists,
                PushStep::Mounted { .. } => CopyStep::Mounted,
                PushStep::Pushing { current, total } => CopyStep::Copying { current, total },
                PushStep::Pushed => CopyStep::Copied,
            };
            progress(CopyProgress::Blob { digest: diff_id, step });
        }
    })?;
    Ok(pushed.digest)
}

fn tag(request: &Copy<'_>, from: &str, to: &str) -> Result<Digest> {
    let engine = engine(request)?;
    let (_, image) = find_here(engine, request.from_reach, from)?;
    engine.store().tag(&image, &new_name(to)?)?;
    Ok(image.manifest_digest)
}

fn new_name(text: &str) -> Result<Reference> {
    let name = Reference::parse(text).map_err(super::registries::invalid)?;
    match name.digest() {
        Some(_) => Err(Error::Invalid(format!("{text}: give a tag, a digest is no new name"))),
        None => Ok(name),
    }
}

/// Store to layout or archive: layers as they are kept, uncompressed.
fn pack(request: Copy<'_>, from: &str, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let engine = engine(&request)?;
    let _lease = engine.store().use_images()?;
    let (called, image) = find_here(engine, request.from_reach, from)?;
    let name = match request.to {
        Place::Archive { name: Some(name), .. } => Reference::parse(name).map_err(super::registries::invalid)?,
        _ => called,
    };
    let saved = Saved { image: &image, names: std::slice::from_ref(&name) };
    let plain = Plain::new(engine.store(), &saved)?;
    if let (Place::Archive { format, .. }, Some(output)) = (request.to, request.output) {
        let digest = plain.descriptor.digest.clone();
        drop(plain);
        archive::save(engine.store(), &[saved], *format, output)?;
        return Ok(digest);
    }
    let mut package = match request.to {
        Place::Layout { directory, .. } => Package::layout(directory)?,
        Place::Directory(directory) => Package::directory(directory)?,
        _ => return Err(Error::Failed("there is nothing to write the archive to".to_owned())),
    };
    for layer in &plain.manifest.layers {
        if !package.has(layer) {
            package.put(layer, &mut engine.store().layer_archive(&layer.digest)?)?;
        }
        progress(CopyProgress::Blob { digest: &layer.digest, step: CopyStep::Copied });
    }
    package.put(&plain.manifest.config, &mut plain.config.as_slice())?;
    package.put(&plain.descriptor, &mut plain.bytes.as_slice())?;
    package.finish(&plain.descriptor, &plain.bytes, name_in(request.to, None).as_deref())?;
    Ok(plain.descriptor.digest)
}

/// A layout or archive that is read and may be, and which of its images is meant.
fn outside(request: &Copy<'_>) -> Result<(Outside, Descriptor)> {
    let (outside, transport, name) = match request.from {
        Place::Layout { directory, tag } => (Outside::layout(directory)?, Transport::Oci, tag),
        Place::Directory(directory) => (Outside::directory(directory)?, Transport::Dir, &None),
        Place::Archive { path, name, format } => (Outside::archive(path)?, files::transport(*format), name),
        Place::Registry(_) | Place::Store(_) => return Err(Error::Failed("this is no layout or archive".to_owned())),
    };
    let (path, name) = (files::path_of(outside.descriptor()), name.as_deref());
    files::check(request.from_reach, Local { transport, path: path.as_deref(), name })?;
    let root = outside.find(name)?;
    Ok((outside, root))
}

fn plan_of(request: &Copy<'_>, outside: &Outside, root: Descriptor) -> Result<Plan> {
    plan(root, &request.platforms, &|descriptor| Ok(outside.document(descriptor)?))
}

fn upload(request: &Copy<'_>, to: &Reference, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let (outside, root) = outside(request)?;
    let plan = plan_of(request, &outside, root)?;
    let session = request.to_reach.session(&[to.registry()])?;
    for blob in &plan.blobs {
        registry::blob_put(&session, to, blob, &mut || Ok(outside.blob(blob)?))?;
        progress(CopyProgress::Blob { digest: &blob.digest, step: CopyStep::Copied });
    }
    for document in &plan.documents {
        let digest = &document.descriptor.digest;
        let target = if *digest == plan.root { to.clone() } else { to.with_digest(digest.clone()) };
        registry::manifest_put(&session, &target, &document.descriptor.media_type, &document.bytes)?;
        progress(CopyProgress::Manifest { digest });
    }
    Ok(plan.root)
}

fn take_in(request: &Copy<'_>, to: &str, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let (engine, name) = (engine(request)?, new_name(to)?);
    one_platform(request, "the store")?;
    let (outside, root) = outside(request)?;
    let plan = plan_of(request, &outside, root)?;
    let Some(document) = plan.documents.last() else { return Ok(plan.root) };
    let unreadable = |why: spec::image::Error| Error::Failed(format!("manifest {} {why}", plan.root));
    let manifest = Manifest::parse(&document.bytes).map_err(unreadable)?;
    let bytes = outside.document(&manifest.config)?;
    let config = ImageConfig::parse(&bytes).map_err(unreadable)?;
    let ingest = engine.store().ingest()?;
    ingest.put_blob(&manifest.config, &bytes)?;
    for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
        let step = match ingest.has_layer(layer, diff_id)? {
            true => CopyStep::AlreadyExists,
            false => {
                ingest.layer(&mut outside.blob(layer)?, layer, Some(diff_id))?;
                CopyStep::Copied
            }
        };
        progress(CopyProgress::Blob { digest: &layer.digest, step });
    }
    ingest.finish(&document.bytes, &document.descriptor.media_type, &[name])?;
    Ok(plan.root)
}

fn repack(mut request: Copy<'_>, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let (outside, root) = outside(&request)?;
    let plan = plan_of(&request, &outside, root)?;
    let package = package(&mut request)?;
    deposit(package, &plan, name_in(request.to, None), progress, |blob, take| take(&mut outside.blob(blob)?))?;
    Ok(plan.root)
}

fn download(mut request: Copy<'_>, from: &Reference, progress: &mut dyn FnMut(CopyProgress<'_>)) -> Result<Digest> {
    let session = request.from_reach.session(&[from.registry()])?;
    let found = registry::manifest_get(&session, from)?;
    let root = Descriptor::new(&found.media_type, found.digest.clone(), found.bytes.len() as u64);
    let plan = plan(root, &request.platforms, &|descriptor| match descriptor.digest == found.digest {
        true => Ok(found.bytes.clone()),
        false => Ok(registry::manifest_get(&session, &from.with_digest(descriptor.digest.clone()))?.bytes),
    })?;
    // Before anything is written.
    registry::verify(&session, from, &[&found.digest, &plan.root])?;
    let package = package(&mut request)?;
    let name = name_in(request.to, Some(from.familiar()));
    deposit(package, &plan, name, progress, |blob, take| stream(&session, from, blob, take))?;
    Ok(plan.root)
}

fn package<'a>(request: &mut Copy<'a>) -> Result<Package<'a>> {
    match (request.to, request.output.take()) {
        (Place::Layout { directory, .. }, _) => Ok(Package::layout(directory)?),
        (Place::Directory(directory), _) => Ok(Package::directory(directory)?),
        (Place::Archive { format, .. }, Some(output)) => {
            if *format == archive::Format::Docker {
                one_platform(request, "an archive in docker's form")?;
            }
            Ok(Package::archive(output, *format)?)
        }
        _ => Err(Error::Failed("there is nothing to write to".to_owned())),
    }
}

/// An archive without a name gets that of its source; a layout needs none.
fn name_in(to: &Place, source: Option<String>) -> Option<String> {
    match to {
        Place::Layout { tag, .. } => tag.clone(),
        Place::Archive { name, .. } => name.clone().or(source),
        Place::Directory(_) | Place::Registry(_) | Place::Store(_) => None,
    }
}

type Take<'a> = &'a mut dyn FnMut(&mut dyn Read) -> Result<()>;

/// Writes everything of a plan. `open` gives the bytes of a blob to who takes them.
fn deposit(
    mut package: Package<'_>,
    plan: &Plan,
    name: Option<String>,
    progress: &mut dyn FnMut(CopyProgress<'_>),
    open: impl Fn(&Descriptor, Take<'_>) -> Result<()>,
) -> Result<()> {
    for blob in &plan.blobs {
        let step = match package.has(blob) {
            true => CopyStep::AlreadyExists,
            false => {
                open(blob, &mut |data| Ok(package.put(blob, data)?))?;
                CopyStep::Copied
            }
        };
        progress(CopyProgress::Blob { digest: &blob.digest, step });
    }
    for document in &plan.documents {
        if !package.has(&document.descriptor) {
            package.put(&document.descriptor, &mut document.bytes.as_slice())?;
        }
        progress(CopyProgress::Manifest { digest: &document.descriptor.digest });
    }
    let Some(root) = plan.documents.last() else { return Ok(()) };
    Ok(package.finish(&root.descriptor, &root.bytes, name.as_deref())?)
}

/// A blob of a registry as something to read: one thread writes what another reads.
fn stream(session: &Session, from: &Reference, blob: &Descriptor, take: Take<'_>) -> Result<()> {
    let failed = |error: std::io::Error| Error::Failed(format!("make a pipe: {error}"));
    let (mut reader, mut writer) = std::io::pipe().map_err(failed)?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || registry::blob_get(session, from, blob, &mut writer));
        let taken = take(&mut reader);
        drop(reader);
        let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (taken, sent) {
            // That the pipe is closed is because who reads has failed.
            (Err(error), Err(registry::Error::Stream { .. }) | Ok(())) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Ok(()), Ok(())) => Ok(()),
        }
    })
}
