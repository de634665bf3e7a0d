//! Archives of whole images: `load` and `save`, in docker's and in OCI's form.
//!
//! Since version 25 docker writes both forms into one archive: an OCI image layout with docker's
//! `manifest.json` next to it. So does `save`. `load` also takes docker's older layout (a directory
//! per layer, with links between them), and any of it compressed.

mod bundle;
mod docker;
mod oci;
mod outside;
mod package;
mod save;

pub use outside::Outside;
pub use package::Package;
pub use save::{Format, Plain, Saved, save};

use crate::error::{Error, Result};
use crate::store::{Image, Store};
use bundle::Bundle;
use spec::{Platform, Reference};
use std::fs::File;
use std::io::Read;

/// Where an archive comes from. A file is read in place when it is not compressed; of anything else what cannot be used
/// when it comes is first written to the store's temporary directory, since parts come in any order.
pub enum Input<'a> {
    File(File),
    Stream(&'a mut dyn Read),
}

/// An image that was loaded, and the names that the archive gave it.
#[derive(Debug)]
pub struct Loaded {
    pub image: Image,
    pub names: Vec<Reference>,
}

/// Takes in all images of an archive, of several platforms the one for `platform`. Images before
/// a broken one stay loaded.
pub fn load(store: &Store, input: Input<'_>, platform: &Platform) -> Result<Vec<Loaded>> {
    let ingest = store.ingest()?;
    let bundle = Bundle::open(input, &ingest, platform)?;
    let index = bundle.document("index.json")?;
    let manifest = bundle.document("manifest.json")?;
    // OCI's form first: only it keeps the digest of the manifest.
    let loaded = match (index, manifest) {
        (Some(index), manifest) => oci::load(&ingest, &bundle, &index, manifest.as_deref(), platform)?,
        (None, Some(manifest)) => docker::load(store, &ingest, &bundle, &manifest)?,
        (None, None) => {
            let why = "holds no image (neither index.json nor manifest.json); \
                       if it is a root file system, use import";
            return Err(Error::invalid("archive", why));
        }
    };
    if loaded.is_empty() {
        return Err(Error::invalid("archive", format_args!("holds no image for {platform}")));
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests;
