//! Manifests on registries and lists of them: docker's `manifest` commands. A list is made here (`lists.rs`), image by
//! image, and pushed as an index; the images themselves are on registries and are brought into the list's repository by
//! the push.

use super::lists::{self, Entry, List, no_such};
use super::registries::{Reach, invalid};
use crate::engine::Engine;
use crate::error::{Error, Result};
use registry::{CopyOptions, Fetched, Platforms, Session};
use serde::Serialize;
use spec::image::{DOCUMENT_SIZE_MAX, Descriptor, Document, ImageConfig, Index};
use spec::{Digest, Platform, Reference};

/// What `inspect` has found.
#[derive(Debug)]
pub enum Inspected {
    /// A list that was made here.
    List(List),
    /// An index on a registry, byte for byte.
    Index { reference: Reference, bytes: Vec<u8> },
    /// One image.
    Image(Box<Entry>),
}

/// What is said of an image of a list; `None` and empty leave alone what is said already.
#[derive(Debug, Clone, Default)]
pub struct Annotation {
    pub os: Option<String>,
    pub architecture: Option<String>,
    pub variant: Option<String>,
    pub os_version: Option<String>,
    pub os_features: Vec<String>,
}

/// Makes a list of images that are on registries; with `amend` adds them to one that is there.
pub fn create(engine: &Engine, reach: &Reach, name: &str, images: &[String], amend: bool) -> Result<Reference> {
    let name = Reference::parse(name).map_err(invalid)?;
    let refuse = || Error::Conflict("refusing to amend an existing manifest list with no --amend flag".to_owned());
    if !amend && lists::read(engine, &name)?.is_some() {
        return Err(refuse());
    }
    // Registries are slow, so they are asked before the lock is taken.
    let entries: Result<Vec<Entry>> = images.iter().map(|image| entry(reach, image)).collect();
    let entries = entries?;
    lists::update(engine, &name, |list| {
        if list.is_some() && !amend {
            return Err(refuse());
        }
        let list = list.get_or_insert_with(|| List { name: name.clone(), entries: Vec::new() });
        entries.into_iter().for_each(|entry| list.put(entry));
        Ok(())
    })?;
    Ok(name)
}

/// Adds images to a list that is there.
pub fn add(
    engine: &Engine,
    reach: &Reach,
    name: &str,
    images: &[String],
    annotation: &Annotation,
) -> Result<Reference> {
    let name = Reference::parse(name).map_err(invalid)?;
    if lists::read(engine, &name)?.is_none() {
        return Err(no_such(&name));
    }
    let mut entries = Vec::new();
    for image in images {
        let mut entry = entry(reach, image)?;
        apply(&mut entry, annotation)?;
        entries.push(entry);
    }
    lists::update(engine, &name, |list| {
        let list = list.as_mut().ok_or_else(|| no_such(&name))?;
        entries.into_iter().for_each(|entry| list.put(entry));
        Ok(())
    })?;
    Ok(name)
}

/// Says more about an image of a list.
pub fn annotate(engine: &Engine, name: &str, image: &str, annotation: &Annotation) -> Result<()> {
    let (name, image) = (Reference::parse(name).map_err(invalid)?, Reference::parse(image).map_err(invalid)?);
    lists::update(engine, &name, |list| {
        let entries = list.iter_mut().flat_map(|list| &mut list.entries);
        let entry = entries.into_iter().find(|entry| entry.image == image).ok_or_else(|| {
            let (image, name) = (image.familiar(), name.familiar());
            Error::NotFound(format!("manifest for image {image} does not exist in {name}"))
        })?;
        apply(entry, annotation)
    })
}

fn apply(entry: &mut Entry, annotation: &Annotation) -> Result<()> {
    let nothing = || Platform {
        architecture: String::new(),
        os: String::new(),
        os_version: String::new(),
        os_features: Vec::new(),
        variant: String::new(),
    };
    let platform = entry.descriptor.platform.get_or_insert_with(nothing);
    let set = |field: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            field.clone_from(value);
        }
    };
    set(&mut platform.os, &annotation.os);
    set(&mut platform.architecture, &annotation.architecture);
    set(&mut platform.variant, &annotation.variant);
    set(&mut platform.os_version, &annotation.os_version);
    for feature in &annotation.os_features {
        if !platform.os_features.contains(feature) {
            platform.os_features.push(feature.clone());
        }
    }
    // Words that no tool writes are mistakes of typing.
    if Platform::new(&platform.os, &platform.architecture, "").is_known() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "manifest entry for image has unsupported os/arch combination: {}/{}",
        platform.os, platform.architecture
    )))
}

/// What `name` is: a list that was made here, else what a registry has. With `list` it is an image of that list, and
/// what was made here is all that is looked at.
pub fn inspect(engine: &Engine, reach: &Reach, list: Option<&str>, name: &str) -> Result<Inspected> {
    let reference = Reference::parse(name).map_err(invalid)?;
    if let Some(list) = list {
        let list = Reference::parse(list).map_err(invalid)?;
        let entries = lists::read(engine, &list)?.map(|list| list.entries).unwrap_or_default();
        let entry = entries.into_iter().find(|entry| entry.image == reference);
        return entry.map(|entry| Inspected::Image(Box::new(entry))).ok_or_else(|| no_such(&reference));
    }
    if let Some(list) = lists::read(engine, &reference)? {
        return Ok(Inspected::List(list));
    }
    let (session, reference, fetched) = fetch(reach, name)?;
    match Document::parse(&fetched.bytes) {
        Ok(Document::Index(_)) => Ok(Inspected::Index { reference, bytes: fetched.bytes }),
        // An artifact has a manifest like an image, and no platform.
        _ => match described(&session, &reference, fetched) {
            Ok(entry) => Ok(Inspected::Image(Box::new(entry))),
            Err((registry::Error::Unsupported { .. }, entry)) => Ok(Inspected::Image(entry)),
            Err((error, _)) => Err(error.into()),
        },
    }
}

/// The images of an index on a registry.
pub fn members(reach: &Reach, reference: &Reference, index: &[u8]) -> Result<Vec<Entry>> {
    let index = Index::parse(index).map_err(|why| Error::Failed(format!("{} {why}", reference.familiar())))?;
    let session = reach.session(&[reference.registry()])?;
    let member = |descriptor: &Descriptor| {
        let fetched = registry::manifest_get(&session, &reference.with_digest(descriptor.digest.clone()))?;
        let named = format!("{reference}@{}", descriptor.digest);
        let image = Reference::parse(&named).unwrap_or_else(|_| reference.with_digest(descriptor.digest.clone()));
        Ok(Entry { image, descriptor: descriptor.clone(), manifest: text(fetched.bytes) })
    };
    index.manifests.iter().map(member).collect()
}

/// Sends a list to the registry of its name, the images that are elsewhere first; `purge` removes it here then.
/// `pushed` is told each image. Gives the digest of the list.
pub fn push(
    engine: &Engine,
    reach: &Reach,
    name: &str,
    target: Option<&str>,
    purge: bool,
    pushed: &mut dyn FnMut(&Reference),
) -> Result<Digest> {
    let name = Reference::parse(name).map_err(invalid)?;
    let list = lists::read(engine, &name)?.ok_or_else(|| no_such(&name))?;
    let target = target.map_or(Ok(name.clone()), Reference::parse).map_err(invalid)?;
    let mut registries: Vec<&str> = list.entries.iter().map(|entry| entry.image.registry()).collect();
    registries.push(target.registry());
    let session = reach.session(&registries)?;
    let options = CopyOptions { platforms: Platforms::All, ..CopyOptions::default() };
    for entry in &list.entries {
        let digest = &entry.descriptor.digest;
        let (from, to) = (entry.image.with_digest(digest.clone()), target.with_digest(digest.clone()));
        if from != to {
            registry::copy(&session, &from, &session, &to, &options, &mut |_| ())?;
        }
        pushed(&to);
    }
    let digest = registry::manifest_put(&session, &target, list.media_type(), &to_bytes(&list.index()))?;
    if purge {
        lists::remove(engine, &name)?;
    }
    Ok(digest)
}

/// Removes a list that was made here.
pub fn remove(engine: &Engine, name: &str) -> Result<()> {
    lists::remove(engine, &Reference::parse(name).map_err(invalid)?)
}

/// An image for a list.
fn entry(reach: &Reach, image: &str) -> Result<Entry> {
    let (session, reference, fetched) = fetch(reach, image)?;
    if let Ok(Document::Index(_)) = Document::parse(&fetched.bytes) {
        return Err(Error::Invalid(format!("{} is a manifest list", reference.familiar())));
    }
    Ok(described(&session, &reference, fetched).map_err(|(error, _)| error)?)
}

fn fetch(reach: &Reach, name: &str) -> Result<(Session, Reference, Fetched)> {
    let reference = Reference::parse(name).map_err(invalid)?;
    let session = reach.session(&[reference.registry()])?;
    match registry::manifest_get(&session, &reference) {
        Ok(fetched) => Ok((session, reference, fetched)),
        Err(registry::Error::NotFound { .. }) => {
            Err(Error::NotFound(format!("no such manifest: {}", reference.familiar())))
        }
        Err(error) => Err(error.into()),
    }
}

/// A manifest with the platform that its configuration names; if there is none, the entry comes with the error.
fn described(
    session: &Session,
    reference: &Reference,
    fetched: Fetched,
) -> Result<Entry, (registry::Error, Box<Entry>)> {
    let descriptor = Descriptor::new(&fetched.media_type, fetched.digest.clone(), fetched.bytes.len() as u64);
    let document = Document::parse(&fetched.bytes);
    let mut entry = Entry { image: reference.clone(), descriptor, manifest: text(fetched.bytes) };
    let platform = match document {
        Ok(Document::Manifest(manifest)) => platform(session, reference, &manifest.config),
        _ => Err(no_image(reference)),
    };
    match platform {
        Ok(platform) => {
            entry.descriptor.platform = Some(platform);
            Ok(entry)
        }
        Err(error) => Err((error, Box::new(entry))),
    }
}

fn no_image(reference: &Reference) -> registry::Error {
    let cause = "it says of no platform that it is for it".to_owned();
    registry::Error::Unsupported { what: reference.familiar(), cause }
}

fn platform(session: &Session, reference: &Reference, config: &Descriptor) -> Result<Platform, registry::Error> {
    if config.size > DOCUMENT_SIZE_MAX {
        return Err(no_image(reference));
    }
    let mut bytes = Vec::new();
    registry::blob_get(session, reference, config, &mut bytes)?;
    let config = ImageConfig::parse(&bytes).map_err(|_| no_image(reference))?;
    if config.architecture.is_empty() {
        return Err(no_image(reference));
    }
    Ok(Platform {
        architecture: config.architecture,
        os: config.os,
        os_version: String::new(),
        os_features: Vec::new(),
        variant: config.variant,
    })
}

/// Documents are JSON; one that is not text was refused before.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

/// An index as docker writes it, so that the same images give the same digest.
pub fn to_bytes(index: &Index) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written<'a> {
        schema_version: u32,
        media_type: &'a str,
        manifests: Vec<Member<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Member<'a> {
        media_type: &'a str,
        size: u64,
        digest: &'a Digest,
        #[serde(skip_serializing_if = "Option::is_none")]
        platform: Option<&'a Platform>,
    }
    fn member(descriptor: &Descriptor) -> Member<'_> {
        let Descriptor { media_type, size, digest, platform, .. } = descriptor;
        Member { media_type, size: *size, digest, platform: platform.as_ref() }
    }
    let written = Written {
        schema_version: 2,
        media_type: &index.media_type,
        manifests: index.manifests.iter().map(member).collect(),
    };
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, format);
    // Memory takes everything, and all keys are text.
    let _ = written.serialize(&mut serializer);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::digest::Algorithm;
    use spec::image::media_type;

    fn member(architecture: &str, variant: &str) -> Entry {
        let digest = "sha256:b9758bf8771629dfb4745fc0e17ad9649f2327123e68ad710aeaa09e24c39f23";
        let mut descriptor = Descriptor::new(media_type::DOCKER_MANIFEST, Digest::parse(digest).unwrap(), 527);
        descriptor.platform = Some(Platform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            os_version: String::new(),
            os_features: Vec::new(),
            variant: variant.to_owned(),
        });
        let image = Reference::parse(&format!("127.0.0.1:5055/bb:{architecture}")).unwrap();
        Entry { image, descriptor, manifest: String::new() }
    }

    /// The digest is that of what docker 28.5 pushed for the same images.
    #[test]
    fn lists_are_dockers_byte_for_byte() {
        let name = Reference::parse("127.0.0.1:5055/l:1").unwrap();
        let list = List { name, entries: vec![member("amd64", ""), member("arm64", "v8")] };
        assert_eq!(list.media_type(), media_type::DOCKER_INDEX);
        let digest = image::blob::digest_of(Algorithm::Sha256, &to_bytes(&list.index()));
        assert_eq!(digest.as_str(), "sha256:c1967c0c899a3aa04217c9b73dfec8402278d96d710ae71186b8f33d1d4f9e0f");
    }

    #[test]
    fn annotations_must_name_platforms_that_exist() {
        let mut entry = member("amd64", "");
        let say = |os: &str, architecture: &str| Annotation {
            os: Some(os.to_owned()),
            architecture: Some(architecture.to_owned()),
            ..Annotation::default()
        };
        apply(&mut entry, &say("linux", "arm64")).unwrap();
        assert_eq!(entry.descriptor.platform.as_ref().unwrap().architecture, "arm64");
        for bad in [("linux", "foo"), ("beos", "amd64"), ("linux", "")] {
            assert!(apply(&mut entry, &say(bad.0, bad.1)).is_err(), "{bad:?}");
        }
    }
}
