//! Who gets which credentials: tokens, passwords, and redirects that must not see them.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::Error;

use crate::fixture::{Fixture, NAME};
use crate::place::{BASIC, Place, failure};
use crate::scripted::{Reply, Server};

/// A registry that wants a token, which its `/token` gives for `password`, or to anyone.
fn guarded(image: Fixture, password: Option<&'static str>) -> Server {
    Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        if let Some(query) = request.path.strip_prefix("/token?") {
            assert_eq!(query, format!("service=here&scope=repository:{NAME}:pull"));
            return match password {
                Some(password) if request.header("authorization") != Some(password) => {
                    Reply::error(401, "UNAUTHORIZED", "incorrect username or password")
                }
                _ => Reply::new(200, r#"{"token":"ticket","expires_in":60}"#),
            };
        }
        if request.header("authorization") != Some("Bearer ticket") {
            let challenge =
                format!("Bearer realm=\"http://{host}/token\",service=\"here\",scope=\"repository:{NAME}:pull\"");
            return Reply::error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge);
        }
        image.reply(request)
    })
}

#[test]
fn a_token_is_fetched_once_without_a_password() {
    let server = guarded(Fixture::new(&[10, 20]), None);
    Place::new().pull(&server).unwrap();
    assert_eq!(server.count("/token"), 1);
    assert_eq!(server.count("/manifests/"), 2);
}

#[test]
fn a_token_is_fetched_with_the_stored_password() {
    let server = guarded(Fixture::new(&[10]), Some(BASIC));
    let place = Place::new();
    place.log_in(&server.authority);
    place.pull(&server).unwrap();
    let leaked = server
        .requests()
        .iter()
        .any(|request| !request.path.starts_with("/token") && request.header("authorization") == Some(BASIC));
    assert!(!leaked, "the password is for the token server only");
}

#[test]
fn a_refused_password_is_reported() {
    let server = guarded(Fixture::new(&[10]), Some("Basic other"));
    let place = Place::new();
    place.log_in(&server.authority);
    let error = place.pull(&server).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("pull access denied for {}/{NAME},", server.authority)), "{text}");
    assert!(text.contains("was refused") && text.ends_with("unauthorized: incorrect username or password"), "{text}");
}

#[test]
fn an_expired_token_is_renewed() {
    let image = Fixture::new(&[10, 20, 30]);
    let tickets = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let now = tickets.load(Ordering::SeqCst);
        if request.path.starts_with("/token") {
            let ticket = tickets.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::new(200, format!(r#"{{"access_token":"ticket{ticket}"}}"#));
        }
        // The first ticket is good for the manifest alone.
        let good = request.header("authorization").is_some_and(|value| value.starts_with("Bearer ticket"))
            && (now > 1 || request.path.contains("/manifests/"));
        if good {
            return image.reply(request);
        }
        let host = request.header("host").unwrap_or_default();
        Reply::error(401, "UNAUTHORIZED", "").with("www-authenticate", format!("Bearer realm=\"http://{host}/token\""))
    });
    Place::new().pull(&server).unwrap();
}

#[test]
fn basic_login() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| match request.header("authorization") {
        Some(BASIC) => image.reply(request),
        _ => Reply::error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    let error = place.pull(&server).unwrap_err().to_string();
    assert!(error.contains("may require 'docker login' (no user for it in /"), "{error}");
    place.log_in(&server.authority);
    place.pull(&server).unwrap();
}

#[test]
fn redirects_do_not_carry_the_login() {
    let image = Fixture::new(&[4000]);
    let (path, blobs) = (image.layer_path(0), image.blobs.clone());
    let storage = Server::start(move |request| {
        assert_eq!(request.header("authorization"), None);
        let digest = request.path.trim_start_matches("/storage/");
        Reply::new(200, blobs[digest].clone())
    });
    let elsewhere = storage.authority.clone();
    let registry = Server::start(move |request| match request.header("authorization") {
        Some(BASIC) if request.path.contains("/blobs/") => {
            let digest = request.path.rsplit('/').next().unwrap_or_default();
            Reply::new(307, "moved").with("location", format!("http://{elsewhere}/storage/{digest}"))
        }
        Some(BASIC) => image.reply(request),
        _ => Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    place.log_in(&registry.authority);
    place.pull(&registry).unwrap();
    assert_eq!(registry.count(&path), 1);
    assert_eq!(storage.requests().len(), 2, "configuration and layer");
}

#[test]
fn redirects_on_the_same_host_keep_the_login_and_end() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| match request.header("authorization") {
        Some(BASIC) => match request.path.strip_prefix("/there") {
            None => Reply::new(302, "").with("location", format!("/there{}", request.path)),
            Some(_) => {
                let inner = request.at(request.path.trim_start_matches("/there"));
                image.reply(&inner)
            }
        },
        _ => Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    place.log_in(&server.authority);
    place.pull(&server).unwrap();
    let (error, _) = failure(|_, request| Reply::new(302, "").with("location", request.path.clone()));
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[test]
fn a_login_asked_for_by_another_host_gets_none() {
    let thief = Server::start(|request| {
        assert_eq!(request.header("authorization"), None);
        Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\"")
    });
    let there = thief.authority.clone();
    let server = Server::start(move |_| Reply::new(302, "").with("location", format!("http://{there}/x")));
    let place = Place::new();
    place.log_in(&server.authority);
    let error = place.pull(&server).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert_eq!(thief.requests().len(), 1);
}
