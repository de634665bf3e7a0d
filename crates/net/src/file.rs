//! Small state files, replaced whole by a temporary name and a rename.

use crate::error::{Error, Result};
use kernel::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// `None` when the file is absent.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Ok(Err(error).during_at("read", path)?),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| Error::Failed(format!("{} is damaged: {error}; remove it", path.display())))
}

/// What a killed writer of `path` may have left. Never taken for a finished file, which ends in `.json`.
pub fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

/// Makes the directory when it is missing. One writer of a path at a time: definitions have a lock, the record of an
/// endpoint is made by whoever has its address and changed under a lock.
pub fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text =
        serde_json::to_vec(value).map_err(|error| Error::Failed(format!("encode {}: {error}", path.display())))?;
    let temporary = unfinished(path);
    let mut written = std::fs::write(&temporary, &text);
    if let (Err(error), Some(directory)) = (&written, path.parent())
        && error.kind() == ErrorKind::NotFound
    {
        make_directory(directory)?;
        written = std::fs::write(&temporary, &text);
    }
    written.during_at("write", &temporary)?;
    Ok(std::fs::rename(&temporary, path).during_at("rename to", path)?)
}

/// With its parents, mode 0700.
pub fn make_directory(path: &Path) -> Result<()> {
    Ok(std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).during_at("make directory", path)?)
}
