//! What the store takes on the disk, by allocated blocks: `system df`. The parts add up to what du(1) says of the
//! store's two directories.

use crate::error::Result;
use crate::layer;
use crate::store::{Damaged, Image, Listing, Store};
use spec::Digest;
use std::collections::BTreeMap;

/// All sizes in bytes.
#[derive(Debug)]
pub struct DiskUsage {
    /// Oldest first.
    pub images: Vec<ImageUsage>,
    /// Not among them.
    pub damaged: Vec<Damaged>,
    /// By digest; also those that no image needs (a container may, or an interrupted pull).
    pub layers: Vec<LayerUsage>,
    /// Documents, and layers in their compressed form where those are kept.
    pub blobs: u64,
    /// What interrupted downloads have left.
    pub partial: u64,
    /// Everything, and the store's own files with it.
    pub total: u64,
}

#[derive(Debug, Clone)]
pub struct ImageUsage {
    pub image: Image,
    /// Its layers.
    pub size: u64,
    /// Of those, the layers that other images have too.
    pub shared: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerUsage {
    pub diff_id: Digest,
    pub size: u64,
    /// How many images have it.
    pub images: usize,
}

impl Store {
    /// Measures. Layers in the form of directories are read through; others take one look each.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let Listing { images, damaged } = self.listing()?;
        let mut layers: BTreeMap<String, LayerUsage> = BTreeMap::new();
        for hex in self.layers().list()?.0 {
            if let Some(diff_id) = layer::diff_id(&hex) {
                let size = self.layers().allocated_bytes(&hex)?;
                layers.insert(hex, LayerUsage { diff_id, size, images: 0 });
            }
        }
        for image in &images {
            for diff_id in once_each(image) {
                if let Some(layer) = layers.get_mut(diff_id.hex()) {
                    layer.images += 1;
                }
            }
        }
        let measured = images.into_iter().map(|image| {
            let of_image = || once_each(&image).filter_map(|diff_id| layers.get(diff_id.hex()));
            let size = of_image().map(|layer| layer.size).sum();
            let shared = of_image().filter(|layer| layer.images > 1).map(|layer| layer.size).sum();
            ImageUsage { size, shared, image }
        });
        let images = measured.collect();
        let bytes = |path| Ok::<u64, crate::Error>(kernel::disk::allocated_bytes(path)?);
        Ok(DiskUsage {
            images,
            damaged,
            layers: layers.into_values().collect(),
            blobs: bytes(&self.images_path().join("blobs"))?,
            partial: bytes(&self.partial_path())?,
            total: bytes(self.images_path())? + bytes(self.layers().path())?,
        })
    }
}

/// An image may have a layer twice.
fn once_each(image: &Image) -> impl Iterator<Item = &Digest> {
    let diff_ids = &image.config.rootfs.diff_ids;
    diff_ids.iter().enumerate().filter(|(index, id)| !diff_ids[..*index].contains(id)).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, add_image};

    #[test]
    fn shared_layers_count_once_and_all_is_what_du_says() {
        let scratch = Scratch::new("usage");
        let store = Store::open(scratch.path()).unwrap();
        add_image(&store, "a", &[("shared", &[1; 50_000])], &[("own", &[2; 9000])]);
        add_image(&store, "b", &[("shared", &[1; 50_000])], &[("other", &[3; 30_000])]);
        let usage = store.disk_usage().unwrap();
        assert_eq!(usage.layers.iter().map(|layer| layer.images).collect::<Vec<_>>().iter().sum::<usize>(), 4);
        assert_eq!((usage.layers.len(), usage.images.len()), (3, 2));
        let (a, b) = (&usage.images[0], &usage.images[1]);
        assert!(a.shared >= 50_000 && a.shared == b.shared);
        assert!(a.size - a.shared >= 9000 && b.size - b.shared >= 30_000);
        let mut du = std::process::Command::new("du");
        let du = du.args(["-sc", "-B1"]).arg(store.images_path()).arg(scratch.path().join("layers")).output().unwrap();
        let last: u64 = String::from_utf8(du.stdout)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(usage.total, last);
    }
}
