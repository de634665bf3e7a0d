//! `copy`: from registry to registry, byte for byte, whatever the media types. Documents are followed down (an index
//! to its manifests, a manifest to its blobs), blobs go first and documents after what they name, so that the target
//! never has a half of anything. Blobs are mounted where both sides are one registry, else streamed.

use std::collections::HashSet;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::time::Instant;

use serde::Deserialize;
use spec::image::{Descriptor, media_type};
use spec::{Digest, Platform, Reference};

use crate::Error;
use crate::blob::Blob;
use crate::client::{Client, Purpose};
use crate::document::{self, Fetched};
use crate::layers::REPORT_EVERY;
use crate::policy::Policy;
use crate::referrers;
use crate::session::Session;
use crate::upload;
use crate::workers::{self, Reporter};

/// Indexes within indexes, and referrers of referrers, that are followed.
const DEPTH_MAX: usize = 8;
/// Documents of one copy: a registry cannot make it endless.
const DOCUMENTS_MAX: usize = 10_000;

/// What is copied of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platforms {
    /// The image for one platform, which becomes what the target names; the host's if `None`.
    One(Option<Platform>),
    /// The index with everything in it.
    All,
}

impl Default for Platforms {
    fn default() -> Platforms {
        Platforms::One(None)
    }
}

/// How to copy.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    pub platforms: Platforms,
    /// What refers to the copied manifests comes along: signatures, attestations.
    pub referrers: bool,
    /// Blobs that are copied at the same time; 3 if `None`.
    pub layers_at_once: Option<NonZeroUsize>,
}

/// What a copy tells its caller while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyProgress<'a> {
    /// A document is on the target.
    Manifest { digest: &'a Digest },
    /// A blob has reached a step.
    Blob { digest: &'a Digest, step: CopyStep },
}

/// How far a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStep {
    AlreadyExists,
    Mounted,
    /// Bytes that the target has so far and in all.
    Copying {
        current: u64,
        total: u64,
    },
    Copied,
}

/// The parts of any document that name others (image-spec manifest.md, image-index.md; OCI's former artifact
/// manifest has `blobs`).
#[derive(Deserialize)]
struct Links {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// Copies what `source` names to `target`, if the policy allows it; gives the document that `target` names now.
///
/// # Errors
/// Those of reading and writing; `Platform` if an index has nothing for the platform asked for; `Refused`.
pub fn copy(
    from: &Session,
    source: &Reference,
    to: &Session,
    target: &Reference,
    options: &CopyOptions,
    progress: &mut dyn FnMut(CopyProgress<'_>),
) -> Result<Fetched, Error> {
    let policy = Policy::load(&from.policy)?;
    let (from, to) = (Client::new(from, source, Purpose::Pull)?, Client::new(to, target, Purpose::Push)?);
    let what = format!("manifest for {}", source.familiar());
    let mut root = document::get(&from, &what, document::name(source), source.digest())?;
    let named = root.digest.clone();
    if let Platforms::One(platform) = &options.platforms {
        root = choose(&from, source, root, platform.clone().unwrap_or_else(Platform::host))?;
    }
    policy.check(&from, source, &[&named, &root.digest])?;
    if let Some(wanted) = target.digest().filter(|wanted| **wanted != root.digest) {
        let cause = format!("its digest is {}, so it cannot be written as {wanted}", root.digest);
        return Err(Error::Unsupported { what, cause });
    }
    let mount = from.authority() == to.authority() && from.home().repository() != to.home().repository();
    let mount_from = mount.then(|| from.home().repository().to_owned());
    let mut copy = Copy { from, to, options, mount_from, blobs: HashSet::new(), documents: HashSet::new() };
    copy.tree(&root, document::name(target), 0, progress)?;
    Ok(root)
}

/// The image for a platform, through as many indexes as there are.
fn choose(from: &Client<'_>, source: &Reference, root: Fetched, platform: Platform) -> Result<Fetched, Error> {
    let mut found = root;
    for _ in 0..DEPTH_MAX {
        let links = links(&found)?;
        let Some(manifests) = links.manifests else { return Ok(found) };
        let index = spec::image::Index::new(manifests);
        let entry = index.choose(&platform).ok_or_else(|| Error::Platform {
            reference: source.familiar(),
            wanted: platform.to_string(),
            available: crate::manifest::available(&index),
        })?;
        found = fetch(from, entry)?;
    }
    Err(nested(source.familiar()))
}

fn nested(what: String) -> Error {
    Error::Unsupported { what, cause: format!("it is nested more than {DEPTH_MAX} deep") }
}

/// A document that another one names; of the size that is said there.
fn fetch(from: &Client<'_>, entry: &Descriptor) -> Result<Fetched, Error> {
    let what = format!("manifest {}", entry.digest);
    let found = document::get(from, &what, entry.digest.as_str(), Some(&entry.digest))?;
    if found.bytes.len() as u64 != entry.size {
        let cause = format!("{what} has {} bytes, not {} as is said of it", found.bytes.len(), entry.size);
        return Err(from.protocol(cause));
    }
    Ok(found)
}

fn links(document: &Fetched) -> Result<Links, Error> {
    let links: Result<Links, _> = serde_json::from_slice(&document.bytes);
    links.map_err(|error| Error::Unsupported {
        what: format!("manifest {}", document.digest),
        cause: format!("it cannot be read: {error}"),
    })
}

/// A copy under way.
struct Copy<'a> {
    from: Client<'a>,
    to: Client<'a>,
    options: &'a CopyOptions,
    mount_from: Option<String>,
    /// What is on the target already.
    blobs: HashSet<Digest>,
    documents: HashSet<Digest>,
}

impl Copy<'_> {
    /// Copies a document under `name` after everything that it names.
    fn tree(
        &mut self,
        document: &Fetched,
        name: &str,
        depth: usize,
        progress: &mut dyn FnMut(CopyProgress<'_>),
    ) -> Result<(), Error> {
        let what = format!("manifest {}", document.digest);
        if depth > DEPTH_MAX {
            return Err(nested(what));
        }
        let is_new = self.documents.insert(document.digest.clone());
        if self.documents.len() > DOCUMENTS_MAX {
            let cause = format!("it leads to more than {DOCUMENTS_MAX} documents");
            return Err(Error::Unsupported { what, cause });
        }
        if is_new {
            let links = links(document)?;
            let children = links.manifests.unwrap_or_default();
            let blobs =
                links.config.into_iter().chain(links.layers.unwrap_or_default()).chain(links.blobs.unwrap_or_default());
            self.send_blobs(blobs, progress)?;
            for child in children {
                let is_blob = !is_document(&child.media_type);
                if is_blob {
                    self.send_blobs(std::iter::once(child), progress)?;
                } else if !self.documents.contains(&child.digest) {
                    let found = fetch(&self.from, &child)?;
                    self.tree(&found, child.digest.as_str(), depth + 1, progress)?;
                }
            }
        }
        document::put(&self.to, &what, name, &document.media_type, &document.bytes)?;
        progress(CopyProgress::Manifest { digest: &document.digest });
        if is_new && self.options.referrers {
            for referrer in referrers::of(&self.from, &document.digest)? {
                if !self.documents.contains(&referrer.digest) {
                    let found = fetch(&self.from, &referrer)?;
                    self.tree(&found, referrer.digest.as_str(), depth + 1, progress)?;
                }
            }
        }
        Ok(())
    }

    /// Copies blobs, each once. What lies elsewhere by its descriptor (`urls`) and is not on the registry stays there.
    fn send_blobs(
        &mut self,
        blobs: impl Iterator<Item = Descriptor>,
        progress: &mut dyn FnMut(CopyProgress<'_>),
    ) -> Result<(), Error> {
        let wanted: Vec<Descriptor> =
            blobs.filter(|blob| blob.urls.is_empty() && self.blobs.insert(blob.digest.clone())).collect();
        let this = &*self;
        let work = |blob: &Descriptor, reporter: &Reporter<'_, (Digest, CopyStep)>| this.send_blob(blob, reporter);
        let event = |(digest, step): (Digest, CopyStep)| progress(CopyProgress::Blob { digest: &digest, step });
        workers::run(&wanted, self.options.layers_at_once, work, event).map(|_| ())
    }

    fn send_blob(&self, blob: &Descriptor, reporter: &Reporter<'_, (Digest, CopyStep)>) -> Result<(), Error> {
        let report = |step| reporter.report((blob.digest.clone(), step));
        if upload::exists(&self.to, &blob.digest)? {
            report(CopyStep::AlreadyExists);
            return Ok(());
        }
        if let Some(from) = &self.mount_from
            && upload::mount(&self.to, &blob.digest, from)?
        {
            report(CopyStep::Mounted);
            return Ok(());
        }
        // Threads of an upload do not outlive it, but a boxed reader must be free to be sent.
        let mut reported: Option<Instant> = None;
        let mut open = || -> Result<Box<dyn Read + Send + '_>, Error> {
            Ok(Box::new(Stoppable { blob: Blob::from(&self.from, blob, 0), reporter }))
        };
        let mut progress = |current| {
            if reported.is_none_or(|then| then.elapsed() >= REPORT_EVERY) {
                reported = Some(Instant::now());
                report(CopyStep::Copying { current, total: blob.size });
            }
        };
        upload::send(&self.to, Some(blob), &mut open, &mut progress)?;
        report(CopyStep::Copied);
        Ok(())
    }
}

/// Whether an index's entry is a document of its own; an entry without a type is one.
fn is_document(kind: &str) -> bool {
    kind.is_empty()
        || media_type::is_index(kind)
        || media_type::is_manifest(kind)
        || kind == "application/vnd.oci.artifact.manifest.v1+json"
}

/// A blob that ends when another one has failed.
struct Stoppable<'a, 'r> {
    blob: Blob<'a>,
    reporter: &'r Reporter<'r, (Digest, CopyStep)>,
}

impl Read for Stoppable<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.reporter.is_stopped() {
            return Err(io::Error::other("another blob failed"));
        }
        self.blob.read(buffer)
    }
}
