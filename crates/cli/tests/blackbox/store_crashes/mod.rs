//! The store of images survives `kill -9` at every write, and power cuts: what a finished command has reported is there
//! and whole, the next command works, `image check` finds no damage, and a prune leaves what an undisturbed run leaves.
//! Each test takes one moment of each kind; `./dev test-all` takes all of them.

mod cuts;
mod kills;
mod power;
mod races;
mod slow;

use std::path::Path;

use crate::harness::image::{Image, gzip_layer};
use crate::harness::process::tool;
use crate::harness::registry::DockerRegistry;
use crate::harness::tar::Tar;

/// How many of the moments are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moments {
    Some,
    All,
}

/// Bytes that no compression makes smaller.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

/// Three layers; the second is so large that what has come of it is kept when its download is interrupted.
fn image(seed: u64) -> Image {
    let layer = |name: &str, length: usize, seed: u64| {
        gzip_layer(&Tar::new().dir("d/", 0o755).file(&format!("d/{name}"), 0o644, &noise(length, seed)).finish())
    };
    let layers = vec![layer("base", 6000, 1), layer("large", 1_300_000, 2), layer("own", 9000, seed)];
    Image::new(&serde_json::json!({"Cmd": ["/none"], "Env": [format!("SEED={seed}")]}), layers)
}

/// A registry with the image; its name there.
fn with_registry(directory: &Path, image: &Image) -> (DockerRegistry, String) {
    let registry = DockerRegistry::start(directory);
    let archive = crate::harness::image::write(directory, "push.tar", &image.oci_archive("x"));
    let name = format!("{}/team/app:v1", registry.address);
    let (from, to) = (format!("oci-archive:{archive}:x"), format!("docker://{name}"));
    tool("skopeo", &["copy", "-q", "--insecure-policy", "--dest-tls-verify=false", &from, &to]);
    (registry, name)
}
