//! Debian's docker-registry, filled by skopeo: a registry and a pusher that share no line with
//! brig. `./dev test` installs both; where they are missing the tests say so and pass.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use registry::{Error, PullOptions};
use spec::image::{Descriptor, Index, media_type};

use crate::fixture::{self, Fixture};
use crate::place::Place;

const REGISTRY: &str = "/usr/bin/docker-registry";
const SKOPEO: &str = "/usr/bin/skopeo";
/// user:secret, by bcrypt with its lowest cost.
const HTPASSWD: &str = "user:$2b$05$G7dqBUWAeBOLiaR3VnoT7ekciLO8j2W3jyCOCStHXTdtPK3SlE./e\n";

/// A registry process on loopback; ends with the test.
struct Registry {
    process: Child,
    authority: String,
}

impl Registry {
    /// `None`, with a word on stderr, where the programs are not installed.
    fn start(place: &Place, htpasswd: Option<&str>) -> Option<Registry> {
        for program in [REGISTRY, SKOPEO] {
            if !Path::new(program).exists() {
                // Not eprintln!, which the test harness would keep to itself.
                let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
                return None;
            }
        }
        let authority = free_authority();
        let config = place.path().join("registry.yml");
        let data = place.path().join("registry");
        let mut text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{authority}'}}\n",
            data.display()
        );
        if let Some(users) = htpasswd {
            let file = place.path().join("htpasswd");
            fs::write(&file, users).expect("the temporary directory is writable");
            text.push_str(&format!("auth: {{htpasswd: {{realm: here, path: {}}}}}\n", file.display()));
        }
        fs::write(&config, text).expect("the temporary directory is writable");
        let process = Command::new(REGISTRY)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry starts");
        let registry = Registry { process, authority };
        registry.wait_until_it_listens();
        Some(registry)
    }

    fn wait_until_it_listens(&self) {
        let start = Instant::now();
        while TcpStream::connect(&self.authority).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "docker-registry listens within 30 seconds");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Pushes what is tagged `latest` in an OCI layout as `name`, with skopeo.
    fn push(&self, layout: &Path, name: &str, arguments: &[&str]) {
        let output = Command::new(SKOPEO)
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false"])
            .args(arguments)
            .arg(format!("oci:{}:latest", layout.display()))
            .arg(format!("docker://{}/{name}", self.authority))
            .output()
            .expect("skopeo starts");
        assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that nobody listens on now. Somebody might a moment later: docker-registry cannot
/// say which port it took.
fn free_authority() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("is bound").to_string()
}

/// Writes an OCI layout whose `latest` is `entry`.
fn layout(place: &Place, name: &str, images: &[&Fixture], mut entry: Descriptor, document: &[u8]) -> PathBuf {
    let path = place.path().join(name);
    let blobs = path.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("the temporary directory is writable");
    let write = |path: PathBuf, bytes: &[u8]| fs::write(path, bytes).expect("the temporary directory is writable");
    for image in images {
        for bytes in image.blobs.values().chain([&image.manifest_bytes]) {
            write(blobs.join(fixture::sha256(bytes).hex()), bytes);
        }
    }
    write(blobs.join(entry.digest.hex()), document);
    entry.annotations.insert("org.opencontainers.image.ref.name".to_owned(), "latest".to_owned());
    write(path.join("index.json"), &Index::new(vec![entry]).to_bytes());
    write(path.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
    path
}

fn layout_of_one(place: &Place, name: &str, image: &Fixture) -> PathBuf {
    let size = image.manifest_bytes.len() as u64;
    let entry = Descriptor::new(media_type::OCI_MANIFEST, image.digest(), size);
    layout(place, name, &[image], entry, &image.manifest_bytes)
}

fn check_layers(place: &Place, pulled: &registry::Pulled, sizes: &[u64]) {
    assert_eq!(pulled.image.size(&place.store()), sizes.iter().sum::<u64>());
}

#[test]
fn gzip_and_zstd_in_both_formats() {
    let place = Place::new();
    let Some(registry) = Registry::start(&place, None) else { return };
    let (gzip, docker) = (Fixture::new(&[1_500_000, 70]), Fixture::new(&[1_200_000, 75]));
    let zstd = Fixture::zstd(&[900_000, 80]);
    registry.push(&layout_of_one(&place, "gzip", &gzip), "team/gzip:1", &[]);
    registry.push(&layout_of_one(&place, "docker", &docker), "team/docker:1", &["--format", "v2s2"]);
    registry.push(&layout_of_one(&place, "zstd", &zstd), "team/zstd:1", &[]);
    for (name, sizes, format) in [
        ("team/gzip:1", [1_500_000, 70], media_type::OCI_MANIFEST),
        ("team/docker:1", [1_200_000, 75], media_type::DOCKER_MANIFEST),
        ("team/zstd:1", [900_000, 80], media_type::OCI_MANIFEST),
    ] {
        let pulled = place.pull_as(&format!("{}/{name}", registry.authority), &PullOptions::default()).unwrap();
        check_layers(&place, &pulled, &sizes);
        assert_eq!(pulled.image.media_type, format, "{name}");
        assert!(
            place.pull_as(&format!("{}/{name}", registry.authority), &PullOptions::default()).unwrap().already_present
        );
    }
}

#[test]
fn many_layers_at_once() {
    let place = Place::new();
    let Some(registry) = Registry::start(&place, None) else { return };
    let sizes: Vec<usize> = (0..20).map(|n| 40_000 * n + 1).collect();
    let image = Fixture::new(&sizes);
    registry.push(&layout_of_one(&place, "many", &image), "many", &[]);
    let pulled = place.pull_as(&format!("{}/many", registry.authority), &PullOptions::default()).unwrap();
    let sizes: Vec<u64> = sizes.iter().map(|&size| size as u64).collect();
    check_layers(&place, &pulled, &sizes);
}

#[test]
fn an_index_of_two_platforms() {
    let place = Place::new();
    let Some(registry) = Registry::start(&place, None) else { return };
    let (amd, arm) = (Fixture::new(&[100]), Fixture::for_architecture(&[200], "arm64"));
    let document = fixture::index(&[("linux/amd64", &amd), ("linux/arm64", &arm)]);
    let entry = Descriptor::new(media_type::OCI_INDEX, fixture::sha256(&document), document.len() as u64);
    let layout = layout(&place, "index", &[&amd, &arm], entry, &document);
    registry.push(&layout, "both:1", &["--all"]);
    let name = format!("{}/both:1", registry.authority);
    for (platform, size) in [("linux/amd64", 100), ("linux/arm64", 200)] {
        let options = PullOptions { platform: Some(platform.parse().unwrap()), ..PullOptions::default() };
        let pulled = place.pull_as(&name, &options).unwrap();
        check_layers(&place, &pulled, &[size]);
        assert_eq!(pulled.digest, fixture::sha256(&document));
    }
}

#[test]
fn unknown_names() {
    let place = Place::new();
    let Some(registry) = Registry::start(&place, None) else { return };
    registry.push(&layout_of_one(&place, "x", &Fixture::new(&[1])), "x:1", &[]);
    for name in ["x:2", "y:1"] {
        let name = format!("{}/{name}", registry.authority);
        let error = place.pull_as(&name, &PullOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    }
}

#[test]
fn a_registry_with_users() {
    let place = Place::new();
    let Some(registry) = Registry::start(&place, Some(HTPASSWD)) else { return };
    registry.push(&layout_of_one(&place, "x", &Fixture::new(&[5])), "x", &["--dest-creds", "user:secret"]);
    let name = format!("{}/x", registry.authority);
    let error = place.pull_as(&name, &PullOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    place.log_in(&registry.authority);
    check_layers(&place, &place.pull_as(&name, &PullOptions::default()).unwrap(), &[5]);
}
