//! Mirrors and other places that configuration names.

use registry::{Error, PullOptions, Pulled, Session};
use spec::Reference;

use crate::fixture::{Fixture, NAME};
use crate::place::Place;
use crate::scripted::{Reply, Server};

fn pull(place: &Place, registries: &str, name: &str) -> Result<Pulled, Error> {
    let session = Session::open(place.access_with(registries))?;
    let reference = Reference::parse(name).unwrap();
    registry::pull(&session, &place.store(), &reference, &PullOptions::default(), &mut |_| ())
}

fn mirrors(servers: &[&str], more: &str) -> String {
    let mirrors: String =
        servers.iter().map(|server| format!("[[registry.mirror]]\nlocation = \"{server}\"\n{more}\n")).collect();
    format!("[[registry]]\nname = \"brig.invalid\"\n{mirrors}")
}

#[test]
fn the_first_mirror_that_can_is_enough() {
    let image = Fixture::new(&[1000]);
    let gone = Server::start(|_| Reply::hang_up()).authority.clone();
    let empty = Server::start(|_| Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    let full = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let name = format!("brig.invalid/{NAME}");
    pull(&place, &mirrors(&[&gone, &empty.authority, &full.authority], ""), &name).unwrap();
    assert_eq!(full.count("/manifests/"), 1);
    let names: Vec<String> = place.store().list().unwrap()[0].names.iter().map(ToString::to_string).collect();
    assert!(names[0].starts_with("brig.invalid/"), "the image has the name that was asked for: {names:?}");
}

#[test]
fn without_any_mirror_the_registry_itself_has_the_word() {
    let empty = Server::start(|_| Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    let place = Place::new();
    let error = pull(&place, &mirrors(&[&empty.authority], ""), "brig.invalid/x").unwrap_err();
    assert!(error.to_string().starts_with("cannot reach registry brig.invalid: host not found"), "{error}");
}

#[test]
fn a_mirror_for_digests_is_not_asked_what_tags_mean() {
    let (image, other) = (Fixture::new(&[1000]), Fixture::new(&[1000]));
    let digest = image.digest();
    let mirror = Server::start(move |request| image.reply(request));
    let registry = Server::start(move |request| match request.path.contains("/blobs/") {
        true => Reply::error(500, "", "the mirror has it"),
        false => other.reply(request),
    });
    let text = mirrors(&[&mirror.authority], "digests-only = true").replace("brig.invalid", &registry.authority);
    let place = Place::new();
    pull(&place, &text, &format!("{}/{NAME}", registry.authority)).unwrap();
    assert_eq!((mirror.count("/manifests/"), registry.count("/manifests/")), (0, 1));
    pull(&Place::new(), &text, &format!("{}/{NAME}@{digest}", registry.authority)).unwrap();
    assert_eq!((mirror.count("/manifests/"), registry.count("/manifests/")), (1, 1));
}

#[test]
fn a_mirror_that_breaks_off_is_helped_by_the_next() {
    let (image, second) = (Fixture::new(&[500_000]), Fixture::new(&[500_000]));
    let path = image.layer_path(0);
    let breaking = Server::start(move |request| match request.path == path && request.header("range").is_some() {
        true => Reply::error(404, "BLOB_UNKNOWN", "gone"),
        false if request.path == path => image.reply(request).cut_after(200_000),
        false => image.reply(request),
    });
    let whole = Server::start(move |request| second.reply(request));
    let text = mirrors(&[&breaking.authority, &whole.authority], "");
    pull(&Place::new(), &text, &format!("brig.invalid/{NAME}")).unwrap();
    let ranges: Vec<_> = whole.requests().iter().filter_map(crate::fixture::first_byte).collect();
    assert_eq!(ranges, [200_000], "from where the first one stopped");
}

#[test]
fn a_location_stands_for_the_registry() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| image.reply(&request.at(&request.path.replace("/hub/", "/team/"))));
    let text = format!("[[registry]]\nname = \"brig.invalid/abc\"\nlocation = \"{}/hub\"", server.authority);
    pull(&Place::new(), &text, "brig.invalid/abc/app").unwrap();
    assert!(server.requests().iter().all(|request| request.path.starts_with("/v2/hub/app/")));
}

#[test]
fn what_is_blocked_is_not_asked() {
    let server = Server::start(|_| Reply::new(500, ""));
    let text = format!("[[registry]]\nname = \"{}\"\nblocked = true", server.authority);
    let error = pull(&Place::new(), &text, &format!("{}/x", server.authority)).unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error}");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_mirror_never_sees_the_registrys_login() {
    let image = Fixture::new(&[10]);
    let mirror = Server::start(|request| {
        assert_eq!(request.header("authorization"), None);
        Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\"")
    });
    let registry = Server::start(move |request| match request.header("authorization") {
        Some(_) => image.reply(request),
        None => Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    place.log_in(&registry.authority);
    let text = mirrors(&[&mirror.authority], "").replace("brig.invalid", &registry.authority);
    pull(&place, &text, &format!("{}/{NAME}", registry.authority)).unwrap();
    assert!(!mirror.requests().is_empty());
}

#[test]
fn a_mirror_never_sees_the_user_that_was_given() {
    let image = Fixture::new(&[10]);
    let mirror = Server::start(|_| Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""));
    let registry = Server::start(move |request| match request.header("authorization") {
        Some("Basic b3RoZXI6cHc=") => image.reply(request),
        _ => Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    let text = mirrors(&[&mirror.authority], "").replace("brig.invalid", &registry.authority);
    let access = registry::Access { user: registry::User::parse("other:pw"), ..place.access_with(&text) };
    let session = Session::open(access).unwrap();
    let name = Reference::parse(&format!("{}/{NAME}", registry.authority)).unwrap();
    registry::pull(&session, &place.store(), &name, &Default::default(), &mut |_| ()).unwrap();
    let seen = mirror.requests();
    assert!(!seen.is_empty() && seen.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn plain_http_is_spoken_where_told() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| image.reply(request));
    let text = format!("[[registry]]\nname = \"{}\"\nplain-http = true", server.authority);
    pull(&Place::new(), &text, &format!("{}/{NAME}", server.authority)).unwrap();
    // Neither here nor there: a registry that is to be verified is not spoken to in the clear.
    let text = format!("[[registry]]\nname = \"{}\"\ninsecure = false", server.authority);
    let error = pull(&Place::new(), &text, &format!("{}/{NAME}", server.authority)).unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let server = Server::start(|_| Reply::new(500, ""));
    let text = format!("[[registry]]\nname = \"{}\"\nca = [\"/nonexistent/ca.pem\"]", server.authority);
    let error = pull(&Place::new(), &text, &format!("{}/x", server.authority)).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
}
