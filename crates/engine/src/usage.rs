//! What everything takes on the disk, by allocated blocks: `system df`. The parts add up to what du(1) says of the root
//! directory, but for a few small files of brig's own.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::volumes::{self, Volume};
use spec::Digest;
use std::collections::BTreeSet;

/// All sizes in bytes.
#[derive(Debug)]
pub struct DiskUsage {
    pub images: image::usage::DiskUsage,
    /// Newest first.
    pub containers: Vec<ContainerUsage>,
    /// By name.
    pub volumes: Vec<VolumeUsage>,
}

#[derive(Debug)]
pub struct ContainerUsage {
    pub container: Container,
    /// What it wrote, its log and its record.
    pub size: u64,
}

#[derive(Debug)]
pub struct VolumeUsage {
    pub volume: Volume,
    pub size: u64,
    /// How many containers have it.
    pub links: usize,
}

/// Measures everything.
pub fn measure(engine: &Engine) -> Result<DiskUsage> {
    let mut containers = Vec::new();
    for container in crate::list::all(engine)? {
        let size = kernel::disk::allocated_bytes(&engine.paths().container(container.id()))?;
        containers.push(ContainerUsage { container, size });
    }
    let mut measured = Vec::new();
    for volume in volumes::list(engine, &volumes::Filters::default())? {
        let size = kernel::disk::allocated_bytes(&engine.paths().volumes().join(&volume.name))?;
        let links = volumes::users(engine, &volume.name)?.len();
        measured.push(VolumeUsage { volume, size, links });
    }
    Ok(DiskUsage { images: engine.store().disk_usage()?, containers, volumes: measured })
}

impl DiskUsage {
    /// How many containers have this image.
    pub fn users(&self, image: &Digest) -> usize {
        self.containers.iter().filter(|usage| usage.container.record.image_id == *image).count()
    }

    /// Images that containers have.
    pub fn active_images(&self) -> usize {
        self.images.images.iter().filter(|usage| self.users(&usage.image.id) > 0).count()
    }

    /// What would come free if all images went that no container has.
    pub fn reclaimable_of_images(&self) -> u64 {
        let needed: BTreeSet<&str> =
            self.containers.iter().flat_map(|usage| &usage.container.record.layers).map(Digest::hex).collect();
        let layers = self.images.layers.iter().filter(|layer| !needed.contains(layer.diff_id.hex()));
        layers.map(|layer| layer.size).fold(self.images.partial, u64::saturating_add)
    }
}
