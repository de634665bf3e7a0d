//! Files of all kinds, and what becomes of a name.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A directory for one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("brig-hosts-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `https?://authority/root/repository`, with `t`, `d`, `p` for what it serves.
fn endpoints(hosts: &Hosts, name: &str) -> Vec<String> {
    let endpoints = match hosts.endpoints(&Reference::parse(name).unwrap()) {
        Ok(endpoints) => endpoints,
        Err(error) => return vec![error.to_string()],
    };
    let text = |endpoint: &Endpoint| {
        let security = hosts.security(&endpoint.authority, &[]);
        let serves = [(endpoint.serves.tags, 't'), (endpoint.serves.digests, 'd'), (endpoint.serves.pushes, 'p')];
        let letters: String = serves.iter().filter(|(on, _)| *on).map(|(_, letter)| letter).collect();
        let checked = if security.verified { "" } else { "?" };
        let namespace = endpoint.namespace.as_ref().map_or_else(String::new, |ns| format!(" ns={ns}"));
        format!(
            "{}{checked}://{}{}/{} {letters}{namespace}",
            security.schemes.join("+"),
            endpoint.authority,
            endpoint.root,
            endpoint.repository
        )
    };
    endpoints.iter().map(text).collect()
}

fn own(text: &str) -> Result<Hosts, String> {
    let scratch = Scratch::new();
    let sources = Sources { own: vec![scratch.file("registries.toml", text)], ..Sources::none() };
    Hosts::load(&sources).map_err(|error| error.to_string())
}

#[test]
fn without_files_names_mean_themselves() {
    let hosts = Hosts::load(&Sources::none()).unwrap();
    assert_eq!(endpoints(&hosts, "busybox"), ["https://registry-1.docker.io/v2/library/busybox tdp"]);
    assert_eq!(endpoints(&hosts, "localhost:5000/a/b:c"), ["https+http?://localhost:5000/v2/a/b tdp"]);
}

#[test]
fn our_file() {
    let hosts = own(r#"
        search = ["quay.io", "docker.io"]
        [aliases]
        fedora = "registry.fedoraproject.org/fedora"
        [[registry]]
        name = "docker.io"
        [[registry.mirror]]
        location = "mirror.lan:5000/hub"
        plain-http = true
        [[registry.mirror]]
        location = "second.lan"
        digests-only = true
        insecure = true
        [[registry]]
        name = "docker.io/team"
        location = "team.lan/moved"
        [[registry]]
        name = "bad.lan"
        blocked = true
        [[registry]]
        name = "*.corp.lan"
        location = "gate.lan/corp"
    "#)
    .unwrap();
    assert_eq!(
        endpoints(&hosts, "busybox"),
        [
            "http://mirror.lan:5000/v2/hub/library/busybox td",
            "https+http?://second.lan/v2/library/busybox d",
            "https://registry-1.docker.io/v2/library/busybox tdp"
        ]
    );
    assert_eq!(endpoints(&hosts, "team/x"), ["https://team.lan/v2/moved/x tdp"]);
    assert_eq!(endpoints(&hosts, "a.corp.lan:5000/x/y"), ["https://gate.lan/v2/corp/x/y tdp"]);
    assert!(endpoints(&hosts, "bad.lan/x")[0].starts_with("bad.lan/x is blocked by "));
    for spelling in ["BAD.lan/x", "bad.lan:443/x", "bad.lan:0443/x"] {
        assert!(endpoints(&hosts, spelling)[0].contains("is blocked by "), "{spelling}");
    }
    assert_eq!(endpoints(&hosts, "bad.lan.org/x"), ["https://bad.lan.org/v2/x tdp"]);
    let names = |text: &str| hosts.candidates(text).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names("fedora:40"), ["registry.fedoraproject.org/fedora:40"]);
    assert_eq!(names("tool"), ["quay.io/tool:latest", "docker.io/library/tool:latest"]);
    assert_eq!(names("localhost/tool"), ["localhost/tool:latest"]);
    assert!(hosts.candidates("Bad").is_err());
}

#[test]
fn mistakes_in_our_file_are_named() {
    for (text, expected) in [
        ("serach = []", "serach"),
        ("[[registry]]\nname = \"https://x\"", "without https://"),
        ("[[registry]]\nname = \"x\"\nclient-key = \"/k\"", "belong together"),
        ("[[registry]]\nname = \"*.x.io\"\ninsecure = true", "many hosts"),
        ("search = [", "registries.toml"),
    ] {
        let error = own(text).unwrap_err();
        assert!(error.contains(expected) && error.contains("registries.toml"), "{text}: {error}");
    }
}

#[test]
fn containerds_files() {
    let scratch = Scratch::new();
    let hosts_toml = r#"
        server = "https://upstream.io"
        ca = "root.pem"
        [host."http://mirror.lan:5000"]
        capabilities = ["pull", "resolve"]
        [host."http://mirror.lan:5000".header]
        x-key = ["a", "b"]
        [host."https://cache.lan/proxy/v2/hub"]
        capabilities = ["pull"]
        override_path = true
        skip_verify = true
        client = [["/c.pem", "/k.pem"]]
    "#;
    scratch.file("certs.d/docker.io/hosts.toml", hosts_toml);
    scratch.file("certs.d/reg.lan_5000_/hosts.toml", "host = 1");
    scratch.file("certs.d/_default/hosts.toml", "[host.\"https://any.lan\"]");
    let sources = Sources { containerd: vec![scratch.0.join("certs.d")], ..Sources::none() };
    let hosts = Hosts::load(&sources).unwrap();
    assert_eq!(
        endpoints(&hosts, "busybox"),
        [
            "http://mirror.lan:5000/v2/library/busybox td ns=docker.io",
            "https+http?://cache.lan/proxy/v2/hub/library/busybox d ns=docker.io",
            "https://upstream.io/v2/library/busybox tdp ns=docker.io"
        ]
    );
    assert_eq!(hosts.security("upstream.io", &[]).ca, [scratch.0.join("certs.d/docker.io/root.pem")]);
    assert_eq!(hosts.security("cache.lan", &[]).client, Some(("/c.pem".into(), "/k.pem".into())));
    let first = &hosts.endpoints(&Reference::parse("x").unwrap()).unwrap()[0];
    assert_eq!(first.headers, [("x-key".to_owned(), "a".to_owned()), ("x-key".to_owned(), "b".to_owned())]);
    assert!(endpoints(&hosts, "reg.lan:5000/x")[0].contains("`host` is no table"));
    assert_eq!(endpoints(&hosts, "other.io/x")[0], "https://any.lan/v2/x tdp ns=other.io");
}

#[test]
fn podmans_files() {
    let scratch = Scratch::new();
    let main = scratch.file(
        "registries.conf",
        r#"
        unqualified-search-registries = ["quay.io"]
        [[registry]]
        prefix = "example.com/foo"
        location = "internal.lan/bar"
        insecure = true
        [[registry.mirror]]
        location = "mirror.lan/bar"
        pull-from-mirror = "digest-only"
        [[registry]]
        location = "bad.lan"
        blocked = true
    "#,
    );
    let drop_in = scratch.file(
        "registries.conf.d/10.conf",
        r#"
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        location = "bad.lan"
        [aliases]
        "tool" = "quay.io/x/tool"
    "#,
    );
    let sources = Sources { podman: vec![main.clone(), drop_in], ..Sources::none() };
    let hosts = Hosts::load(&sources).unwrap();
    assert_eq!(
        endpoints(&hosts, "example.com/foo/app"),
        ["https://mirror.lan/v2/bar/app d", "https+http?://internal.lan/v2/bar/app tdp"]
    );
    assert_eq!(endpoints(&hosts, "bad.lan/x"), ["https://bad.lan/v2/x tdp"]);
    assert_eq!(hosts.candidates("tool").unwrap()[0].to_string(), "quay.io/x/tool:latest");
    assert_eq!(hosts.candidates("other").unwrap()[0].to_string(), "docker.io/library/other:latest");
    let ours = scratch.file("registries.toml", "[[registry]]\nname = \"example.com\"\nblocked = true");
    let hosts = Hosts::load(&Sources { own: vec![ours], ..sources }).unwrap();
    assert!(endpoints(&hosts, "example.com/foo/app")[0].contains("is blocked"), "ours goes before");
    std::fs::write(&main, "[registries.search]\nregistries = ['x']").unwrap();
    let sources = Sources { podman: vec![main], ..Sources::none() };
    assert!(Hosts::load(&sources).unwrap_err().to_string().contains("version 1"));
}

#[test]
fn directories_of_certificates() {
    let scratch = Scratch::new();
    for name in ["reg.lan:5000/ca.crt", "reg.lan:5000/me.cert", "reg.lan:5000/me.key", "reg.lan:5000/no.cert"] {
        scratch.file(name, "");
    }
    let hosts = Hosts::load(&Sources { certificates: vec![scratch.0.clone()], ..Sources::none() }).unwrap();
    let home = scratch.0.join("reg.lan:5000");
    let security = hosts.security("reg.lan:5000", &[]);
    assert_eq!(security.ca, [home.join("ca.crt")]);
    assert_eq!(security.client, Some((home.join("me.cert"), home.join("me.key"))));
}
