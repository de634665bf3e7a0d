//! Where a test pulls to: a real store in a temporary directory, and credentials of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use registry::policy::Files;
use registry::{Access, Error, PullOptions, Pulled, Session, Sources};
use spec::Reference;

use crate::fixture::{Fixture, NAME};
use crate::scripted::{Reply, Request, Server};

/// A store that goes with the test.
pub struct Place {
    path: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("brig-registry-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Place { path }
    }

    pub fn store(&self) -> image::Store {
        image::Store::open(&self.path.join("root")).expect("a store opens in an empty directory")
    }

    /// For other files of the test.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Not the user's own files, whatever this test runs as.
    pub fn access(&self) -> Access {
        let credentials_file = Some(self.path.join("config.json"));
        Access { credentials_file, sources: Sources::none(), policy: Files::none(), ..Access::default() }
    }

    /// With hosts as `registries.toml` has them.
    pub fn access_with(&self, registries: &str) -> Access {
        let file = self.path.join("registries.toml");
        std::fs::write(&file, registries).expect("the temporary directory is writable");
        Access { sources: Sources { own: vec![file], ..Sources::none() }, ..self.access() }
    }

    pub fn session(&self) -> Session {
        Session::open(self.access()).expect("there are no files of configuration")
    }

    /// Where a layer of the store is.
    pub fn layer(&self, image: &image::Image, number: usize) -> PathBuf {
        self.path.join("root/layers").join(image.config.rootfs.diff_ids[number].hex())
    }

    pub fn log_in(&self, registry: &str) {
        self.log_in_as(registry, "dXNlcjpzZWNyZXQ=");
    }

    /// `user`: base64 of `name:password`.
    pub fn log_in_as(&self, registry: &str, user: &str) {
        let text = format!(r#"{{"auths":{{"{registry}":{{"auth":"{user}"}}}}}}"#);
        std::fs::write(self.path.join("config.json"), text).expect("the temporary directory is writable");
    }

    pub fn pull(&self, server: &Server) -> Result<Pulled, Error> {
        self.pull_as(&format!("{}/{NAME}", server.authority), &PullOptions::default())
    }

    pub fn pull_as(&self, name: &str, options: &PullOptions) -> Result<Pulled, Error> {
        let reference = Reference::parse(name).expect("tests use valid names");
        registry::pull(&self.session(), &self.store(), &reference, options, &mut |_| ())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The header for user:secret, whom `log_in` stores.
pub const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// Pulls what `script` serves in place of an image with one layer; gives the error's text.
pub fn failure(script: impl Fn(&Fixture, &Request) -> Reply + Send + Sync + 'static) -> (Error, Server) {
    let image = Fixture::new(&[1000]);
    let server = Server::start(move |request| script(&image, request));
    let place = Place::new();
    let error = place.pull(&server).expect_err("the script breaks the pull");
    let name = format!("{}/{NAME}:latest", server.authority);
    assert!(place.store().resolve(&name).is_err(), "no half-made image after {error}");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    (error, server)
}
