//! What a repository and a registry list: tags, and the repositories themselves (`_catalog`).

use serde::Deserialize;
use spec::Reference;

use crate::Error;
use crate::client::{Client, Purpose};
use crate::pages;
use crate::session::Session;

#[derive(Deserialize)]
struct Tags {
    /// `null` for a repository whose tags are all deleted.
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

/// All tags of a repository in the registry's order. What is no tag by the specification is left out.
pub fn tags(session: &Session, repository: &Reference) -> Result<Vec<String>, Error> {
    let client = Client::new(session, repository, Purpose::Pull)?;
    let what = format!("list of tags of {}", repository.familiar_name());
    let mut all = Vec::new();
    pages::read(&client, &what, "tags/list?n=1000", "application/json", |page: Tags, _| {
        let tags = page.tags.unwrap_or_default().into_iter();
        all.extend(tags.filter(|tag| with_tag(repository, tag).is_some()));
        true
    })?;
    Ok(all)
}

/// The same repository with a tag; `None` if it is none.
pub fn with_tag(repository: &Reference, tag: &str) -> Option<Reference> {
    Reference::parse(&format!("{}:{tag}", repository.name())).ok().filter(|found| found.tag() == Some(tag))
}

/// All repositories of a registry, where it tells them.
pub fn repositories(session: &Session, registry: &str) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    each_repository(session, registry, |name| {
        all.push(name);
        true
    })?;
    Ok(all)
}

/// Gives each repository to `take` until it wants no more.
pub fn each_repository(session: &Session, registry: &str, mut take: impl FnMut(String) -> bool) -> Result<(), Error> {
    let client = Client::of_registry(session, registry)?;
    let what = format!("list of repositories of {registry}");
    pages::read(&client, &what, "_catalog?n=1000", "application/json", |page: Catalog, _| {
        let names = page.repositories.unwrap_or_default();
        let mut printable = names.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
        printable.all(&mut take)
    })
}
