//! How much disk a container takes: what it wrote, and that plus its image's layers. Adding up means reading its whole
//! writable layer, so it is done only where somebody asks.

use engine::{Container, Engine};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Files that the container wrote (`SizeRw`).
    pub writable: u64,
    /// Those and the image's (`SizeRootFs`).
    pub root: u64,
}

/// Measures a container. An image that was removed by force counts as empty.
pub fn of_container(engine: &Engine, container: &Container) -> engine::Result<Sizes> {
    let (_, upper) = container.layer_directories(engine)?;
    let writable = of_directory(&upper);
    let image = engine.store().image(&container.record.image_id).map_or(0, |image| image.size(engine.store()));
    Ok(Sizes { writable, root: writable.saturating_add(image) })
}

/// Sum of the regular files below `directory`, each inode once. Files that vanish meanwhile are left out; symbolic links
/// are not followed.
fn of_directory(directory: &Path) -> u64 {
    let mut total = 0;
    let mut seen = BTreeSet::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.is_file() && (metadata.nlink() == 1 || seen.insert(metadata.ino())) {
                // Sparse files may claim more than there are bytes.
                total = u64::saturating_add(total, metadata.len());
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_count_once() {
        let root = std::env::temp_dir().join(format!("brig-docker-size-{}", std::process::id()));
        std::fs::create_dir_all(root.join("d")).unwrap();
        std::fs::write(root.join("a"), [0; 10]).unwrap();
        std::fs::write(root.join("d/b"), [0; 5]).unwrap();
        std::fs::hard_link(root.join("a"), root.join("d/c")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("l")).unwrap();
        assert_eq!(of_directory(&root), 15);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(of_directory(&root), 0);
    }
}
