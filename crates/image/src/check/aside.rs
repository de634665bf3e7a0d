//! A damaged part out of the way, so that a pull brings it anew. It comes back unless something else has taken its
//! place: half a layer is better than none. After a kill it goes with the next sweep, and the part is missing.

use super::Part;
use crate::error::{Error, Result};
use crate::layer::{self, Form, TEMPORARY_PREFIX};
use crate::store::{Lease, Store};
use spec::Digest;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Parts that were taken out of the way; dropping it puts back what has not been replaced.
#[derive(Debug)]
pub struct Aside {
    /// Where each was and is.
    parts: Vec<(PathBuf, PathBuf)>,
    directory: PathBuf,
    /// Without it a sweep would take the directory.
    _lease: Lease,
}

impl Store {
    /// Takes parts out of the way. One that is missing is no error. Containers that have a layer mounted keep it; of one
    /// that is a directory (see [`Store::is_directory`]) the files go from under them, so none may run on it.
    pub fn set_aside<'a>(&self, parts: impl IntoIterator<Item = &'a Part>) -> Result<Aside> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let lease = self.use_images()?;
        let directory = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMPORARY_PREFIX}aside-{}-{number}", std::process::id());
            let directory = self.layers().path().join(name);
            match std::fs::create_dir(&directory) {
                // A killed process with our number has left it; it is swept another time.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                result => result.map_err(Error::io("create directory", &directory))?,
            }
            break directory;
        };
        let mut aside = Aside { parts: Vec::new(), directory, _lease: lease };
        for (number, part) in parts.into_iter().enumerate() {
            let place = match part {
                Part::Blob(digest) => self.blob_path(digest),
                // Its directory, whatever form it has.
                Part::Layer(diff_id) => self.layers().place(diff_id).parent().map(Path::to_owned).unwrap_or_default(),
            };
            let hidden = aside.directory.join(number.to_string());
            match std::fs::rename(&place, &hidden) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                result => result.map_err(Error::io("rename", &place))?,
            }
            aside.parts.push((place, hidden));
        }
        Ok(aside)
    }
}

impl Store {
    /// Whether containers see a layer's files where the store has them.
    pub fn is_directory(&self, diff_id: &Digest) -> bool {
        self.layers().form(diff_id) == Some(Form::Directory)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        for (place, hidden) in &self.parts {
            if !place.exists() {
                let _ = std::fs::rename(hidden, place);
            }
        }
        let _ = layer::remove_tree(&self.directory);
    }
}
