//! `pull`: manifest, configuration, layers, name, in this order. The command line and everything
//! else that needs an image from a registry calls it. Nothing is visible in the store before the
//! last step; what an interrupted pull leaves is unnamed and goes with the next clean-up.

use std::io::Read;
use std::num::NonZeroUsize;

use image::{Image, Ingest, Store};
use spec::image::{Descriptor, ImageConfig, Manifest};
use spec::{Digest, Platform, Reference};

use crate::Error;
use crate::blob::Blob;
use crate::client::{Client, Purpose};
use crate::layers::{self, Layer};
use crate::manifest::{self, Found, Wanted};
use crate::origins;
use crate::policy::{Policy, Verified};
use crate::progress::{Progress, TagsProgress};
use crate::session::Session;
use crate::signed;
use crate::tags;

/// How to pull.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// The image for this platform; the host's if `None`.
    pub platform: Option<Platform>,
    /// Of an index, the manifest with this digest, whatever its platform.
    pub manifest: Option<Digest>,
    /// Layers that are fetched at the same time; 3 if `None`.
    pub layers_at_once: Option<NonZeroUsize>,
    /// What the image is called here; as on the registry if `None`.
    pub called: Option<Reference>,
}

/// A pulled image.
#[derive(Debug)]
pub struct Pulled {
    pub image: Image,
    /// What the reference names on the registry: the digest of the index, if there is one.
    pub digest: Digest,
    /// The name meant this image before: "Image is up to date".
    pub already_present: bool,
    /// Why the policy lets it through.
    pub verified: Verified,
}

/// Brings the image that `reference` names into `store` and names it so. `Ok` means that the store
/// has all of it, verified, whether or not this call fetched it.
pub fn pull(
    session: &Session,
    store: &Store,
    reference: &Reference,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Pulled, Error> {
    let client = Client::new(session, reference, Purpose::Pull)?;
    let wanted = match &options.manifest {
        Some(digest) => Wanted::Manifest(digest.clone()),
        None => Wanted::Platform(options.platform.clone().unwrap_or_else(Platform::host)),
    };
    let found = manifest::resolve(&client, reference, &wanted)?;
    // Before anything of it has a name here, and also where it is here already: the policy may be newer.
    let digests = [&found.digest, &found.manifest_digest];
    let verified = Policy::load(&session.policy)?.check(&client, reference, &digests)?;
    let names = names(reference, options.called.as_ref(), &found.digest);
    let ingest = store.ingest()?;
    let before = names.first().and_then(|name| store.resolve(&name.to_string()).ok());
    let before = match before {
        Some(image) if is_complete(&ingest, &image, &found, &names)? => {
            signed::note(store, &found.manifest_digest, &verified);
            return Ok(Pulled { image, digest: found.digest, already_present: true, verified });
        }
        other => other,
    };
    progress(Progress::Begin);
    let config = config(&client, &ingest, &found.manifest.config)?;
    let subject = reference.familiar();
    check_config(&config, &found.manifest, options.platform.as_ref())
        .map_err(|cause| Error::Unsupported { what: subject, cause })?;
    let pairs = found.manifest.layers.iter().zip(&config.rootfs.diff_ids);
    let all: Vec<_> = pairs.map(|(blob, diff_id)| Layer { blob, diff_id }).collect();
    let fetched = layers::fetch(&client, &ingest, &all, options.layers_at_once, progress)?;
    let image = ingest.finish_found(&found.bytes, &found.media_type, &names, Some(&found.digest))?;
    signed::note(store, &found.manifest_digest, &verified);
    let is_proven = |layer: &&Layer<'_>| {
        let is_fetched =
            fetched.iter().any(|one| (&one.blob.digest, one.diff_id) == (&layer.blob.digest, layer.diff_id));
        is_fetched || origins::is_form(store, layer.diff_id, layer.blob)
    };
    let proven = all.iter().filter(is_proven).map(|layer| (layer.diff_id, layer.blob));
    origins::note(store, &reference.name(), proven);
    let already_present = before.is_some_and(|before| before.id == image.id);
    Ok(Pulled { image, digest: found.digest, already_present, verified })
}

/// Pulls every tag of a repository, in the registry's order. What has nothing for the platform, is no image, or is
/// refused by the policy, is passed over and said so.
///
/// # Errors
/// `NotFound` if the repository has no tags; else the first failure.
pub fn pull_all_tags(
    session: &Session,
    store: &Store,
    repository: &Reference,
    options: &PullOptions,
    progress: &mut dyn FnMut(TagsProgress<'_>),
) -> Result<Vec<(Reference, Pulled)>, Error> {
    let mut all = Vec::new();
    let tags = tags::tags(session, repository)?;
    if tags.is_empty() {
        let cause = "the repository has none".to_owned();
        return Err(Error::NotFound { what: format!("a tag of {}", repository.familiar_name()), cause });
    }
    for tag in tags {
        let Some(reference) = tags::with_tag(repository, &tag) else { continue };
        progress(TagsProgress::Tag { tag: &tag });
        match pull(session, store, &reference, options, &mut |event| progress(TagsProgress::Image(event))) {
            Ok(pulled) => all.push((reference, pulled)),
            Err(error @ (Error::Platform { .. } | Error::Unsupported { .. })) => {
                progress(TagsProgress::Skipped { tag: &tag, why: &error.to_string() });
            }
            Err(Error::Refused(refusal)) => progress(TagsProgress::Refused { tag: &tag, why: &refusal.to_string() }),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// What the image will be called: its tag, unless a digest was asked for (then the tag was not looked
/// at), and the digest that it has on the registry.
fn names(reference: &Reference, called: Option<&Reference>, digest: &Digest) -> Vec<Reference> {
    let by_digest = reference.with_digest(digest.clone());
    match (called, reference.digest()) {
        (Some(called), _) => vec![called.clone(), by_digest],
        (None, Some(_)) => vec![by_digest],
        (None, None) => vec![reference.clone(), by_digest],
    }
}

/// Whether nothing is left to do. Layers that somebody removed by hand are fetched again.
fn is_complete(ingest: &Ingest, image: &Image, found: &Found, names: &[Reference]) -> Result<bool, Error> {
    if image.manifest_digest != found.manifest_digest || !names.iter().all(|name| image.names.contains(name)) {
        return Ok(false);
    }
    for (blob, diff_id) in image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids) {
        if !ingest.has_layer(blob, diff_id)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fetches the image's configuration, puts it into the store, which verifies it, and reads it.
fn config(client: &Client<'_>, ingest: &Ingest, descriptor: &Descriptor) -> Result<ImageConfig, Error> {
    let limit = spec::image::DOCUMENT_SIZE_MAX;
    if descriptor.size > limit {
        return Err(client.protocol(format!("the image's configuration is larger than {} MiB", limit >> 20)));
    }
    let mut bytes = Vec::new();
    Blob::from(client, descriptor, 0).read_to_end(&mut bytes).map_err(image::Error::Stream)?;
    let actual = image::blob::digest_of(descriptor.digest.algorithm(), &bytes);
    if actual != descriptor.digest {
        return Err(Error::Digest {
            what: "the image's configuration".to_owned(),
            expected: descriptor.digest.to_string(),
            actual: actual.to_string(),
        });
    }
    ingest.put_blob(descriptor, &bytes)?;
    ImageConfig::parse(&bytes)
        .map_err(|why| Error::Unsupported { what: "the image's configuration".to_owned(), cause: format!("it {why}") })
}

/// Whether configuration and manifest describe one image, and one for the platform asked for by
/// name (an index was searched for it; a lone manifest says only here what it is for).
fn check_config(config: &ImageConfig, manifest: &Manifest, wanted: Option<&Platform>) -> Result<(), String> {
    let (diffs, blobs) = (config.rootfs.diff_ids.len(), manifest.layers.len());
    if diffs != blobs {
        return Err(format!("its manifest has {blobs} layers, its configuration {diffs}"));
    }
    let platform = config.platform();
    if platform.os != "linux" {
        return Err(format!("it is for {}, brig runs Linux", crate::answer::printable(&platform.os)));
    }
    match wanted {
        Some(wanted) if wanted.distance(&platform).is_none() => {
            Err(format!("it is for {}, not {wanted}", crate::answer::printable(&platform.to_string())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(os: &str, architecture: &str, layers: usize, wanted: Option<&str>) -> String {
        let digest = Digest::from_hash(&[7; 32]);
        let blob = Descriptor::new(spec::image::media_type::OCI_LAYER, digest.clone(), 1);
        let manifest = Manifest::new(blob.clone(), vec![blob; layers]);
        let mut config =
            ImageConfig { os: os.to_owned(), architecture: architecture.to_owned(), ..ImageConfig::default() };
        config.rootfs.diff_ids = vec![digest];
        let wanted = wanted.map(|text| Platform::parse(text).unwrap());
        check_config(&config, &manifest, wanted.as_ref()).err().unwrap_or_default()
    }

    #[test]
    fn configuration_and_manifest_belong_together() {
        assert_eq!(check("linux", "amd64", 1, None), "");
        assert_eq!(check("linux", "amd64", 2, None), "its manifest has 2 layers, its configuration 1");
        assert_eq!(check("windows", "amd64", 1, None), "it is for windows, brig runs Linux");
    }

    #[test]
    fn a_platform_asked_for_is_enforced() {
        assert_eq!(check("linux", "s390x", 1, None), "");
        assert_eq!(check("linux", "amd64", 1, Some("linux/amd64")), "");
        assert_eq!(check("linux", "amd64", 1, Some("linux/s390x")), "it is for linux/amd64, not linux/s390x");
    }
}
