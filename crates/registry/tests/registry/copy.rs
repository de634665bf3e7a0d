//! From registry to registry.

use registry::{CopyOptions, Error, Fetched, Platforms};
use spec::Reference;
use spec::image::{Descriptor, Index, media_type};

use crate::fixture::{self, Fixture, sha256};
use crate::memory::Memory;
use crate::place::Place;
use crate::scripted::{Reply, Server};

fn serve(memory: &Memory) -> Server {
    let memory = memory.clone();
    Server::start(move |request| memory.reply(request))
}

fn copy(from: &Server, source: &str, to: &Server, target: &str, options: &CopyOptions) -> Result<Fetched, Error> {
    let session = Place::new().session();
    let name = |server: &Server, rest: &str| Reference::parse(&format!("{}/{rest}", server.authority)).unwrap();
    registry::copy(&session, &name(from, source), &session, &name(to, target), options, &mut |_| ())
}

/// Two images in an index, and something that refers to the first.
fn stocked() -> (Memory, Vec<u8>, Vec<u8>) {
    let memory = Memory::with_referrers(true);
    let (amd, arm) = (Fixture::new(&[100, 70_000]), Fixture::for_architecture(&[200], "arm64"));
    memory.put_image("app", "amd", &amd);
    memory.put_image("app", "arm", &arm);
    let index = fixture::index(&[("linux/amd64", &amd), ("linux/arm64", &arm)]);
    memory.put_manifest("app", "v1", media_type::OCI_INDEX, &index);
    let content = memory.put_blob("app", b"anything at all");
    memory.put_blob("app", b"{}");
    let subject = Descriptor::new(media_type::OCI_MANIFEST, amd.digest(), amd.manifest_bytes.len() as u64);
    let artifact = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": "application/vnd.example",
        "config": Descriptor::new("application/vnd.oci.empty.v1+json", sha256(b"{}"), 2),
        "layers": [Descriptor::new("audio/ogg", content, 15)], "subject": subject, "unknown": {"kept": true},
    });
    let artifact = artifact.to_string().into_bytes();
    memory.put_manifest("app", "sig", media_type::OCI_MANIFEST, &artifact);
    (memory, index, artifact)
}

#[test]
fn an_index_with_everything() {
    let (source, index, artifact) = stocked();
    let target = Memory::default();
    let (from, to) = (serve(&source), serve(&target));
    let options = CopyOptions { platforms: Platforms::All, referrers: true, ..CopyOptions::default() };
    let copied = copy(&from, "app:v1", &to, "moved/here:v2", &options).unwrap();
    assert_eq!(copied.digest, sha256(&index));
    assert_eq!(target.manifest("moved/here", "v2").unwrap(), (media_type::OCI_INDEX.to_owned(), index));
    let (_, bytes) = target.manifest("moved/here", sha256(&artifact).as_str()).unwrap();
    assert_eq!(bytes, artifact, "referrers come along, byte for byte");
    assert!(target.has_blob("moved/here", &sha256(b"anything at all")));
    let place = Place::new();
    let name = format!("{}/moved/here:v2", to.authority);
    let options = registry::PullOptions { platform: Some("linux/amd64".parse().unwrap()), ..Default::default() };
    assert_eq!(place.pull_as(&name, &options).unwrap().image.size(&place.store()), 70_100);
    assert_eq!(target.open_uploads(), 0);
}

#[test]
fn one_platform_of_an_index() {
    let (source, index, _) = stocked();
    let target = Memory::default();
    let (from, to) = (serve(&source), serve(&target));
    let platform = |text: &str| Platforms::One(Some(text.parse().unwrap()));
    let options = CopyOptions { platforms: platform("linux/arm64"), ..CopyOptions::default() };
    let copied = copy(&from, "app:v1", &to, "x", &options).unwrap();
    assert_eq!(copied.media_type, media_type::OCI_MANIFEST);
    assert!(target.manifest("x", sha256(&index).as_str()).is_none());
    let options = CopyOptions { platforms: platform("linux/s390x"), ..CopyOptions::default() };
    assert!(matches!(copy(&from, "app:v1", &to, "x", &options), Err(Error::Platform { .. })));
}

#[test]
fn within_one_registry_blobs_are_mounted() {
    let (memory, _, _) = stocked();
    let server = serve(&memory);
    copy(&server, "app:amd", &server, "second:x", &CopyOptions::default()).unwrap();
    assert!(memory.manifest("second", "x").is_some());
    assert_eq!(server.requests().iter().filter(|request| request.method == "PATCH").count(), 0);
    assert!(server.count("mount=") >= 3);
}

#[test]
fn an_artifact_of_any_type() {
    let (source, _, artifact) = stocked();
    let target = Memory::default();
    copy(&serve(&source), "app:sig", &serve(&target), "x:sig", &CopyOptions::default()).unwrap();
    assert_eq!(target.manifest("x", "sig").unwrap().1, artifact);
}

#[test]
fn altered_bytes_are_never_finished() {
    let (source, ..) = stocked();
    let target = Memory::default();
    let inner = source.clone();
    let from = Server::start(move |request| {
        let mut reply = inner.reply(request);
        if request.path.contains("/blobs/") && request.method == "GET" {
            reply.alter();
        }
        reply
    });
    let error = copy(&from, "app:amd", &serve(&target), "x", &CopyOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    assert!(target.manifest("x", "latest").is_none());
}

#[test]
fn indexes_without_an_end_are_refused() {
    // Each index names another one: digests cannot loop, but a registry may make up more and more.
    let deep = Server::start(|request| {
        let name = request.path.rsplit('/').next().unwrap_or_default();
        let depth: usize = if name.contains(':') { 1 } else { 0 };
        let mut level = Index::new(Vec::new()).to_bytes();
        let mut chain = vec![level.clone()];
        for _ in 0..40 {
            let entry = Descriptor::new(media_type::OCI_INDEX, sha256(&level), level.len() as u64);
            level = Index::new(vec![entry]).to_bytes();
            chain.push(level.clone());
        }
        let found = chain.iter().find(|bytes| sha256(bytes).as_str() == name).filter(|_| depth == 1);
        fixture::manifest_reply(media_type::OCI_INDEX, found.unwrap_or(&level))
    });
    let to = serve(&Memory::default());
    let options = CopyOptions { platforms: Platforms::All, ..CopyOptions::default() };
    let error = copy(&deep, "x", &to, "x", &options).unwrap_err();
    assert!(error.to_string().contains("nested more than"), "{error}");
    assert_eq!(to.requests().len(), 0, "nothing is written before the bottom is reached");
    let place = Place::new();
    let error = place.pull_as(&format!("{}/x", deep.authority), &registry::PullOptions::default()).unwrap_err();
    assert!(error.to_string().contains("no matching manifest") || error.to_string().contains("nested"), "{error}");
}

#[test]
fn a_referrer_that_refers_to_itself_is_copied_once() {
    let (source, ..) = stocked();
    let inner = source.clone();
    let from = Server::start(move |request| match request.path.contains("/referrers/") {
        // Whatever is asked for, the same artifact refers to it.
        true => {
            let (kind, bytes) = inner.manifest("app", "sig").unwrap();
            let entry = Descriptor::new(&kind, sha256(&bytes), bytes.len() as u64);
            Reply::new(200, Index::new(vec![entry]).to_bytes()).with("content-type", media_type::OCI_INDEX)
        }
        false => inner.reply(request),
    });
    let target = Memory::with_referrers(true);
    let options = CopyOptions { referrers: true, ..CopyOptions::default() };
    copy(&from, "app:amd", &serve(&target), "x", &options).unwrap();
    assert!(target.manifest("x", "latest").is_some());
}
