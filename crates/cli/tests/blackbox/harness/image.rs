//! Images for tests, made on the spot: busybox with its applets as a root file system, and
//! archives in docker's and OCI's forms around any layers, with the digests they ought to have
//! or others.

use std::path::Path;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::process::tool;
use super::tar::Tar;

/// Where a statically linked busybox lies.
pub fn busybox_path() -> String {
    std::env::var("BRIG_TEST_BUSYBOX").unwrap_or_else(|_| "/bin/busybox".to_owned())
}

/// A root file system as a tar: busybox, links for its applets, a few accounts.
pub fn busybox_tar() -> &'static [u8] {
    static TAR: OnceLock<Vec<u8>> = OnceLock::new();
    TAR.get_or_init(|| {
        let path = busybox_path();
        let program = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{path}: {error}; install busybox-static or set BRIG_TEST_BUSYBOX"));
        let mut tar = Tar::new();
        for (dir, mode) in [("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("root", 0o700), ("tmp", 0o1777)] {
            tar = tar.dir(&format!("{dir}/"), mode);
        }
        tar = tar.dir("home/alice/", 0o755).dir("var/", 0o755).dir("usr/", 0o755).dir("usr/bin/", 0o755);
        tar = tar.file("bin/busybox", 0o755, &program);
        for applet in tool(&path, &["--list"]).lines().filter(|applet| *applet != "busybox") {
            tar = tar.symlink(&format!("bin/{applet}"), "busybox");
        }
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nalice:x:1000:1001:Alice:/home/alice:/bin/sh\n";
        let group = "root:x:0:\ndaemon:x:1:\nwheel:x:10:alice\nstaff:x:50:alice,daemon\nalice:x:1001:\n";
        tar = tar.file("etc/passwd", 0o644, passwd.as_bytes()).file("etc/group", 0o644, group.as_bytes());
        tar.finish()
    })
}

/// `sha256:…` of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes it")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory takes it")
}

/// A layer as it travels, with the digest of its content before compression.
pub struct Layer {
    pub blob: Vec<u8>,
    pub media_type: &'static str,
    pub diff_id: String,
}

pub fn plain_layer(tar: &[u8]) -> Layer {
    Layer { blob: tar.to_vec(), media_type: "application/vnd.oci.image.layer.v1.tar", diff_id: digest(tar) }
}

pub fn gzip_layer(tar: &[u8]) -> Layer {
    Layer { blob: gzip(tar), media_type: "application/vnd.oci.image.layer.v1.tar+gzip", diff_id: digest(tar) }
}

pub fn zstd_layer(tar: &[u8]) -> Layer {
    Layer { blob: zstd(tar), media_type: "application/vnd.oci.image.layer.v1.tar+zstd", diff_id: digest(tar) }
}

/// An image in memory: blobs by digest, the manifest last.
pub struct Image {
    pub blobs: Vec<(String, Vec<u8>)>,
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    pub layers: Vec<Layer>,
}

/// The architecture as Go names it.
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

impl Image {
    /// `config` is the inner `config` object of the image: `{"Cmd": ["sh"]}`.
    pub fn new(config: &serde_json::Value, layers: Vec<Layer>) -> Image {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = serde_json::json!({
            "architecture": architecture(), "os": "linux", "created": "2024-01-02T03:04:05Z",
            "config": config, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        Image::with_config(config.to_string().into_bytes(), layers)
    }

    /// With these bytes as the config, whatever they are.
    pub fn with_config(config: Vec<u8>, layers: Vec<Layer>) -> Image {
        let descriptors: Vec<_> = layers
            .iter()
            .map(|layer| serde_json::json!({"mediaType": layer.media_type, "digest": digest(&layer.blob), "size": layer.blob.len()}))
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": descriptors,
        });
        let mut blobs: Vec<_> = layers.iter().map(|layer| (digest(&layer.blob), layer.blob.clone())).collect();
        blobs.push((digest(&config), config.clone()));
        Image { blobs, manifest: manifest.to_string().into_bytes(), config, layers }
    }

    /// As `oci-archive` holds it, under the given tag.
    pub fn oci_archive(&self, tag: &str) -> Vec<u8> {
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
            "mediaType": MANIFEST, "digest": digest(&self.manifest), "size": self.manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": tag},
        }]});
        let mut tar = Tar::new().file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
        tar = tar.file("index.json", 0o644, index.to_string().as_bytes());
        for (digest, blob) in self.blobs.iter().chain([&(digest(&self.manifest), self.manifest.clone())]) {
            tar = tar.file(&format!("blobs/{}", digest.replace(':', "/")), 0o644, blob);
        }
        tar.finish()
    }

    /// As `docker save` wrote it before it wrote OCI layouts; layers must be uncompressed.
    pub fn docker_archive(&self, tag: &str) -> Vec<u8> {
        let config = format!("{}.json", hex(&self.config));
        let names: Vec<String> = self.layers.iter().map(|layer| format!("{}/layer.tar", hex(&layer.blob))).collect();
        let manifest = serde_json::json!([{"Config": config, "RepoTags": [tag], "Layers": names}]);
        let mut tar = Tar::new().file(&config, 0o644, &self.config);
        for (name, layer) in names.iter().zip(&self.layers) {
            tar = tar.file(name, 0o644, &layer.blob);
        }
        tar.file("manifest.json", 0o644, manifest.to_string().as_bytes()).finish()
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Writes `bytes` to `dir`/`name` and returns the path.
pub fn write(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path.to_str().expect("test paths are UTF-8").to_owned()
}
