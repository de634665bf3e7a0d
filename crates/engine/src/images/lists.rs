//! Lists of manifests that are made here and not yet on a registry: `images/lists/<digest of the name>`, a JSON file
//! each, replaced as a whole under one lock. What the commands do with them is in `manifests.rs`.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file;
use kernel::Context;
use kernel::lock::Lock;
use serde::{Deserialize, Serialize};
use spec::Reference;
use spec::digest::Algorithm;
use spec::image::{Descriptor, Index, media_type};
use std::io::ErrorKind;
use std::path::PathBuf;

/// A list that was made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    pub name: Reference,
    pub entries: Vec<Entry>,
}

/// One image of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is.
    pub image: Reference,
    /// Of its manifest, with the platform.
    pub descriptor: Descriptor,
    /// The manifest, byte for byte: it is JSON, and so text.
    pub manifest: String,
}

impl List {
    /// OCI's type as soon as one of the images has it: docker's lists hold docker's manifests only.
    pub fn media_type(&self) -> &'static str {
        let is_docker = |entry: &Entry| entry.descriptor.media_type == media_type::DOCKER_MANIFEST;
        match !self.entries.is_empty() && self.entries.iter().all(is_docker) {
            true => media_type::DOCKER_INDEX,
            false => media_type::OCI_INDEX,
        }
    }

    pub fn index(&self) -> Index {
        let descriptors = self.entries.iter().map(|entry| entry.descriptor.clone()).collect();
        Index { media_type: self.media_type().to_owned(), ..Index::new(descriptors) }
    }

    /// Puts an entry in the place of the one of the same name, else behind the others.
    pub fn put(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|known| known.image == entry.image) {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }
}

/// The list of that name, if there is one here.
pub fn read(engine: &Engine, name: &Reference) -> Result<Option<List>> {
    file::read_json(&path(engine, name))
}

/// Changes a list; `None` stands for one that is not there, before and after. Nothing is written if `change` fails.
pub fn update<T>(engine: &Engine, name: &Reference, change: impl FnOnce(&mut Option<List>) -> Result<T>) -> Result<T> {
    let directory = directory(engine);
    file::make_directory(&directory)?;
    let _lock = Lock::exclusive(&directory.join("lock"))?;
    let path = path(engine, name);
    let mut list = read(engine, name)?;
    let before = list.clone();
    let done = change(&mut list)?;
    match &list {
        None if before.is_some() => std::fs::remove_file(&path).during_at("remove", &path)?,
        Some(list) if before.as_ref() != Some(list) => file::write_json(&path, list)?,
        _ => {}
    }
    Ok(done)
}

/// Removes a list.
pub fn remove(engine: &Engine, name: &Reference) -> Result<()> {
    let path = path(engine, name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(no_such(name)),
        result => Ok(result.during_at("remove", &path)?),
    }
}

pub(super) fn no_such(name: &Reference) -> Error {
    Error::NotFound(format!("No such manifest: {}", name.familiar()))
}

fn directory(engine: &Engine) -> PathBuf {
    engine.store().images_path().join("lists")
}

/// Names may be longer than file names.
fn path(engine: &Engine, name: &Reference) -> PathBuf {
    let digest = image::blob::digest_of(Algorithm::Sha256, name.to_string().as_bytes());
    directory(engine).join(format!("{}.json", digest.hex()))
}
