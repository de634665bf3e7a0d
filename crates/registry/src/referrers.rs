//! What is attached to a manifest: signatures, attestations, other artifacts that name it as their
//! subject (distribution-spec 1.1, "Listing Referrers"). Registries that do not keep the list have it in an
//! index under the tag `sha256-<hex>`, which clients maintain.

use serde::Deserialize;
use spec::image::{Descriptor, Document, Index, media_type};
use spec::{Digest, Reference};

use crate::Error;
use crate::client::{Client, Purpose};
use crate::document;
use crate::pages;
use crate::session::Session;

/// The parts of a manifest that make it a referrer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    subject: Option<Subject>,
    artifact_type: Option<String>,
    config: Option<Typed>,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    #[serde(default)]
    media_type: String,
}

/// The manifests whose subject is what `subject` names, those of one `artifact_type` if given.
pub fn referrers(
    session: &Session,
    subject: &Reference,
    artifact_type: Option<&str>,
) -> Result<Vec<Descriptor>, Error> {
    let client = Client::new(session, subject, Purpose::Pull)?;
    let digest = match subject.digest() {
        Some(digest) => digest.clone(),
        None => {
            let what = format!("manifest for {}", subject.familiar());
            match document::head(&client, &what, document::name(subject))? {
                Some(descriptor) => descriptor.digest,
                None => return Err(Error::NotFound { what, cause: "manifest unknown".to_owned() }),
            }
        }
    };
    let mut found = of(&client, &digest)?;
    if let Some(wanted) = artifact_type {
        found.retain(|descriptor| descriptor.artifact_type == wanted);
    }
    Ok(found)
}

/// All referrers of a digest.
pub fn of(client: &Client<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
    let what = format!("list of referrers of {subject}");
    let mut found: Vec<Descriptor> = Vec::new();
    let listed =
        pages::read(client, &what, &format!("referrers/{subject}"), media_type::OCI_INDEX, |page: Index, _| {
            found.extend(page.manifests);
            true
        });
    match listed {
        Ok(()) => Ok(found),
        // Registries before 1.1 know no such path; some say so with another status than 404.
        Err(Error::NotFound { .. } | Error::Protocol { .. }) => Ok(tagged(client, subject)?.manifests),
        Err(error) => Err(error),
    }
}

/// The index under the fallback tag; an empty one if there is none.
fn tagged(client: &Client<'_>, subject: &Digest) -> Result<Index, Error> {
    let what = format!("list of referrers of {subject}");
    match document::get(client, &what, &fallback_tag(subject), None) {
        Ok(found) => match Document::parse(&found.bytes) {
            Ok(Document::Index(index)) => Ok(index),
            _ => Err(Error::Unsupported { what, cause: "its tag names no index".to_owned() }),
        },
        Err(Error::NotFound { .. }) => Ok(Index::new(Vec::new())),
        Err(error) => Err(error),
    }
}

/// `sha256-<hex>`, at most 128 characters (distribution-spec 1.1, "Referrers Tag Schema").
fn fallback_tag(subject: &Digest) -> String {
    let mut tag = format!("{}-{}", subject.algorithm().name(), subject.hex());
    tag.truncate(128);
    tag
}

/// Notes a manifest that has just been written in the list of its subject, if it has one. Two clients
/// that do so at the same moment may lose one entry: the specification has no lock either.
pub fn note(client: &Client<'_>, digest: &Digest, media_type: &str, bytes: &[u8]) -> Result<(), Error> {
    let Ok(Referrer { subject: Some(subject), artifact_type, config, annotations }) = serde_json::from_slice(bytes)
    else {
        return Ok(());
    };
    let mut index = tagged(client, &subject.digest)?;
    if index.manifests.iter().any(|known| known.digest == *digest) {
        return Ok(());
    }
    let kind = artifact_type.filter(|kind| !kind.is_empty()).or(config.map(|config| config.media_type));
    index.manifests.push(Descriptor {
        artifact_type: kind.unwrap_or_default(),
        annotations: annotations.unwrap_or_default(),
        ..Descriptor::new(media_type, digest.clone(), bytes.len() as u64)
    });
    let what = format!("list of referrers of {}", subject.digest);
    // An index of ours has no subject: this ends here.
    document::put(client, &what, &fallback_tag(&subject.digest), media_type::OCI_INDEX, &index.to_bytes()).map(|_| ())
}
