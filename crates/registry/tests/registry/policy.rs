//! The image policy at pull: what is refused is neither fetched nor named, what is signed is accepted, by our file and by
//! podman's. Keys are made anew by each test; which signatures count is tested beside the code.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use registry::policy::Files;
use registry::{Access, CopyOptions, Error, PullOptions, Pulled, Session};
use ring::rand::SystemRandom;
use ring::signature::{ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair};
use spec::Reference;
use spec::image::{Descriptor, Manifest};

use crate::fixture::{self, Fixture, NAME};
use crate::memory::Memory;
use crate::place::Place;
use crate::scripted::{Reply, Request, Server};

/// What precedes an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_HEAD: [u8; 12] = [0x30, 10 + ED25519_PUBLIC_KEY_LEN as u8, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Signer {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the generator works");
        Signer(Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("it is a key"))
    }

    fn pem(&self) -> String {
        let der = [&ED25519_HEAD[..], self.0.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
    }
}

/// A server that has an image and, in cosign's form, a signature of it for the tag `latest`.
fn signed(image: Fixture, signer: Signer) -> Server {
    Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        let payload = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"{host}/{NAME}:latest"}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
            image.digest()
        );
        signature_reply(&image, &signer, payload.as_bytes(), request).unwrap_or_else(|| image.reply(request))
    })
}

fn signature_reply(image: &Fixture, signer: &Signer, payload: &[u8], request: &Request) -> Option<Reply> {
    let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
    let mut layer = Descriptor::new(kind, fixture::sha256(payload), payload.len() as u64);
    let signature = BASE64_STANDARD.encode(signer.0.sign(payload));
    layer.annotations.insert("dev.cosignproject.cosign/signature".to_owned(), signature);
    let manifest = Manifest::new(layer.clone(), vec![layer.clone()]);
    if request.path.ends_with(&format!("/manifests/sha256-{}.sig", image.digest().hex())) {
        return Some(fixture::manifest_reply(&manifest.media_type, &manifest.to_bytes()));
    }
    request.path.ends_with(layer.digest.as_str()).then(|| Reply::new(200, payload))
}

fn pull(place: &Place, name: &str, policy: Files) -> Result<Pulled, Error> {
    let session = Session::open(Access { policy, ..place.access() }).unwrap();
    let reference = Reference::parse(name).unwrap();
    registry::pull(&session, &place.store(), &reference, &PullOptions::default(), &mut |_| ())
}

fn named(place: &Place, file: &str, text: &str) -> Files {
    let path = place.path().join(file);
    fs::write(&path, text).unwrap();
    Files { named: Some(path), ..Files::none() }
}

/// The whole message of a refusal; the image must not be in the store by then.
fn refusal(place: &Place, name: &str, policy: Files) -> String {
    let error = pull(place, name, policy).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(place.store().resolve(name).is_err(), "no half-made image after {error}");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    error.to_string()
}

fn rule(server: &Server, key: &str) -> String {
    let place = &server.authority;
    format!("default = \"reject\"\n[[rule]]\nimages = [\"{place}\"]\npolicy = \"signed\"\nkeys = [\"{key}\"]\n")
}

#[test]
fn a_refused_image_is_not_fetched() {
    let image = Fixture::new(&[1000]);
    let digest = image.digest();
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let name = format!("{}/{NAME}:latest", server.authority);
    let reject = named(&place, "reject.toml", "default = \"reject\"");
    let file = place.path().join("reject.toml");
    let expected = format!(
        "{name} is refused by the default rule in {}: no other rule is for it; change the rule to allow it",
        file.display()
    );
    assert_eq!(refusal(&place, &name, reject), expected);
    let rule = rule(&server, "team.pub");
    fs::write(place.path().join("team.pub"), Signer::new().pem()).unwrap();
    let unsigned = refusal(&place, &name, named(&place, "signed.toml", &rule));
    assert!(unsigned.contains(&format!("{digest} has no signature; sign it by a signer of the rule")), "{unsigned}");
    assert_eq!(server.count("/blobs/"), 0);
}

#[test]
fn an_image_that_is_here_is_asked_about_again() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let name = format!("{}/{NAME}", server.authority);
    pull(&place, &name, named(&place, "policy.toml", "default = \"accept\"")).unwrap();
    let error = pull(&place, &name, named(&place, "policy.toml", "default = \"reject\"")).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
}

#[test]
fn a_broken_policy_stops_every_pull() {
    let image = Fixture::new(&[10]);
    let server = Server::start(move |request| image.reply(request));
    let place = Place::new();
    let name = format!("{}/{NAME}", server.authority);
    for text in ["", "default = \"maybe\"", "default = \"accept\"\n[[rule]]\nimages = [\"x\"]\npolicy = \"accept\""] {
        let error = pull(&place, &name, named(&place, "policy.toml", text)).unwrap_err();
        assert!(matches!(error, Error::Configuration { .. }), "{error}");
    }
    let missing = Files { named: Some(place.path().join("none.toml")), ..Files::none() };
    assert!(matches!(pull(&place, &name, missing).unwrap_err(), Error::Configuration { .. }));
}

#[test]
fn a_signed_image_is_accepted() {
    let (image, signer) = (Fixture::new(&[500]), Signer::new());
    let place = Place::new();
    fs::write(place.path().join("team.pub"), signer.pem()).unwrap();
    fs::write(place.path().join("other.pub"), Signer::new().pem()).unwrap();
    let server = signed(image, signer);
    let name = format!("{}/{NAME}:latest", server.authority);
    let other = refusal(&place, &name, named(&place, "other.toml", &rule(&server, "other.pub")));
    assert!(other.contains(".sig: it is not made by a key of the rule); sign it"), "{other}");
    let policy = || named(&place, "policy.toml", &rule(&server, "team.pub"));
    let pulled = pull(&place, &name, policy()).unwrap();
    let key = place.path().join("team.pub").display().to_string();
    assert_eq!((pulled.verified.digest, pulled.verified.signers), (Some(pulled.digest), vec![key.clone()]));
    // Whoever looks at the image later sees it as well, too.
    let noted = registry::signed(&place.store(), &pulled.image).unwrap();
    assert_eq!((noted.digest, noted.signers), (pulled.image.manifest_digest.clone(), vec![key]));
    assert!(pull(&place, &name, policy()).unwrap().already_present);
}

/// A copy asks as a pull does, and before anything is written.
#[test]
fn copies_ask_the_policy() {
    let (image, signer) = (Fixture::new(&[500]), Signer::new());
    let place = Place::new();
    fs::write(place.path().join("team.pub"), signer.pem()).unwrap();
    fs::write(place.path().join("other.pub"), Signer::new().pem()).unwrap();
    let (from, memory) = (signed(image, signer), Memory::default());
    let inner = memory.clone();
    let to = Server::start(move |request| inner.reply(request));
    let copy = |policy: Files| {
        let session = Session::open(Access { policy, ..place.access() }).unwrap();
        let name = |server: &Server| Reference::parse(&format!("{}/{NAME}:latest", server.authority)).unwrap();
        registry::copy(&session, &name(&from), &session, &name(&to), &CopyOptions::default(), &mut |_| ())
    };
    let error = copy(named(&place, "other.toml", &rule(&from, "other.pub"))).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!((from.count("/blobs/") <= 1, to.requests().len()), (true, 0), "no more than the signature was fetched");
    copy(named(&place, "policy.toml", &rule(&from, "team.pub"))).unwrap();
    assert!(memory.manifest(NAME, "latest").is_some());
}

#[test]
fn of_all_tags_those_that_are_refused_are_passed_over() {
    let memory = Memory::default();
    memory.put_image(NAME, "one", &Fixture::new(&[1]));
    memory.put_image("free", "two", &Fixture::new(&[2]));
    let server = Server::start(move |request| memory.reply(request));
    let place = Place::new();
    let rules =
        format!("default = \"accept\"\n[[rule]]\nimages = [\"{}/{NAME}\"]\npolicy = \"reject\"\n", server.authority);
    let session = Session::open(Access { policy: named(&place, "p.toml", &rules), ..place.access() }).unwrap();
    for (repository, pulled_expected, refused_expected) in [(NAME, 0, 1), ("free", 1, 0)] {
        let mut refused = 0;
        let reference = Reference::parse_untagged(&format!("{}/{repository}", server.authority)).unwrap();
        let progress = &mut |event: registry::TagsProgress<'_>| {
            if let registry::TagsProgress::Refused { why, .. } = event {
                assert!(why.contains("is refused by the rule for"), "{why}");
                refused += 1;
            }
        };
        let pulled =
            registry::pull_all_tags(&session, &place.store(), &reference, &PullOptions::default(), progress).unwrap();
        assert_eq!((pulled.len(), refused), (pulled_expected, refused_expected), "{repository}");
    }
}

#[test]
fn podmans_policy_is_read() {
    let (image, signer) = (Fixture::new(&[500]), Signer::new());
    let place = Place::new();
    let key = place.path().join("team.pub");
    fs::write(&key, signer.pem()).unwrap();
    let server = signed(image, signer);
    let name = format!("{}/{NAME}:latest", server.authority);
    let policy = |kind: &str| {
        let path = place.path().join("policy.json");
        let requirement = format!(r#"{{"type":"{kind}","keyPath":"{}"}}"#, key.display());
        let scopes = format!(r#"{{"docker":{{"{}":[{requirement}]}}}}"#, server.authority);
        fs::write(&path, format!(r#"{{"default":[{{"type":"reject"}}],"transports":{scopes}}}"#)).unwrap();
        Files { containers_policies: vec![path], ..Files::none() }
    };
    let gpg = refusal(&place, &name, policy("signedBy"));
    assert!(gpg.contains("it asks for a GPG signature (`signedBy`), which brig does not verify"), "{gpg}");
    pull(&place, &name, policy("sigstoreSigned")).unwrap();
}
