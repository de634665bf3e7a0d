//! Pushing: what is sent and what is not, uploads that break, refusals.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Compression, Error, PullOptions, PushOptions, PushProgress, PushStep, Pushed};
use spec::image::{Descriptor, Manifest, media_type};
use spec::{Digest, Reference};

use crate::fixture::{Fixture, NAME};
use crate::memory::Memory;
use crate::place::{BASIC, Place};
use crate::scripted::{Reply, Request, Server};

/// Larger than one chunk of an upload.
const LARGE: usize = 17 << 20;

/// A store that has an image, and where it came from.
struct Stocked {
    place: Place,
    image: image::Image,
}

impl Stocked {
    fn new(fixture: &Fixture) -> Stocked {
        let source = Memory::default();
        source.put_image(NAME, "latest", fixture);
        let server = Server::start(move |request| source.reply(request));
        let place = Place::new();
        let image = place.pull(&server).unwrap().image;
        Stocked { place, image }
    }

    fn push(&self, target: &str, options: &PushOptions) -> Result<Pushed, Error> {
        self.push_noting(target, options).map(|(pushed, _)| pushed)
    }

    /// With the last step of each layer.
    fn push_noting(&self, target: &str, options: &PushOptions) -> Result<(Pushed, Vec<PushStep>), Error> {
        let mut last: Vec<(Digest, PushStep)> = Vec::new();
        let mut note = |event: PushProgress<'_>| {
            let PushProgress::Layer { diff_id, step } = event else { return };
            match last.iter_mut().find(|(known, _)| known == diff_id) {
                Some((_, known)) => *known = step,
                None => last.push((diff_id.clone(), step)),
            }
        };
        let target = Reference::parse(target).unwrap();
        let (session, store) = (self.place.session(), self.place.store());
        let pushed = registry::push(&session, &store, &self.image, &target, options, &mut note)?;
        Ok((pushed, last.into_iter().map(|(_, step)| step).collect()))
    }
}

fn serve(memory: &Memory) -> Server {
    let memory = memory.clone();
    Server::start(move |request| memory.reply(request))
}

fn pulls_as(place: &Place, name: &str, size: u64) {
    let pulled = place.pull_as(name, &PullOptions::default()).unwrap();
    assert_eq!(pulled.image.size(&place.store()), size);
}

#[test]
fn what_is_pushed_can_be_pulled_and_is_not_sent_again() {
    let stocked = Stocked::new(&Fixture::new(&[200_000, 10, LARGE]));
    let memory = Memory::default();
    let server = serve(&memory);
    let target = format!("{}/other/name:v1", server.authority);
    let (pushed, steps) = stocked.push_noting(&target, &PushOptions::default()).unwrap();
    assert_eq!(steps, [PushStep::Pushed, PushStep::Pushed, PushStep::Pushed]);
    let (kind, bytes) = memory.manifest("other/name", "v1").unwrap();
    assert_eq!((kind, bytes), (pushed.media_type.clone(), pushed.manifest.clone()));
    assert_eq!(memory.open_uploads(), 0);
    let sent = server.requests().iter().filter(|request| request.method == "PUT").count();
    let (again, steps) = stocked.push_noting(&target, &PushOptions::default()).unwrap();
    assert_eq!(again, pushed, "the forms that were pushed are known");
    assert_eq!(steps, [PushStep::AlreadyExists, PushStep::AlreadyExists, PushStep::AlreadyExists]);
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| request.method == "PUT").count(), sent + 1, "the manifest alone");
    pulls_as(&Place::new(), &target, 200_010 + LARGE as u64);
}

#[test]
fn a_registry_that_has_the_layers_gets_the_manifest_as_it_came() {
    let fixture = Fixture::new(&[100, 2000]);
    let stocked = Stocked::new(&fixture);
    let memory = Memory::default();
    memory.put_image("team/copy", "old", &fixture);
    let server = serve(&memory);
    let pushed = stocked.push(&format!("{}/team/copy:new", server.authority), &PushOptions::default()).unwrap();
    assert_eq!(pushed.manifest, fixture.manifest_bytes);
    assert_eq!(server.count("/blobs/uploads/"), 0);
}

#[test]
fn layers_are_mounted_from_where_they_came_from() {
    let fixture = Fixture::new(&[100, 2000]);
    let memory = Memory::default();
    memory.put_image(NAME, "latest", &fixture);
    let server = serve(&memory);
    let place = Place::new();
    let image = place.pull(&server).unwrap().image;
    let stocked = Stocked { place, image };
    let target = format!("{}/second/place", server.authority);
    let (pushed, steps) = stocked.push_noting(&target, &PushOptions::default()).unwrap();
    assert_eq!(steps, [PushStep::Mounted { from: NAME.to_owned() }, PushStep::Mounted { from: NAME.to_owned() }]);
    assert_eq!(pushed.manifest, fixture.manifest_bytes);
    for layer in &fixture.manifest.layers {
        assert!(memory.has_blob("second/place", &layer.digest));
    }
}

#[test]
fn a_registry_that_mounts_nothing_is_sent_the_layers() {
    let fixture = Fixture::new(&[100]);
    let memory = Memory::default();
    memory.put_image(NAME, "latest", &fixture);
    let inner = memory.clone();
    let server = Server::start(move |request| match request.path.contains("mount=") {
        true => Reply::error(403, "DENIED", "no mounts here"),
        false => inner.reply(request),
    });
    let place = Place::new();
    let image = place.pull(&server).unwrap().image;
    Stocked { place, image }.push(&format!("{}/second/place", server.authority), &PushOptions::default()).unwrap();
    assert!(memory.manifest("second/place", "latest").is_some());
}

#[test]
fn all_forms_of_layers() {
    let stocked = Stocked::new(&Fixture::new(&[300_000]));
    for (compression, kind) in [
        (Compression::Gzip(9), media_type::OCI_LAYER_GZIP),
        (Compression::Zstd(3), media_type::OCI_LAYER_ZSTD),
        (Compression::None, media_type::OCI_LAYER),
    ] {
        let server = serve(&Memory::default());
        let options = PushOptions { compression, force_compression: true, ..PushOptions::default() };
        let target = format!("{}/x", server.authority);
        let pushed = stocked.push(&target, &options).unwrap();
        assert_eq!(Manifest::parse(&pushed.manifest).unwrap().layers[0].media_type, kind);
        pulls_as(&Place::new(), &target, 300_000);
    }
}

#[test]
fn all_tags_of_a_repository() {
    let stocked = Stocked::new(&Fixture::new(&[100]));
    let memory = Memory::default();
    let server = serve(&memory);
    let name = format!("{}/app", server.authority);
    for tag in ["one", "two"] {
        let reference = Reference::parse(&format!("{name}:{tag}")).unwrap();
        stocked.place.store().tag(&stocked.image, &reference).unwrap();
    }
    let repository = Reference::parse_untagged(&name).unwrap();
    let (session, store) = (stocked.place.session(), stocked.place.store());
    let push = |repository: &Reference| {
        registry::push_all_tags(&session, &store, repository, &PushOptions::default(), &mut |_| ())
    };
    assert_eq!(push(&repository).unwrap().len(), 2);
    assert!(memory.manifest("app", "one").is_some() && memory.manifest("app", "two").is_some());
    let nothing = Reference::parse_untagged(&format!("{name}/none")).unwrap();
    assert!(matches!(push(&nothing), Err(Error::NotFound { .. })));
}

/// Pushes one large layer to a registry that answers some `PATCH` as `fault` wants: it is given the count of those
/// so far and the registry. The layer must arrive.
fn survives(fault: impl Fn(usize, &Request, &Memory) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let stocked = Stocked::new(&Fixture::new(&[LARGE]));
    let memory = Memory::default();
    let (inner, count) = (memory.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let faulty =
            (request.method == "PATCH").then(|| fault(count.fetch_add(1, Ordering::SeqCst), request, &inner)).flatten();
        faulty.unwrap_or_else(|| inner.reply(request))
    });
    let target = format!("{}/x", server.authority);
    stocked.push(&target, &PushOptions::default()).unwrap();
    pulls_as(&Place::new(), &target, LARGE as u64);
    assert_eq!(memory.open_uploads(), 0);
    server
}

fn patches(server: &Server) -> Vec<String> {
    let requests = server.requests();
    let patches = requests.iter().filter(|request| request.method == "PATCH");
    patches.filter_map(|request| request.header("content-range").map(str::to_owned)).collect()
}

#[test]
fn a_chunk_that_is_cut_goes_on_where_it_stopped() {
    let server = survives(|number, request, memory| {
        (number == 0).then(|| {
            // A third has arrived when the line breaks.
            let mut part = request.clone();
            part.body.truncate(5_000_000);
            memory.reply(&part);
            Reply::hang_up()
        })
    });
    let ranges = patches(&server);
    assert!(ranges[0].starts_with("0-") && ranges[1].starts_with("5000000-"), "{ranges:?}");
}

#[test]
fn a_registry_that_takes_less_than_it_is_sent_gets_the_rest() {
    let server = survives(|number, request, memory| {
        (number == 0).then(|| {
            let mut part = request.clone();
            part.body.truncate(1_000_000);
            memory.reply(&part)
        })
    });
    assert!(patches(&server)[1].starts_with("1000000-"));
}

#[test]
fn an_answer_that_is_lost_costs_nothing() {
    let server = survives(|number, request, memory| {
        (number == 0).then(|| {
            memory.reply(request);
            Reply::hang_up()
        })
    });
    assert_eq!(patches(&server).iter().filter(|range| range.starts_with("0-")).count(), 1);
}

#[test]
fn an_upload_that_was_forgotten_begins_anew() {
    let server = survives(|number, _, memory| {
        (number == 1).then(|| {
            memory.forget_uploads();
            Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown")
        })
    });
    assert_eq!(patches(&server).iter().filter(|range| range.starts_with("0-")).count(), 2);
}

#[test]
fn a_busy_registry_is_waited_for() {
    survives(|number, _, _| (number == 0).then(|| Reply::error(503, "UNAVAILABLE", "busy").with("retry-after", "0")));
}

#[test]
fn a_registry_that_takes_nothing_ends_the_push() {
    let stocked = Stocked::new(&Fixture::new(&[LARGE]));
    for reply in [
        Reply::new(202, "").with("range", "0-0"),
        Reply::new(202, "").with("range", "0-99999999999"),
        Reply::error(400, "BLOB_UPLOAD_INVALID", "no"),
        Reply::error(413, "SIZE_INVALID", "too large"),
    ] {
        let memory = Memory::default();
        let server = Server::start(move |request| match request.method.as_str() {
            "PATCH" => reply.clone(),
            _ => memory.reply(request),
        });
        let error = stocked.push(&format!("{}/x", server.authority), &PushOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
        assert_eq!(server.requests().iter().filter(|request| request.path.contains("/manifests/")).count(), 0);
    }
}

#[test]
fn a_lost_answer_to_the_last_request_is_looked_into() {
    let stocked = Stocked::new(&Fixture::new(&[100]));
    let memory = Memory::default();
    let (inner, count) = (memory.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let reply = inner.reply(request);
        let is_first = request.method == "PUT" && count.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first { Reply::hang_up() } else { reply }
    });
    stocked.push(&format!("{}/x", server.authority), &PushOptions::default()).unwrap();
    assert!(memory.manifest("x", "latest").is_some());
}

#[test]
fn a_registry_that_stores_another_manifest_is_found_out() {
    let stocked = Stocked::new(&Fixture::new(&[100]));
    let memory = Memory::default();
    let server = Server::start(move |request| match (request.method.as_str(), request.path.contains("/manifests/")) {
        ("PUT", true) => Reply::new(201, "").with("docker-content-digest", format!("sha256:{}", "0".repeat(64))),
        _ => memory.reply(request),
    });
    let error = stocked.push(&format!("{}/x", server.authority), &PushOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

#[test]
fn tokens_are_asked_for_with_both_actions() {
    let stocked = Stocked::new(&Fixture::new(&[100]));
    stocked.place.log_in("never.asked");
    let memory = Memory::default();
    let server = Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        if let Some(query) = request.path.strip_prefix("/token?") {
            assert_eq!(query, "scope=repository:x:pull,push");
            return Reply::new(200, r#"{"token":"ticket","expires_in":300}"#);
        }
        match request.header("authorization") {
            Some("Bearer ticket") => memory.reply(request),
            _ => Reply::new(401, "")
                .with("www-authenticate", format!("Bearer realm=\"http://{host}/token\",scope=\"repository:x:pull\"")),
        }
    });
    stocked.push(&format!("{}/x", server.authority), &PushOptions::default()).unwrap();
    assert_eq!(server.count("/token"), 1, "one token serves the whole push");
}

#[test]
fn refusals_speak_of_a_push() {
    let stocked = Stocked::new(&Fixture::new(&[100]));
    let server = Server::start(|_| Reply::error(403, "DENIED", "requested access to the resource is denied"));
    let name = format!("{}/x", server.authority);
    let error = stocked.push(&name, &PushOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("push access denied for {name}, ")), "{error}");
    let digest = format!("{name}@sha256:{}", "0".repeat(64));
    assert!(stocked.push(&digest, &PushOptions::default()).unwrap_err().to_string().contains("give a tag"));
}

#[test]
fn an_upload_elsewhere_goes_without_the_login() {
    let stocked = Stocked::new(&Fixture::new(&[LARGE]));
    let memory = Memory::default();
    let inner = memory.clone();
    let storage = Server::start(move |request| {
        assert_eq!(request.header("authorization"), None);
        inner.reply(request)
    });
    let (inner, there) = (memory.clone(), storage.authority.clone());
    let server = Server::start(move |request| {
        if request.header("authorization") != Some(BASIC) {
            return Reply::new(401, "").with("www-authenticate", "Basic realm=\"x\"");
        }
        match request.method.as_str() {
            "POST" => {
                let reply = inner.reply(request);
                let place = reply.header("location").unwrap_or_default().to_owned();
                Reply::new(202, "").with("location", format!("http://{there}{place}"))
            }
            _ => inner.reply(request),
        }
    });
    stocked.place.log_in(&server.authority);
    stocked.push(&format!("{}/x", server.authority), &PushOptions::default()).unwrap();
    assert!(memory.manifest("x", "latest").is_some());
    assert!(storage.requests().iter().any(|request| request.method == "PATCH"));
}

#[test]
fn redirects_of_uploads_keep_the_body_or_are_refused() {
    let stocked = Stocked::new(&Fixture::new(&[100]));
    for (status, arrives) in [(307, true), (308, true), (301, false), (303, false)] {
        let memory = Memory::default();
        let inner = memory.clone();
        let server = Server::start(move |request| match request.path.strip_prefix("/there") {
            Some(path) => inner.reply(&request.at(path)),
            None if request.method == "PUT" => {
                Reply::new(status, "").with("location", format!("/there{}", request.path))
            }
            None => inner.reply(request),
        });
        let outcome = stocked.push(&format!("{}/x", server.authority), &PushOptions::default());
        assert_eq!(outcome.is_ok(), arrives, "{status}: {outcome:?}");
        assert_eq!(memory.manifest("x", "latest").is_some(), arrives);
    }
}

#[test]
fn a_form_that_only_a_manifest_claims_goes_nowhere() {
    let (good, stranger) = (Fixture::new(&[1000]), Fixture::new(&[1000, 20]));
    let memory = Memory::default();
    memory.put_image(NAME, "latest", &good);
    let evil = memory.put_blob("evil/x", b"not the layer at all");
    let stranger =
        stranger.edit(|manifest| manifest.layers[0] = Descriptor::new(media_type::OCI_LAYER_GZIP, evil.clone(), 20));
    memory.put_image("evil/x", "latest", &stranger);
    let server = serve(&memory);
    let place = Place::new();
    place.pull(&server).unwrap();
    let image = place.pull_as(&format!("{}/evil/x", server.authority), &PullOptions::default()).unwrap().image;
    assert_eq!(image.manifest.layers[0].digest, evil, "the layer was here, so its blob was not looked at");
    let stocked = Stocked { place, image };
    for repository in ["mine/app", "evil/x"] {
        stocked.push(&format!("{}/{repository}:1", server.authority), &PushOptions::default()).unwrap();
        let (_, bytes) = memory.manifest(repository, "1").unwrap();
        let pushed = Manifest::parse(&bytes).unwrap().layers;
        assert_ne!(pushed[0].digest, evil, "{repository}");
        assert_eq!(pushed[1].digest, stranger.manifest.layers[1].digest, "what was fetched is proven");
    }
    pulls_as(&Place::new(), &format!("{}/mine/app:1", server.authority), 1020);
}

#[test]
fn an_image_is_called_by_the_digest_that_was_pushed() {
    let mut stocked = Stocked::new(&Fixture::new(&[1000]));
    let memory = Memory::default();
    let server = serve(&memory);
    let target = Reference::parse(&format!("{}/mine/app:1", server.authority)).unwrap();
    let store = stocked.place.store();
    stocked.push(&target.to_string(), &PushOptions::default()).unwrap();
    assert_eq!(store.image(&stocked.image.id).unwrap().repository_digests().count(), 1, "it is not called so here");
    store.tag(&stocked.image, &target).unwrap();
    stocked.image = store.resolve(&target.to_string()).unwrap();
    let zstd = PushOptions { compression: Compression::Zstd(3), force_compression: true, ..PushOptions::default() };
    for options in [PushOptions::default(), zstd] {
        let pushed = stocked.push(&target.to_string(), &options).unwrap();
        let name = target.with_digest(pushed.digest);
        // Layers in the form of directories cannot have a form that is not kept.
        let is_directory = store.is_directory(&stocked.image.config.rootfs.diff_ids[0]);
        if !is_directory || options.compression == Compression::default() {
            assert_eq!(store.resolve(&name.to_string()).unwrap().id, stocked.image.id);
            assert!(store.image(&stocked.image.id).unwrap().names.contains(&name));
        }
    }
    assert!(store.check(&mut |_, _, _| (), &|| Ok(Vec::new())).unwrap().damages.is_empty());
}

#[test]
fn a_damaged_layer_is_not_pushed() {
    let stocked = Stocked::new(&Fixture::new(&[200_000]));
    let file = stocked.place.layer(&stocked.image, 0).join("image.erofs");
    // A layer in the form of a directory is sent from its compressed form.
    let Ok(mut bytes) = std::fs::read(&file) else { return };
    let data = crate::fixture::content(200_000);
    let at = bytes.windows(64).position(|part| part == &data[100_000..100_064]).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let memory = Memory::default();
    let server = serve(&memory);
    let error = stocked.push(&format!("{}/x:1", server.authority), &PushOptions::default()).unwrap_err().to_string();
    assert!(error.contains("is damaged: `brig image check --repair`"), "{error}");
    assert!(memory.manifest("x", "1").is_none());
}
