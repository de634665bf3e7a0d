//! A small image made in memory, served by path as a registry would.

use std::collections::HashMap;
use std::io::Write;

use spec::Digest;
use spec::digest::Algorithm;
use spec::image::{Descriptor, ImageConfig, Index, Manifest, media_type};

use crate::scripted::{Reply, Request};

/// An image called `NAME`, with a layer for each size: one file `/layer<n>` of so many bytes.
pub struct Fixture {
    pub manifest: Manifest,
    pub manifest_bytes: Vec<u8>,
    pub blobs: HashMap<String, Vec<u8>>,
}

pub const NAME: &str = "team/app";

impl Fixture {
    pub fn new(sizes: &[usize]) -> Fixture {
        Fixture::for_architecture(sizes, "amd64")
    }

    pub fn for_architecture(sizes: &[usize], architecture: &str) -> Fixture {
        Fixture::build(sizes, architecture, media_type::OCI_LAYER_GZIP, gzip)
    }

    /// With layers compressed by zstd.
    pub fn zstd(sizes: &[usize]) -> Fixture {
        let compress = |bytes: &[u8]| zstd::encode_all(bytes, 3).expect("a Vec takes everything");
        Fixture::build(sizes, "amd64", media_type::OCI_LAYER_ZSTD, compress)
    }

    fn build(sizes: &[usize], architecture: &str, media_type: &str, compress: impl Fn(&[u8]) -> Vec<u8>) -> Fixture {
        let mut blobs = HashMap::new();
        let mut config =
            ImageConfig { os: "linux".to_owned(), architecture: architecture.to_owned(), ..ImageConfig::default() };
        let mut layers = Vec::new();
        for (number, &size) in sizes.iter().enumerate() {
            let archive = archive(&format!("layer{number}"), &content(size));
            config.rootfs.diff_ids.push(sha256(&archive));
            layers.push(add(&mut blobs, media_type, compress(&archive)));
        }
        let config = add(&mut blobs, media_type::OCI_CONFIG, config.to_bytes());
        let manifest = Manifest::new(config, layers);
        let manifest_bytes = manifest.to_bytes();
        Fixture { manifest, manifest_bytes, blobs }
    }

    /// Changes the manifest without regard to sense.
    pub fn edit(mut self, edit: impl FnOnce(&mut Manifest)) -> Fixture {
        edit(&mut self.manifest);
        self.manifest_bytes = self.manifest.to_bytes();
        self
    }

    pub fn digest(&self) -> Digest {
        sha256(&self.manifest_bytes)
    }

    /// The path of layer `number`.
    pub fn layer_path(&self, number: usize) -> String {
        format!("/v2/{NAME}/blobs/{}", self.manifest.layers[number].digest)
    }

    /// The blob whose digest ends the request's path.
    pub fn blob(&self, request: &Request) -> Vec<u8> {
        let digest = request.path.rsplit('/').next().unwrap_or_default();
        self.blobs[digest].clone()
    }

    /// The answer of a well-behaved registry, ranges included.
    pub fn reply(&self, request: &Request) -> Reply {
        let Some(rest) = request.path.strip_prefix(&format!("/v2/{NAME}/")) else {
            return Reply::error(404, "NAME_UNKNOWN", "repository name not known to registry");
        };
        match rest.split_once('/') {
            Some(("manifests", name)) if name == "latest" || name == self.digest().as_str() => {
                manifest_reply(media_type::OCI_MANIFEST, &self.manifest_bytes)
            }
            Some(("blobs", digest)) => match self.blobs.get(digest) {
                Some(blob) => blob_reply(request, blob),
                None => Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            },
            _ => Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }
}

pub fn manifest_reply(media_type: &str, bytes: &[u8]) -> Reply {
    Reply::new(200, bytes).with("content-type", media_type).with("docker-content-digest", sha256(bytes).as_str())
}

pub fn blob_reply(request: &Request, blob: &[u8]) -> Reply {
    match first_byte(request) {
        None => Reply::new(200, blob),
        Some(first) => {
            let range = format!("bytes {first}-{}/{}", blob.len() - 1, blob.len());
            Reply::new(206, &blob[first..]).with("content-range", range)
        }
    }
}

/// N of `Range: bytes=N-`.
pub fn first_byte(request: &Request) -> Option<usize> {
    request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// An index of images by platform.
pub fn index(entries: &[(&str, &Fixture)]) -> Vec<u8> {
    let entries = entries.iter().map(|(platform, image)| Descriptor {
        platform: Some(platform.parse().expect("tests name platforms that exist")),
        ..Descriptor::new(media_type::OCI_MANIFEST, image.digest(), image.manifest_bytes.len() as u64)
    });
    Index::new(entries.collect()).to_bytes()
}

pub fn sha256(bytes: &[u8]) -> Digest {
    image::blob::digest_of(Algorithm::Sha256, bytes)
}

fn add(blobs: &mut HashMap<String, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Descriptor {
    let descriptor = Descriptor::new(media_type, sha256(&bytes), bytes.len() as u64);
    blobs.insert(descriptor.digest.to_string(), bytes);
    descriptor
}

/// Bytes that do not compress, the same for every run (xorshift).
pub fn content(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a Vec takes everything")
}

/// A ustar archive of one file (POSIX.1-2017, pax, "ustar Interchange Format").
fn archive(name: &str, data: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", data.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}
