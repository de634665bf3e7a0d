//! Where the compressed forms of layers have been seen: `images/origins/<diff id>` lists blobs, each with the
//! repositories that have it. A push asks a registry for these before it compresses anything, and for a mount where
//! another of its repositories is listed. Losing them costs time alone, but no false one may get in: a blob is noted only
//! when it was unpacked to the layer, or made of it, here. What a manifest says of a layer that was here already is no
//! proof, and whoever pushed on top of that would spread a stranger's blob under a name of his own.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use image::Store;
use serde::{Deserialize, Serialize};
use spec::Digest;
use spec::image::Descriptor;

/// Blobs of one layer and repositories of one blob that are remembered, newest first.
const BLOBS_MAX: usize = 8;
const REPOSITORIES_MAX: usize = 16;

/// A compressed form of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub blob: Descriptor,
    /// `localhost:5000/team/app`.
    pub repositories: Vec<String>,
}

/// The known compressed forms of a layer, newest first.
pub fn of(store: &Store, diff_id: &Digest) -> Vec<Origin> {
    std::fs::read(path(store, diff_id)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Whether a blob is known to be a compressed form of the layer, or is the layer itself.
pub fn is_form(store: &Store, diff_id: &Digest, blob: &Descriptor) -> bool {
    let is_same = |known: &Descriptor| known.digest == blob.digest && known.size == blob.size;
    blob.digest == *diff_id
        || store.kept_form(diff_id).as_ref() == Some(&blob.digest)
        || of(store, diff_id).iter().any(|origin| is_same(&origin.blob))
}

/// Notes that `repository` has `blob` for each of the layers. A failure is not reported, see the module.
pub fn note<'a>(store: &Store, repository: &str, layers: impl Iterator<Item = (&'a Digest, &'a Descriptor)>) {
    let _ = write(store, repository, layers);
}

fn write<'a>(
    store: &Store,
    repository: &str,
    layers: impl Iterator<Item = (&'a Digest, &'a Descriptor)>,
) -> std::io::Result<()> {
    let directory = store.images_path().join("origins");
    std::fs::create_dir_all(&directory)?;
    let lock = File::open(&directory)?;
    lock.lock()?;
    sweep(store)?;
    for (diff_id, blob) in layers {
        let known = of(store, diff_id);
        let origins = with(known.clone(), repository, blob);
        if origins == known {
            continue;
        }
        // No sync: after a power cut the file may be empty, which says nothing.
        let temporary = directory.join(".new");
        File::create(&temporary)?.write_all(&serde_json::to_vec(&origins)?)?;
        std::fs::rename(&temporary, path(store, diff_id))?;
    }
    Ok(())
}

/// Adds one sighting in front.
fn with(mut origins: Vec<Origin>, repository: &str, blob: &Descriptor) -> Vec<Origin> {
    let position = origins.iter().position(|origin| origin.blob.digest == blob.digest);
    let mut origin = match position {
        Some(position) => origins.remove(position),
        None => {
            Origin { blob: Descriptor::new(&blob.media_type, blob.digest.clone(), blob.size), repositories: Vec::new() }
        }
    };
    origin.repositories.retain(|known| known != repository);
    origin.repositories.insert(0, repository.to_owned());
    origin.repositories.truncate(REPOSITORIES_MAX);
    origins.insert(0, origin);
    origins.truncate(BLOBS_MAX);
    origins
}

/// Removes what is noted of layers that are gone.
fn sweep(store: &Store) -> std::io::Result<()> {
    let Some(layers) = store.images_path().parent().map(|root| root.join("layers")) else { return Ok(()) };
    for entry in std::fs::read_dir(store.images_path().join("origins"))?.flatten() {
        if !layers.join(entry.file_name()).exists() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn path(store: &Store, diff_id: &Digest) -> PathBuf {
    store.images_path().join("origins").join(diff_id.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_first_and_the_list_ends() {
        let blob = |byte: u8| Descriptor::new("x+gzip", Digest::from_hash(&[byte; 32]), 1);
        let mut origins = Vec::new();
        for (byte, repository) in [(1, "r/a"), (2, "r/b"), (1, "r/c"), (1, "r/a")] {
            origins = with(origins, repository, &blob(byte));
        }
        assert_eq!(origins[0].repositories, ["r/a", "r/c"]);
        assert_eq!(origins[1].blob.digest, blob(2).digest);
        for byte in 0..20 {
            origins = with(origins, "r/a", &blob(byte));
        }
        assert_eq!(origins.len(), BLOBS_MAX);
    }
}
