//! Small state files: read whole, replaced whole by a temporary name and a rename, so that a
//! reader and a crash see the old or the new text and never a part.

use crate::error::{Error, Result};
use kernel::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::Path;

/// `None` when the file is absent.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Err::<(), _>(e).during_at("read", path).unwrap_err().into()),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| Error::Failed(format!("{} is damaged: {e}; remove it or restore it from a copy", path.display())))
}

/// Not synced: what is written here may be lost with the power, but is never half there.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(value).map_err(|e| Error::Failed(format!("encode {}: {e}", path.display())))?;
    write(path, &text)
}

pub fn write(path: &Path, text: &[u8]) -> Result<()> {
    // The pid keeps two writers apart that hold no common lock.
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    std::fs::write(&temporary, text).during_at("write", &temporary)?;
    std::fs::rename(&temporary, path).during_at("rename to", path).map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        e.into()
    })
}

/// Makes one directory with exactly this mode, whatever the caller's umask: containers see it.
pub fn make_visible_directory(path: &Path) -> Result<()> {
    std::fs::create_dir(path).during_at("make directory", path)?;
    set_mode(path, 0o755)
}

/// Makes an empty file that every user of a container may read, whatever the caller's umask.
pub fn make_visible_file(path: &Path) -> Result<()> {
    std::fs::File::create_new(path).during_at("make", path)?;
    set_mode(path, 0o644)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).during_at("change mode of", path)?)
}

/// Makes a directory and its parents with mode 0700; one that is there is kept.
pub fn make_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    Ok(std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).during_at("make directory", path)?)
}
