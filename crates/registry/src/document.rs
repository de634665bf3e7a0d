//! Manifests, indexes and other documents as bytes: read, asked for, written, deleted. Whatever the
//! type, the bytes are kept as they are, since their digest is their name. `manifest` chooses images
//! among them; `copy` and the commands for manifests use this file.

use spec::digest::Algorithm;
use spec::image::{Descriptor, media_type};
use spec::{Digest, Reference};
use ureq::http::{HeaderMap, Method};

use crate::Error;
use crate::client::{Ask, Client, Purpose};
use crate::referrers;
use crate::session::Session;

/// Largest document, in bytes; registries refuse larger ones as well.
pub const BYTES_MAX: u64 = spec::image::DOCUMENT_SIZE_MAX;
/// The types of images and of what is attached to them, then everything else.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
application/vnd.oci.artifact.manifest.v1+json, */*";
/// What the types of outdated manifests start with.
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// A document as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub digest: Digest,
    /// As the document says, else as the registry does.
    pub media_type: String,
    /// What the digest is of.
    pub bytes: Vec<u8>,
}

/// Reads what a reference names. By digest, the bytes have it; by tag, they have the one that the
/// registry announces, so that a document altered on the way is noticed.
///
/// # Errors
/// `NotFound`, `Digest`, and `Unsupported` for schema 1, whose digests are of a part of it.
pub fn manifest_get(session: &Session, reference: &Reference) -> Result<Fetched, Error> {
    let client = Client::new(session, reference, Purpose::Pull)?;
    get(&client, &format!("manifest for {}", reference.familiar()), name(reference), reference.digest())
}

/// Asks whether there is a document, and for its digest, size and type.
pub fn manifest_head(session: &Session, reference: &Reference) -> Result<Option<Descriptor>, Error> {
    let client = Client::new(session, reference, Purpose::Pull)?;
    head(&client, &format!("manifest for {}", reference.familiar()), name(reference))
}

/// Writes a document under a tag or under its digest; `Ok` gives the digest that it has now.
pub fn manifest_put(session: &Session, reference: &Reference, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
    let client = Client::new(session, reference, Purpose::Push)?;
    put(&client, &format!("manifest for {}", reference.familiar()), name(reference), media_type, bytes)
}

/// Deletes a document by its digest, or a tag. Registries that allow neither answer with an error.
pub fn manifest_delete(session: &Session, reference: &Reference) -> Result<(), Error> {
    let client = Client::new(session, reference, Purpose::Delete)?;
    let what = format!("manifest for {}", reference.familiar());
    let path = format!("manifests/{}", name(reference));
    client.send(&Ask::new(&Method::DELETE, &what, &path)).map(|_| ())
}

/// What a reference is called in a path.
pub fn name(reference: &Reference) -> &str {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.as_str(),
        (None, tag) => tag.unwrap_or("latest"),
    }
}

/// Reads a document by tag or digest.
pub fn get(client: &Client<'_>, what: &str, name: &str, expected: Option<&Digest>) -> Result<Fetched, Error> {
    let path = format!("manifests/{name}");
    let (headers, bytes) = client.read(&Ask::get(what, &path, ACCEPT), BYTES_MAX)?;
    let kind = content_type(&headers);
    // Schema 1 is named by a digest of its unsigned part: checking that would blame the registry.
    if kind.starts_with(SCHEMA1) {
        let cause = "it has the outdated schema 1; push the image again with a current docker or skopeo".to_owned();
        return Err(Error::Unsupported { what: what.to_owned(), cause });
    }
    let announced = announced(&headers);
    let expected = expected.or(announced.as_ref());
    let digest = image::blob::digest_of(expected.map_or(Algorithm::Sha256, Digest::algorithm), &bytes);
    match expected {
        Some(expected) if *expected != digest => {
            Err(Error::Digest { what: what.to_owned(), expected: expected.to_string(), actual: digest.to_string() })
        }
        _ => Ok(Fetched { digest, media_type: own_type(&bytes).unwrap_or(kind), bytes }),
    }
}

/// Asks for a document without its bytes.
pub fn head(client: &Client<'_>, what: &str, name: &str) -> Result<Option<Descriptor>, Error> {
    let path = format!("manifests/{name}");
    let ask = Ask { accept: ACCEPT, ..Ask::new(&Method::HEAD, what, &path) };
    let headers = match client.send(&ask) {
        Ok(answer) => answer.response.headers().clone(),
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = headers.get("content-length").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    match (announced(&headers), size) {
        (Some(digest), Some(size)) => Ok(Some(Descriptor::new(&content_type(&headers), digest, size))),
        // Some registries do not say: the document itself does.
        _ => get(client, what, name, None)
            .map(|found| Some(Descriptor::new(&found.media_type, found.digest, found.bytes.len() as u64))),
    }
}

/// Writes a document. One with a subject is made known as a referrer of it also where the registry does
/// not do that by itself (distribution-spec 1.1, "Pushing Manifests with Subject").
pub fn put(client: &Client<'_>, what: &str, name: &str, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
    let algorithm = Digest::parse(name).map_or(Algorithm::Sha256, |digest| digest.algorithm());
    let digest = image::blob::digest_of(algorithm, bytes);
    let path = format!("manifests/{name}");
    let ask = Ask { content_type: Some(media_type), body: Some(bytes), ..Ask::new(&Method::PUT, what, &path) };
    let answer = client.send(&ask)?;
    let headers = answer.response.headers().clone();
    crate::transport::finish(answer.response);
    if let Some(stored) = announced(&headers).filter(|stored| stored.algorithm() == algorithm && *stored != digest) {
        let (expected, actual) = (digest.to_string(), stored.to_string());
        return Err(Error::Digest { what: what.to_owned(), expected, actual });
    }
    if !headers.contains_key("oci-subject") {
        referrers::note(client, &digest, media_type, bytes)?;
    }
    Ok(digest)
}

/// `Docker-Content-Digest`, if it is one.
fn announced(headers: &HeaderMap) -> Option<Digest> {
    let text = headers.get("docker-content-digest")?.to_str().ok()?;
    Digest::parse(text.trim()).ok()
}

/// The type that the registry gives, without parameters; OCI's manifest if it gives none.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim() {
        "" => media_type::OCI_MANIFEST.to_owned(),
        kind => kind.to_owned(),
    }
}

/// The `mediaType` of a document; a type is printed and sent on, so that only plain ones count.
fn own_type(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    let typed: Typed = serde_json::from_slice(bytes).ok()?;
    typed.media_type.filter(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_graphic()))
}
