//! What registries list and keep beside images: tags, repositories, referrers, searches, single documents.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Error, SearchOptions};
use spec::Reference;
use spec::image::{Descriptor, Index, media_type};

use crate::fixture::{Fixture, sha256};
use crate::memory::Memory;
use crate::place::Place;
use crate::scripted::{Reply, Server};

const SIGNATURE: &str = "application/vnd.example.signature";

fn serve(memory: &Memory) -> Server {
    let memory = memory.clone();
    Server::start(move |request| memory.reply(request))
}

fn reference(server: &Server, rest: &str) -> Reference {
    Reference::parse_untagged(&format!("{}/{rest}", server.authority)).unwrap()
}

/// An artifact about `subject`.
fn signature(subject: &Descriptor, kind: &str) -> Vec<u8> {
    let empty = Descriptor::new("application/vnd.oci.empty.v1+json", sha256(b"{}"), 2);
    serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": kind,
        "config": empty, "layers": [], "subject": subject,
    })
    .to_string()
    .into_bytes()
}

#[test]
fn tags_of_all_pages() {
    let memory = Memory::default();
    for tag in ["a", "b", "c", "d", "e"] {
        memory.put_image("team/app", tag, &Fixture::new(&[1]));
    }
    let server = serve(&memory);
    let tags = registry::tags(&Place::new().session(), &reference(&server, "team/app")).unwrap();
    assert_eq!(tags, ["a", "b", "c", "d", "e"]);
    assert_eq!(server.count("/tags/list"), 3);
}

#[test]
fn lists_without_an_end_are_refused() {
    let server = Server::start(|request| {
        Reply::new(200, r#"{"tags":["x"]}"#).with("link", format!("<{}>; rel=\"next\"", request.path))
    });
    let error = registry::tags(&Place::new().session(), &reference(&server, "x")).unwrap_err();
    assert!(error.to_string().contains("has no end"), "{error}");
    let server = Server::start(|_| Reply::new(200, vec![b' '; 9 << 20]));
    let error = registry::tags(&Place::new().session(), &reference(&server, "x")).unwrap_err();
    assert!(error.to_string().contains("is larger than"), "{error}");
}

#[test]
fn tags_that_are_none_are_left_out() {
    let server = Server::start(|_| Reply::new(200, r#"{"tags":["good","../../x","a b","","x@y"]}"#));
    assert_eq!(registry::tags(&Place::new().session(), &reference(&server, "x")).unwrap(), ["good"]);
    let server = Server::start(|_| Reply::new(200, r#"{"tags":null}"#));
    assert!(registry::tags(&Place::new().session(), &reference(&server, "x")).unwrap().is_empty());
}

#[test]
fn referrers_by_the_api_and_by_the_tag() {
    for with_referrers in [true, false] {
        let memory = Memory::with_referrers(with_referrers);
        let image = Fixture::new(&[1]);
        memory.put_image("app", "v1", &image);
        memory.put_blob("app", b"{}");
        let server = serve(&memory);
        let session = Place::new().session();
        let subject = Descriptor::new(media_type::OCI_MANIFEST, image.digest(), image.manifest_bytes.len() as u64);
        for kind in [SIGNATURE, "application/vnd.example.other"] {
            let bytes = signature(&subject, kind);
            let name = reference(&server, &format!("app@{}", sha256(&bytes)));
            registry::manifest_put(&session, &name, media_type::OCI_MANIFEST, &bytes).unwrap();
            // A second time changes nothing.
            registry::manifest_put(&session, &name, media_type::OCI_MANIFEST, &bytes).unwrap();
        }
        let image = reference(&server, "app:v1");
        assert_eq!(registry::referrers(&session, &image, None).unwrap().len(), 2, "{with_referrers}");
        let found = registry::referrers(&session, &image, Some(SIGNATURE)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].digest, sha256(&signature(&subject, SIGNATURE)));
        let has_tag = memory.manifest("app", &format!("sha256-{}", subject.digest.hex())).is_some();
        assert_eq!(has_tag, !with_referrers);
        let nothing = reference(&server, &format!("app@sha256:{}", "0".repeat(64)));
        assert!(registry::referrers(&session, &nothing, None).unwrap().is_empty());
    }
}

#[test]
fn documents_are_written_read_and_deleted() {
    let memory = Memory::default();
    let server = serve(&memory);
    let session = Place::new().session();
    let index = Index::new(Vec::new()).to_bytes();
    let name = reference(&server, "app:all");
    assert_eq!(registry::manifest_head(&session, &name).unwrap(), None);
    let digest = registry::manifest_put(&session, &name, media_type::OCI_INDEX, &index).unwrap();
    let found = registry::manifest_get(&session, &name).unwrap();
    assert_eq!((found.bytes, found.media_type.as_str()), (index.clone(), media_type::OCI_INDEX));
    let head = registry::manifest_head(&session, &name).unwrap().unwrap();
    assert_eq!((head.digest.clone(), head.size), (digest.clone(), index.len() as u64));
    registry::manifest_delete(&session, &name.with_digest(digest)).unwrap();
    registry::manifest_delete(&session, &name).unwrap();
    assert!(matches!(registry::manifest_delete(&session, &name), Err(Error::NotFound { .. })));
    let wrong = name.with_digest(sha256(b"other"));
    memory.put_manifest("app", wrong.digest().unwrap().as_str(), media_type::OCI_INDEX, &index);
    assert!(matches!(registry::manifest_get(&session, &wrong), Err(Error::Digest { .. })));
}

#[test]
fn blobs_are_written_and_read() {
    let memory = Memory::default();
    let server = serve(&memory);
    let (session, repository) = (Place::new().session(), reference(&server, "app"));
    let bytes = b"some artifact".to_vec();
    let blob = Descriptor::new("text/plain", sha256(&bytes), bytes.len() as u64);
    let mut source = || Ok(Box::new(std::io::Cursor::new(bytes.clone())) as Box<dyn std::io::Read + Send>);
    registry::blob_put(&session, &repository, &blob, &mut source).unwrap();
    let mut read = Vec::new();
    registry::blob_get(&session, &repository, &blob, &mut read).unwrap();
    assert_eq!(read, bytes);
    let mut other = || Ok(Box::new(&b"other artefact"[..]) as Box<dyn std::io::Read + Send>);
    let lie = Descriptor { digest: sha256(b"x"), ..blob };
    assert!(registry::blob_put(&session, &repository, &lie, &mut other).is_err());
    assert_eq!(memory.open_uploads(), 0, "what is not finished is cancelled");
}

#[test]
fn search_by_api_and_by_list() {
    let server = Server::start(|request| {
        assert_eq!(request.path, "/v1/search?q=a%20b&n=25");
        let entry = |name: &str, stars: u64, official: bool| serde_json::json!({"name": name, "description": "x\u{1b}[2J", "star_count": stars, "is_official": official});
        let results = [entry("one", 5, true), entry("team/two", 50, false)];
        Reply::new(200, serde_json::json!({"num_results": 2, "results": results}).to_string())
    });
    let session = Place::new().session();
    let term = format!("{}/a b", server.authority);
    let find = |options: &SearchOptions| -> Vec<String> {
        let found = registry::search(&session, &term, options).unwrap();
        assert!(found.iter().all(|one| !one.description.contains('\u{1b}')));
        found.into_iter().map(|one| one.name).collect()
    };
    assert_eq!(find(&SearchOptions::default()), ["one", "team/two"]);
    assert_eq!(find(&SearchOptions { stars_min: 10, ..SearchOptions::default() }), ["team/two"]);
    assert_eq!(find(&SearchOptions { official: Some(true), ..SearchOptions::default() }), ["one"]);
    let memory = Memory::default();
    for name in ["team/app", "team/tool", "apple"] {
        memory.put_image(name, "x", &Fixture::new(&[1]));
    }
    let server = serve(&memory);
    let found = registry::search(&session, &format!("{}/app", server.authority), &SearchOptions::default()).unwrap();
    assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["apple", "team/app"]);
    assert_eq!(registry::repositories(&session, &server.authority).unwrap().len(), 3);
}

#[test]
fn all_tags_are_pulled_and_what_is_no_image_is_said() {
    let memory = Memory::default();
    memory.put_image("app", "one", &Fixture::new(&[1]));
    memory.put_image("app", "two", &Fixture::new(&[2]));
    memory.put_manifest(
        "app",
        "thing",
        media_type::OCI_MANIFEST,
        &signature(&Descriptor::new("x/y", sha256(b"x"), 1), SIGNATURE),
    );
    let server = serve(&memory);
    let place = Place::new();
    let (skipped, tags) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let pulled = registry::pull_all_tags(
        &place.session(),
        &place.store(),
        &reference(&server, "app"),
        &registry::PullOptions::default(),
        &mut |event| match event {
            registry::TagsProgress::Tag { .. } => drop(tags.fetch_add(1, Ordering::SeqCst)),
            registry::TagsProgress::Skipped { tag, why } => {
                assert!(tag == "thing" && why.contains(SIGNATURE), "{why}");
                skipped.fetch_add(1, Ordering::SeqCst);
            }
            registry::TagsProgress::Refused { .. } | registry::TagsProgress::Image(_) => {}
        },
    )
    .unwrap();
    assert_eq!((pulled.len(), skipped.into_inner(), tags.into_inner()), (2, 1, 3));
}
