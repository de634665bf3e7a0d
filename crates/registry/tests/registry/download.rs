//! Files from web servers.

use std::io::Read;

use registry::{Error, Session};

use crate::place::{BASIC, Place};
use crate::scripted::{Reply, Server};

fn read(session: &Session, url: &str) -> Result<Vec<u8>, Error> {
    let mut download = registry::download(session, url)?;
    let mut bytes = Vec::new();
    let read = download.read_to_end(&mut bytes);
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.downcast::<Error>().expect("it is ours")),
    }
}

#[test]
fn redirects_are_followed_and_the_user_stays_behind() {
    let far = Server::start(|_| Reply::new(200, "content"));
    let place = format!("http://{}/there?sig=x", far.authority);
    let near = Server::start(move |_| Reply::new(302, "").with("location", &*place));
    let session = Place::new().session();
    let url = format!("http://user:secret@{}/file", near.authority);
    assert_eq!(read(&session, &url).unwrap(), b"content");
    assert_eq!(near.requests()[0].header("authorization"), Some(BASIC));
    assert_eq!(far.requests()[0].header("authorization"), None);
    let turns = Server::start(|request| Reply::new(301, "").with("location", request.path.clone()));
    let error = read(&session, &format!("http://{}/x", turns.authority)).unwrap_err().to_string();
    assert!(error.ends_with("/x: too many redirects"), "{error}");
}

#[test]
fn answers_that_are_no_file() {
    let session = Place::new().session();
    for (status, words) in [
        (404, "/x not found: HTTP 404"),
        (403, "/x: HTTP 403 Forbidden; if it needs a user, write https://NAME:PASSWORD@"),
        (400, "/x: HTTP 400"),
    ] {
        let server = Server::start(move |_| Reply::new(status, "nothing"));
        let error = read(&session, &format!("http://ann:pw@{}/x?secret", server.authority)).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("secret") && !error.contains("pw@"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
    let cut = Server::start(|_| Reply::new(200, vec![1; 5000]).cut_after(100));
    let error = read(&session, &format!("http://{}/x", cut.authority)).unwrap_err().to_string();
    assert!(error.contains("/x: the transfer broke off: "), "{error}");
    let error = read(&session, "http://127.0.0.1:1/x").unwrap_err().to_string();
    assert!(error.starts_with("http://127.0.0.1:1/x: ") && error.contains("check that it runs"), "{error}");
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let busy = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match busy.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Reply::new(503, "").with("retry-after", "0"),
        _ => Reply::new(200, "x"),
    });
    assert_eq!(read(&Place::new().session(), &format!("http://{}/x", server.authority)).unwrap(), b"x");
}

#[test]
fn certificates_are_asked_for_as_for_registries() {
    let server = Server::start_tls(|_| Reply::new(200, "x"));
    let port = server.authority.rsplit(':').next().unwrap();
    let (place, url) = (Place::new(), format!("https://localhost:{port}/x"));
    let strict = format!("[[registry]]\nname = \"localhost:{port}\"\ninsecure = false\n");
    let session = Session::open(place.access_with(&strict)).unwrap();
    let error = read(&session, &url).unwrap_err().to_string();
    assert!(error.contains("certificate is not valid"), "{error}");
    let lenient = strict.replace("false", "true");
    let session = Session::open(place.access_with(&lenient)).unwrap();
    assert_eq!(read(&session, &url).unwrap(), b"x");
}
