//! Who gets which credentials: tokens, passwords, and redirects that must not see them.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Access, Error, Session, User};

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

/// A registry that takes user:secret, by a token or by Basic.
fn guarded_registry(by_token: bool) -> Server {
    Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        let sent = request.header("authorization");
        if request.path.starts_with("/token") {
            return match sent {
                Some(BASIC) => Reply::new(200, r#"{"token":"ticket"}"#),
                _ => Reply::error(401, "UNAUTHORIZED", "incorrect username or password"),
            };
        }
        let (wanted, challenge) = match by_token {
            true => ("Bearer ticket", format!("Bearer realm=\"http://{host}/token\",service=\"here\"")),
            false => (BASIC, "Basic realm=\"x\"".to_owned()),
        };
        match sent == Some(wanted) {
            true => Reply::new(200, "{}"),
            false => Reply::error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge),
        }
    })
}

#[test]
fn a_user_is_kept_after_the_registry_has_said_yes() {
    for by_token in [true, false] {
        let server = guarded_registry(by_token);
        let place = Place::new();
        let session = place.session();
        let wrong = User::parse("user:wrong").unwrap();
        let error = registry::login(&session, &server.authority, &wrong).unwrap_err();
        assert!(matches!(error, Error::Login { .. }), "{error}");
        assert_eq!(registry::stored_user(&session, &server.authority).unwrap(), None);
        let right = User::parse("user:secret").unwrap();
        let kept = registry::login(&session, &format!("https://{}/", server.authority), &right).unwrap();
        assert_eq!((kept.registry.as_str(), kept.helper), (server.authority.as_str(), None));
        assert_eq!(registry::stored_user(&session, &server.authority).unwrap().as_deref(), Some("user"));
        registry::login_again(&place.session(), &server.authority).unwrap();
        place.log_in_as(&server.authority, "dXNlcjp3cm9uZw==");
        let error = registry::login_again(&place.session(), &server.authority).unwrap_err();
        assert!(matches!(error, Error::Login { .. }), "{error}");
        assert!(registry::logout(&session, &server.authority).unwrap());
        assert!(!registry::logout(&session, &server.authority).unwrap());
        assert!(registry::login_again(&place.session(), &server.authority).is_err());
    }
}

#[test]
fn a_user_on_the_command_line_goes_before_the_file() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Basic b3RoZXI6cHc=") => image.reply(request),
        _ => Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\""),
    });
    let place = Place::new();
    place.log_in(&server.authority);
    let session = Session::open(Access { user: User::parse("other:pw"), ..place.access() }).unwrap();
    let name = spec::Reference::parse(&format!("{}/{NAME}", server.authority)).unwrap();
    registry::pull(&session, &place.store(), &name, &Default::default(), &mut |_| ()).unwrap();
}

#[test]
fn an_identity_token_is_exchanged() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        if request.path == "/token" {
            let form = String::from_utf8_lossy(&request.body).into_owned();
            let expected = format!(
                "grant_type=refresh_token&client_id=brig&refresh_token=r%2Bt&service=here&scope=repository:{NAME}:pull"
            );
            assert_eq!((request.method.as_str(), form, request.header("authorization")), ("POST", expected, None));
            return Reply::new(200, r#"{"access_token":"ticket","expires_in":300}"#);
        }
        match request.header("authorization") {
            Some("Bearer ticket") => image.reply(request),
            _ => Reply::new(401, "")
                .with("www-authenticate", format!("Bearer realm=\"http://{host}/token\",service=\"here\"")),
        }
    });
    let place = Place::new();
    let text = format!(r#"{{"auths":{{"{}":{{"identitytoken":"r+t"}}}}}}"#, server.authority);
    std::fs::write(place.path().join("config.json"), text).unwrap();
    place.pull(&server).unwrap();
    assert_eq!(server.count("/token"), 1);
}

#[test]
fn a_password_never_goes_to_a_token_server_in_the_clear() {
    // The realm is a host that nobody called insecure.
    let server =
        Server::start(|_| Reply::new(401, "").with("www-authenticate", "Bearer realm=\"http://brig.invalid/token\""));
    let place = Place::new();
    place.log_in(&server.authority);
    let error = place.pull(&server).unwrap_err().to_string();
    assert!(error.contains("without encryption"), "{error}");
}

/// A program `docker-credential-brigtest` that keeps one user in a file, and what happens with it. Run again by this
/// very program, since the search path belongs to a process.
#[test]
fn a_helper_is_asked() {
    let place = Place::new();
    let program = place.path().join("docker-credential-brigtest");
    let script = "#!/bin/sh\nf=$0.kept\ncase $1 in\nget) test -s $f && cat $f || { echo 'credentials not found in native keychain'; exit 1; } ;;\n\
        store) cat > $f ;;\nerase) rm -f $f ;;\nesac\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap_or_default());
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "login::inside_with_a_helper", "--nocapture"])
        .env("PATH", path)
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Set where the search path has the credential helper.
const INSIDE: &str = "BRIG_TEST_WITH_HELPER";

/// The other half of the test above, which runs it.
#[test]
fn inside_with_a_helper() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let server = guarded_registry(false);
    let place = Place::new();
    let config = place.path().join("config.json");
    std::fs::write(&config, r#"{"credsStore":"brigtest"}"#).unwrap();
    let session = place.session();
    let kept = registry::login(&session, &server.authority, &User::parse("user:secret").unwrap()).unwrap();
    assert_eq!(kept.helper.as_deref(), Some("docker-credential-brigtest"));
    assert!(!std::fs::read_to_string(&config).unwrap().contains("dXNlcjpzZWNyZXQ="), "the file has no password");
    assert_eq!(registry::stored_user(&place.session(), &server.authority).unwrap().as_deref(), Some("user"));
    assert!(registry::logout(&session, &server.authority).unwrap());
    assert_eq!(registry::stored_user(&place.session(), &server.authority).unwrap(), None);
    assert!(!registry::logout(&session, &server.authority).unwrap());
    std::fs::write(&config, r#"{"credsStore":"brig-no-such"}"#).unwrap();
    let error = registry::stored_user(&place.session(), &server.authority).unwrap_err().to_string();
    assert!(error.contains("docker-credential-brig-no-such") && error.contains("install it"), "{error}");
}
