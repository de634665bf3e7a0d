//! Registries on loopback: Debian's docker-registry, filled by skopeo, for what works; and one of
//! our own in a thread, which serves whatever a test tells it, for what does not.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::image::{Image, MANIFEST, digest};
use super::process::{tool, wait_until};

/// Debian's docker-registry with an empty store. Stopped when dropped.
pub struct DockerRegistry {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

/// The user that [`DockerRegistry::start_locked`] knows, `name:password`.
pub const USER: &str = "user:secret";
/// The same in the form of htpasswd(1), by bcrypt with its lowest cost.
const HTPASSWD: &str = "user:$2b$05$G7dqBUWAeBOLiaR3VnoT7ekciLO8j2W3jyCOCStHXTdtPK3SlE./e\n";

impl DockerRegistry {
    /// Starts one that keeps its blobs in `dir`.
    pub fn start(dir: &Path) -> DockerRegistry {
        DockerRegistry::start_with(dir, "", "")
    }

    /// Starts one with TLS and a user. `dir/registries.toml` says which certificate to trust, for BRIG_REGISTRIES.
    pub fn start_locked(dir: &Path) -> DockerRegistry {
        let at = |name: &str| dir.join(name).display().to_string();
        let openssl = |line: &str| tool("openssl", &line.split(' ').collect::<Vec<_>>());
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256";
        openssl(&format!("req -x509 {key} -keyout {} -out {} -days 2 -subj /CN=ours", at("ca.key"), at("ca.crt")));
        openssl(&format!("req {key} -keyout {} -out {} -subj /CN=127.0.0.1", at("server.key"), at("server.csr")));
        super::image::write(dir, "server.ext", b"subjectAltName=IP:127.0.0.1,DNS:localhost\n");
        let (csr, crt, ext) = (at("server.csr"), at("server.crt"), at("server.ext"));
        let ca = format!("-CA {} -CAkey {} -CAcreateserial", at("ca.crt"), at("ca.key"));
        openssl(&format!("x509 -req -in {csr} -out {crt} {ca} -days 2 -extfile {ext}"));
        let htpasswd = super::image::write(dir, "htpasswd", HTPASSWD.as_bytes());
        let tls = format!(", tls: {{certificate: {crt}, key: {}}}", at("server.key"));
        let auth = format!("auth: {{htpasswd: {{realm: here, path: {htpasswd}}}}}\n");
        let registry = DockerRegistry::start_with(dir, &tls, &auth);
        let trust = format!("[[registry]]\nname = \"{}\"\nca = [\"{}\"]\n", registry.address, at("ca.crt"));
        super::image::write(dir, "registries.toml", trust.as_bytes());
        registry
    }

    /// `http` and `more` are added to its file of configuration.
    fn start_with(dir: &Path, http: &str, more: &str) -> DockerRegistry {
        // Another program may take the port between the two: then the registry does not come up, and we try another.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
            let config = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}}}, delete: {{enabled: true}}}}\n\
                 http: {{addr: '127.0.0.1:{port}'{http}}}\n{more}",
                dir.join("registry").display()
            );
            let path = super::image::write(dir, "registry.yml", config.as_bytes());
            let mut command = Command::new("docker-registry");
            command.args(["serve", &path]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.env("OTEL_TRACES_EXPORTER", "none");
            let mut child =
                command.spawn().unwrap_or_else(|error| panic!("docker-registry: {error}; ./dev test installs it"));
            let address = format!("127.0.0.1:{port}");
            let up = wait_until("docker-registry answers or ends", || {
                if TcpStream::connect(&address).is_ok() {
                    return Some(true);
                }
                matches!(child.try_wait(), Ok(Some(_))).then_some(false)
            });
            if up {
                return DockerRegistry { child, address };
            }
        }
        panic!("docker-registry does not come up")
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the registry in a thread answers to a path.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub media_type: String,
    pub body: Vec<u8>,
    /// Headers besides the usual ones.
    pub headers: Vec<(String, String)>,
    /// Close the connection after this many bytes of the body.
    pub cut: Option<usize>,
}

/// A registry that serves a table of answers over HTTP.
pub struct TestRegistry {
    pub address: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TestRegistry {
    pub fn start() -> TestRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let registry = TestRegistry { address, answers: Arc::default(), requests: Arc::default() };
        registry.answer("/v2/", 200, "application/json", b"{}");
        let (answers, requests) = (Arc::clone(&registry.answers), Arc::clone(&registry.requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, requests) = (Arc::clone(&answers), Arc::clone(&requests));
                thread::spawn(move || serve(stream, &answers, &requests));
            }
        });
        registry
    }

    /// Sets the answer to a path.
    pub fn answer(&self, path: &str, status: u16, media_type: &str, body: &[u8]) {
        let answer =
            Answer { status, media_type: media_type.to_owned(), body: body.to_vec(), headers: Vec::new(), cut: None };
        self.set(path, answer);
    }

    pub fn set(&self, path: &str, answer: Answer) {
        self.answers.lock().expect("not poisoned").insert(path.to_owned(), answer);
    }

    /// Changes the answer to a path that has one.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Answer)) {
        change(
            self.answers.lock().expect("not poisoned").get_mut(path).unwrap_or_else(|| panic!("no answer for {path}")),
        );
    }

    /// Serves an image as `name:tag`, its manifest by digest too; the image's reference.
    pub fn add(&self, name: &str, tag: &str, image: &Image) -> String {
        self.answer(&format!("/v2/{name}/manifests/{tag}"), 200, MANIFEST, &image.manifest);
        self.answer(&format!("/v2/{name}/manifests/{}", digest(&image.manifest)), 200, MANIFEST, &image.manifest);
        for (digest, blob) in &image.blobs {
            self.answer(&format!("/v2/{name}/blobs/{digest}"), 200, "application/octet-stream", blob);
        }
        format!("{}/{name}:{tag}", self.address)
    }

    /// The requests so far: `GET /v2/…`.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, answers: &Mutex<HashMap<String, Answer>>, requests: &Mutex<Vec<String>>) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(first)) = lines.next() {
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        requests.lock().expect("not poisoned").push(format!("{method} {path}"));
        let path = path.split('?').next().unwrap_or_default();
        let answer = answers.lock().expect("not poisoned").get(path).cloned().unwrap_or(Answer {
            status: 404,
            media_type: "application/json".to_owned(),
            body: br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#.to_vec(),
            headers: Vec::new(),
            cut: None,
        });
        let mut head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            answer.status,
            answer.media_type,
            answer.body.len()
        );
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = if method == "HEAD" { &[][..] } else { &answer.body[..answer.cut.unwrap_or(answer.body.len())] };
        let sent = out.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| out.write_all(body));
        if sent.is_err() || answer.cut.is_some() {
            return;
        }
    }
}
