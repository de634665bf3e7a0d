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
use spec::image::ImageConfig;
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

/// Takes in all images of an archive, of several platforms the one for the host. Where `platform` is given, only images
/// for that one; of one name the store holds the image for one platform. Images before a broken one stay loaded.
/// `admit` is asked about the form that is read, before any image is.
pub fn load<E: From<Error>>(
    store: &Store,
    input: Input<'_>,
    platform: Option<&Platform>,
    admit: impl FnOnce(Format) -> Result<(), E>,
) -> Result<Vec<Loaded>, E> {
    let ingest = store.ingest()?;
    let wanted = Wanted { platform: platform.cloned().unwrap_or_else(Platform::host), alone: platform.is_some() };
    let bundle = Bundle::open(input, &ingest, &wanted.platform)?;
    let index = bundle.document("index.json")?;
    let manifest = bundle.document("manifest.json")?;
    admit(if index.is_some() { Format::Oci } else { Format::Docker })?;
    // OCI's form first: only it keeps the digest of the manifest.
    let loaded = match (index, manifest) {
        (Some(index), manifest) => oci::load(&ingest, &bundle, &index, manifest.as_deref(), &wanted)?,
        (None, Some(manifest)) => docker::load(store, &ingest, &bundle, &manifest, &wanted)?,
        (None, None) => {
            let why = "holds no image (neither index.json nor manifest.json); \
                       if it is a root file system, use import";
            return Err(Error::invalid("archive", why).into());
        }
    };
    if loaded.is_empty() {
        let remedy = "choose another with --platform";
        return Err(Error::invalid("archive", format_args!("holds no image for {}: {remedy}", wanted.platform)).into());
    }
    Ok(loaded)
}

/// Which images of an archive come in.
struct Wanted {
    /// Of several, the one for this.
    platform: Platform,
    /// One that is alone must be for it, too.
    alone: bool,
}

impl Wanted {
    fn takes(&self, config: &ImageConfig) -> bool {
        !self.alone || self.platform.distance(&config.platform()).is_some()
    }
}

#[cfg(test)]
mod tests;
