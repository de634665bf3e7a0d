//! Debian's docker-registry, filled and read by skopeo: a registry, a pusher and a puller that share no line with
//! brig. `./dev test` installs both; where they are missing the tests say so and pass. Certificates are made by
//! openssl for each test that needs them.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use registry::{Access, Compression, Error, PullOptions, PushOptions, Session, User};
use spec::Reference;
use spec::image::{Descriptor, Index, media_type};

use crate::fixture::{self, Fixture};
use crate::place::Place;

const REGISTRY: &str = "/usr/bin/docker-registry";
const SKOPEO: &str = "/usr/bin/skopeo";
const OPENSSL: &str = "/usr/bin/openssl";
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
        Registry::start_with(place, htpasswd, "")
    }

    /// `tls`: what the file of configuration says of it.
    fn start_with(place: &Place, htpasswd: Option<&str>, tls: &str) -> Option<Registry> {
        for program in [REGISTRY, SKOPEO, OPENSSL] {
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
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '{authority}', {tls}}}\n",
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

/// Runs a program that must succeed; what it says.
fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output().expect("the program starts");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes `ca.crt` and, signed by it, `server.crt` for loopback and `client.crt`, each with its key.
fn make_certificates(directory: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let request = |more: &[&str]| run(OPENSSL, &[&["req"], &key[..], more].concat(), directory);
    request(&["-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt"]);
    fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1").expect("the temporary directory is writable");
    for name in ["server", "client"] {
        let (key, csr, crt) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        request(&["-subj", "/CN=localhost", "-keyout", &key, "-out", &csr]);
        let sign =
            ["x509", "-req", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
        run(OPENSSL, &[&sign[..], &["-in", &csr, "-out", &crt]].concat(), directory);
    }
}

fn push(session: &Session, place: &Place, target: &str, options: &PushOptions) -> Result<registry::Pushed, Error> {
    let image = place.store().list().unwrap().remove(0);
    let target = Reference::parse(target).unwrap();
    registry::push(session, &place.store(), &image, &target, options, &mut |_| ())
}

#[test]
fn a_registry_with_tls_users_and_client_certificates() {
    let place = Place::new();
    let directory = place.path().join("certificates");
    fs::create_dir(&directory).unwrap();
    if Path::new(OPENSSL).exists() {
        make_certificates(&directory);
    }
    let at = |name: &str| directory.join(name).display().to_string();
    let tls =
        format!("tls: {{certificate: {}, key: {}, clientcas: [{}]}}", at("server.crt"), at("server.key"), at("ca.crt"));
    let Some(registry) = Registry::start_with(&place, Some(HTPASSWD), &tls) else { return };
    let name = format!("{}/team/app:1", registry.authority);
    let shelf = Place::new();
    let plain = Registry::start(&shelf, None).expect("it started a moment ago");
    plain.push(&layout_of_one(&place, "app", &Fixture::new(&[300_000, 7])), "app", &[]);
    place.pull_as(&format!("{}/app", plain.authority), &PullOptions::default()).unwrap();
    let hosts = |more: &str| {
        let text = format!("[[registry]]\nname = \"{}\"\nca = [\"{}\"]\n{more}", registry.authority, at("ca.crt"));
        Session::open(place.access_with(&text)).unwrap()
    };
    let client = format!("client-certificate = \"{}\"\nclient-key = \"{}\"", at("client.crt"), at("client.key"));
    // Nobody vouches for the registry; nobody vouches for us; no user; a wrong one.
    let text = format!("[[registry]]\nname = \"{}\"\ninsecure = false", registry.authority);
    let session = Session::open(place.access_with(&text)).unwrap();
    let error = push(&session, &place, &name, &PushOptions::default()).unwrap_err().to_string();
    assert!(error.contains("its certificate is not valid: UnknownIssuer"), "{error}");
    let error = push(&hosts(""), &place, &name, &PushOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    let session = hosts(&client);
    let error = push(&session, &place, &name, &PushOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let wrong = User::parse("user:wrong").unwrap();
    assert!(matches!(registry::login(&session, &registry.authority, &wrong), Err(Error::Login { .. })));
    registry::login(&session, &registry.authority, &User::parse("user:secret").unwrap()).unwrap();
    push(&hosts(&client), &place, &name, &PushOptions::default()).unwrap();
    let other = Place::new();
    let text = fs::read_to_string(place.path().join("registries.toml")).unwrap();
    let access = Access { user: User::parse("user:secret"), ..other.access_with(&text) };
    let reference = Reference::parse(&name).unwrap();
    let session = Session::open(access).unwrap();
    let pulled = registry::pull(&session, &other.store(), &reference, &PullOptions::default(), &mut |_| ()).unwrap();
    assert_eq!(pulled.image.size(&other.store()), 300_007);
}

#[test]
fn skopeo_reads_what_is_pushed() {
    let place = Place::new();
    let Some(registry) = Registry::start(&place, None) else { return };
    let large = 17 << 20;
    registry.push(&layout_of_one(&place, "app", &Fixture::new(&[large, 5])), "source/app:1", &["--format", "v2s2"]);
    place.pull_as(&format!("{}/source/app:1", registry.authority), &PullOptions::default()).unwrap();
    let at = |name: &str| format!("{}/{name}", registry.authority);
    for (target, compression) in
        [("gzip:1", Compression::Gzip(6)), ("zstd:1", Compression::Zstd(3)), ("plain:1", Compression::None)]
    {
        let options = PushOptions { compression, force_compression: true, ..PushOptions::default() };
        let pushed = push(&place.session(), &place, &at(target), &options).unwrap();
        let image = format!("docker://{}", at(target));
        let digest = run(SKOPEO, &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &image], place.path());
        assert_eq!(digest, pushed.digest.as_str());
        // Reads every layer and uncompresses it.
        let copy = format!("dir:{}", place.path().join(target.replace(':', "-")).display());
        let words = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-decompress", &image, &copy];
        run(SKOPEO, &words, place.path());
    }
    // The registry has the layers as they came, in another repository: nothing changes on the way.
    let pushed = push(&place.session(), &place, &at("mounted:1"), &PushOptions::default()).unwrap();
    let source = run(
        SKOPEO,
        &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &format!("docker://{}", at("source/app:1"))],
        place.path(),
    );
    assert_eq!(source, pushed.digest.as_str());
}

#[test]
fn lists_copies_and_deletions() {
    let place = Place::new();
    let Some(registry) = Registry::start(&place, None) else { return };
    let (amd, arm) = (Fixture::new(&[100_000]), Fixture::for_architecture(&[200], "arm64"));
    let document = fixture::index(&[("linux/amd64", &amd), ("linux/arm64", &arm)]);
    let entry = Descriptor::new(media_type::OCI_INDEX, fixture::sha256(&document), document.len() as u64);
    registry.push(&layout(&place, "index", &[&amd, &arm], entry, &document), "both:1", &["--all"]);
    let session = place.session();
    let name = |rest: &str| Reference::parse(&format!("{}/{rest}", registry.authority)).unwrap();
    let options = registry::CopyOptions { platforms: registry::Platforms::All, ..Default::default() };
    for tag in ["1", "2"] {
        let target = name(&format!("copied:{tag}"));
        let copied = registry::copy(&session, &name("both:1"), &session, &target, &options, &mut |_| ()).unwrap();
        assert_eq!(copied.bytes, document);
    }
    let mut tags = registry::tags(&session, &name("copied")).unwrap();
    // This registry gives them in no order.
    tags.sort();
    assert_eq!(tags, ["1", "2"]);
    assert_eq!(registry::repositories(&session, &registry.authority).unwrap(), ["both", "copied"]);
    assert!(registry::referrers(&session, &name("copied:1"), None).unwrap().is_empty());
    let found = registry::search(&session, &format!("{}/cop", registry.authority), &Default::default()).unwrap();
    assert_eq!(found.len(), 1);
    let digest = registry::manifest_head(&session, &name("copied:1")).unwrap().unwrap().digest;
    registry::manifest_delete(&session, &name("copied").with_digest(digest)).unwrap();
    assert_eq!(registry::manifest_head(&session, &name("copied:2")).unwrap(), None);
}
