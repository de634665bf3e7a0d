//! A registry that misbehaves on command: an HTTP server on loopback whose every answer is a
//! function of the request. Answers may be cut short or dropped, which no real registry does when
//! asked. One thread per connection, one request per connection. `localhost.key` and its self-signed
//! certificate were made for these tests and protect nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came in; header names in lower case.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same request for another path.
    pub fn at(&self, path: &str) -> Request {
        Request { path: path.to_owned(), ..self.clone() }
    }
}

/// What to send back.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body really sent; the length announced stays that of the whole.
    cut: Option<usize>,
    /// Close the connection without a word.
    hang_up: bool,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), cut: None, hang_up: false }
    }

    /// A distribution error document.
    pub fn error(status: u16, code: &str, message: &str) -> Reply {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Reply::new(status, body).with("content-type", "application/json")
    }

    pub fn hang_up() -> Reply {
        Reply { hang_up: true, ..Reply::new(0, "") }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Changes a bit in the middle of the body.
    pub fn alter(&mut self) {
        let middle = self.body.len() / 2;
        if let Some(byte) = self.body.get_mut(middle) {
            *byte ^= 1;
        }
    }

    pub fn cut_after(mut self, bytes: usize) -> Reply {
        self.cut = Some(bytes);
        self
    }

    fn send(&self, stream: &mut impl Write) -> std::io::Result<()> {
        if self.hang_up {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} Scripted\r\nconnection: close\r\n", self.status);
        // 204 has no body (RFC 9110 section 15.3.5).
        if self.status != 204 {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        let length = self.cut.map_or(self.body.len(), |cut| cut.min(self.body.len()));
        stream.write_all(&self.body[..length])
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server; stops when dropped.
pub struct Server {
    pub authority: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Over plain HTTP.
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::listen(Arc::new(script), None)
    }

    /// Over HTTPS, with a certificate for `localhost` that nobody has signed.
    pub fn start_tls(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("localhost.key")).expect("the key is one");
        let chain = vec![CertificateDer::from_pem_slice(include_bytes!("localhost.crt")).expect("it is one")];
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .expect("key and certificate belong together");
        Server::listen(Arc::new(script), Some(Arc::new(config)))
    }

    fn listen(script: Arc<Script>, tls: Option<Arc<ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let authority = listener.local_addr().expect("is bound").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (script, log, tls) = (Arc::clone(&script), Arc::clone(&log), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve_plain(stream, &*script, &log),
                    Some(config) => serve_tls(stream, config, &*script, &log),
                });
            }
        });
        Server { authority, requests, stop, thread: Some(thread) }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no script panics while it holds the log").clone()
    }

    /// How often a path containing `part` was asked for.
    pub fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.path.contains(part)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes `accept`.
        let _ = TcpStream::connect(&self.authority);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

// Closing with unread or lingering bytes resets the connection: for the client that is one more way
// for it to break, so errors of this side mean nothing.

fn serve_plain(mut stream: TcpStream, script: &Script, log: &Mutex<Vec<Request>>) {
    serve(&mut stream, script, log);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>, script: &Script, log: &Mutex<Vec<Request>>) {
    let connection = ServerConnection::new(config).expect("the configuration is complete");
    let mut stream = StreamOwned::new(connection, stream);
    serve(&mut stream, script, log);
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn serve(stream: &mut (impl Read + Write), script: &Script, log: &Mutex<Vec<Request>>) {
    let Some(request) = read_request(stream) else { return };
    log.lock().expect("no script panics while it holds the log").push(request.clone());
    let mut reply = script(&request);
    if request.method == "HEAD" {
        reply.cut = Some(0);
    }
    let _ = reply.send(stream);
}

/// `None` for what is no HTTP, such as the start of a TLS handshake. A body cut short by the client
/// is given as far as it came.
fn read_request(stream: &mut impl Read) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
        if !bytes[0].is_ascii_uppercase() || bytes.len() > 64 * 1024 {
            return None;
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let _ = stream.take(length).read_to_end(&mut request.body);
    Some(request)
}
