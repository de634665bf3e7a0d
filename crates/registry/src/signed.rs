//! Who had signed an image when it was last pulled: `images/signed/<manifest digest>`, for those who look at it later.
//! Nothing is decided by it: every pull asks the policy anew.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use image::{Image, Store};
use serde::{Deserialize, Serialize};
use spec::Digest;

use crate::policy::Verified;

/// What the policy has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// What was signed: the image's manifest, or an index that it came from.
    pub digest: Digest,
    /// Files of keys, and identities as the policy names them.
    pub signers: Vec<String>,
}

/// What was found when the image was pulled; `None` if no signature was asked for.
pub fn signed(store: &Store, image: &Image) -> Option<Signed> {
    let text = std::fs::read(path(store, &image.manifest_digest)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Notes what the policy has found about a manifest. A failure is not reported: see the module.
pub fn note(store: &Store, manifest: &Digest, verified: &Verified) {
    if let Some(digest) = &verified.digest {
        let _ = write(store, manifest, &Signed { digest: digest.clone(), signers: verified.signers.clone() });
    }
}

fn write(store: &Store, manifest: &Digest, signed: &Signed) -> std::io::Result<()> {
    let directory = store.images_path().join("signed");
    std::fs::create_dir_all(&directory)?;
    let lock = File::open(&directory)?;
    lock.lock()?;
    sweep(store)?;
    // No sync: after a power cut the file may be empty, which says nothing.
    let temporary = directory.join(".new");
    File::create(&temporary)?.write_all(&serde_json::to_vec(signed)?)?;
    std::fs::rename(&temporary, path(store, manifest))
}

/// Removes what is noted of images that are gone.
fn sweep(store: &Store) -> std::io::Result<()> {
    for entry in std::fs::read_dir(store.images_path().join("signed"))?.flatten() {
        let name = entry.file_name();
        let digest = name.to_str().and_then(|name| Digest::parse(name).ok());
        if !digest.is_some_and(|digest| store.blob_path(&digest).exists()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn path(store: &Store, manifest: &Digest) -> PathBuf {
    store.images_path().join("signed").join(manifest.as_str())
}
