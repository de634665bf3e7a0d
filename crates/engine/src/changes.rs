//! What a container has changed in its root file system: docker's `diff`. Read from the layers,
//! without a mount and without the container's help, so it works while it runs or not.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Added,
    Changed,
    Deleted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    /// Absolute, as the container names it.
    pub path: PathBuf,
}

/// Sorted by path. Mounts (volumes, `/proc`) are no changes, what is in them neither.
pub fn changes(engine: &Engine, container: &Container) -> Result<Vec<Change>> {
    let (lower, _mounted) = container.lower(engine, Some(&engine.paths().layer_mounts()))?;
    let changes = image::diff::changes(&container.upper(engine), &lower)?;
    Ok(changes.into_iter().map(|change| Change { kind: kind(change.kind), path: change.path }).collect())
}

fn kind(kind: image::diff::ChangeKind) -> Kind {
    match kind {
        image::diff::ChangeKind::Added => Kind::Added,
        image::diff::ChangeKind::Modified => Kind::Changed,
        image::diff::ChangeKind::Deleted => Kind::Deleted,
    }
}
