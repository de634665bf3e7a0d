//! Registries as commands reach them: what the user says about access becomes a session of the `registry` crate, short
//! names become the references that they may mean, and what they mean here goes before what they mean elsewhere. The
//! rest is handed through.

pub use registry::{
    Access, Compression, Download, Found, LoggedIn, Progress, PullOptions, Pulled, PushOptions, PushProgress, PushStep,
    Pushed, SearchOptions, Session, Signed, Step, TagsProgress, User, Verified, is_url,
};

use crate::engine::Engine;
use crate::error::{Error, Result};
use image::Image;
use spec::Reference;

/// How the user says that registries are to be reached.
#[derive(Clone, Default)]
pub struct Reach {
    pub access: Access,
    /// The registries that the command names need no valid certificate, nor HTTPS.
    pub unverified: bool,
}

impl Reach {
    /// A session for work with `registries`.
    pub fn session(&self, registries: &[&str]) -> Result<Session> {
        let mut access = self.access.clone();
        if self.unverified {
            access.insecure.extend(registries.iter().map(|&registry| registry.to_owned()));
        }
        Ok(Session::open(access)?)
    }

    /// What `name` may mean, in the order to try, and a session that reaches all of it.
    pub fn named(&self, name: &str) -> Result<(Session, Vec<Reference>)> {
        let session = self.session(&[])?;
        let candidates = session.candidates(name)?;
        if candidates.len() > 1 && self.access.user.is_some() {
            let names: Vec<String> = candidates.iter().map(Reference::familiar).collect();
            let why = "several registries would be shown the user that was given: write which is meant";
            return Err(Error::Invalid(format!("{name} may mean {}, and {why}", names.join(" or "))));
        }
        if !self.unverified {
            return Ok((session, candidates));
        }
        let registries: Vec<&str> = candidates.iter().map(Reference::registry).collect();
        Ok((self.session(&registries)?, candidates))
    }
}

/// The image that `name` means here, and how it is called: by the name as it is, else by what configuration says that
/// a short name stands for.
pub(super) fn find_here(engine: &Engine, reach: &Reach, name: &str) -> Result<(Reference, Image), image::Error> {
    let plain = Reference::parse(name);
    let missing = match engine.store().resolve(name) {
        Ok(image) => {
            let by_id = || image.names.first().cloned().ok_or_else(|| image::Error::NotFound { name: name.to_owned() });
            let called = match plain {
                Ok(plain) if image.names.contains(&plain) => plain,
                _ => by_id()?,
            };
            return Ok((called, image));
        }
        Err(error) if error.is_not_found() => error,
        Err(error) => return Err(error),
    };
    // Configuration that cannot be read is complained about when a registry is asked.
    let candidates = reach.named(name).map(|(_, candidates)| candidates).unwrap_or_default();
    for candidate in candidates.into_iter().filter(|candidate| plain.as_ref() != Ok(candidate)) {
        match engine.store().resolve(&candidate.to_string()) {
            Ok(image) => return Ok((candidate, image)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Err(missing)
}

/// Tries `act` with each of `candidates` as long as they have no such image. Any other failure ends it: who can make the
/// first registry fail must not choose the image, nor must the policy's refusal of one lead to another. If none has it
/// and there are several, the error has what each of them said.
pub(super) fn first_of<T>(
    name: &str,
    candidates: Vec<Reference>,
    mut act: impl FnMut(&Reference) -> Result<T, registry::Error>,
) -> Result<(Reference, T)> {
    let several = candidates.len() > 1;
    let last = candidates.last().cloned();
    let mut failures = Vec::new();
    for candidate in candidates {
        match act(&candidate) {
            Ok(done) => return Ok((candidate, done)),
            Err(error) if several && is_absence(&candidate, &error) => {
                failures.push(format!("{}: {error}", candidate.familiar()));
            }
            Err(error) if last.as_ref() == Some(&candidate) => return Err(error.into()),
            Err(error) => {
                let remedy = "no other registry of the search list was asked: write which is meant";
                return Err(Error::Failed(format!("{}: {error}; {remedy}", candidate.familiar())));
            }
        }
    }
    Err(Error::NotFound(format!("no registry has given {name}: {}", failures.join("; "))))
}

/// Whether a registry has said that it has no such image. Docker Hub does not tell that from one that is private.
fn is_absence(asked: &Reference, error: &registry::Error) -> bool {
    match error {
        registry::Error::NotFound { .. } => true,
        registry::Error::Unauthorized { .. } => asked.registry() == "docker.io",
        _ => false,
    }
}

/// Brings every tag of the repository that `name` means.
pub fn pull_all_tags(
    engine: &Engine,
    reach: &Reach,
    name: &str,
    options: &PullOptions,
    progress: &mut dyn FnMut(TagsProgress<'_>),
) -> Result<(Reference, Vec<(Reference, Pulled)>)> {
    check_untagged(name)?;
    let (session, candidates) = reach.named(name)?;
    first_of(name, candidates, |repository| {
        registry::pull_all_tags(&session, engine.store(), repository, options, progress)
    })
}

/// Sends the image `name` to the registry that `target` names, else to that of its own name. `begin` is told where to.
pub fn push(
    engine: &Engine,
    reach: &Reach,
    name: &str,
    target: Option<&str>,
    options: &PushOptions,
    begin: &mut dyn FnMut(&Reference),
    progress: &mut dyn FnMut(PushProgress<'_>),
) -> Result<(Reference, Pushed)> {
    let typed = Reference::parse(target.unwrap_or(name)).map_err(invalid)?;
    if typed.digest().is_some() {
        return Err(Error::Invalid("cannot push a digest reference".to_owned()));
    }
    let found = find_here(engine, reach, name);
    let target = match (&found, target) {
        (Ok((called, _)), None) if called.digest().is_none() => called.clone(),
        _ => typed,
    };
    begin(&target);
    let (_, image) =
        found.map_err(|error| if error.is_not_found() { nothing_here(engine, &target) } else { error.into() })?;
    let session = reach.session(&[target.registry()])?;
    let pushed = registry::push(&session, engine.store(), &image, &target, options, progress)?;
    Ok((target, pushed))
}

/// Sends every tag that there is here of the repository `name`.
pub fn push_all_tags(
    engine: &Engine,
    reach: &Reach,
    name: &str,
    options: &PushOptions,
    begin: &mut dyn FnMut(&Reference),
    progress: &mut dyn FnMut(PushProgress<'_>),
) -> Result<Vec<(Reference, Pushed)>> {
    let repository = check_untagged(name)?;
    begin(&repository);
    if !has_repository(engine, &repository)? {
        return Err(nothing_here(engine, &repository));
    }
    let session = reach.session(&[repository.registry()])?;
    Ok(registry::push_all_tags(&session, engine.store(), &repository, options, progress)?)
}

/// Docker's two texts for a name that means nothing here.
fn nothing_here(engine: &Engine, target: &Reference) -> Error {
    match has_repository(engine, target) {
        Ok(true) => Error::NotFound(format!("tag does not exist: {}", target.familiar())),
        Ok(false) => {
            let name = target.familiar_name();
            Error::NotFound(format!("An image does not exist locally with the tag: {name}"))
        }
        Err(error) => error,
    }
}

fn has_repository(engine: &Engine, wanted: &Reference) -> Result<bool> {
    let listing = engine.store().listing()?;
    let names = listing.images.iter().flat_map(|image| &image.names);
    let mut names = names.chain(listing.damaged.iter().flat_map(|damaged| &damaged.names));
    Ok(names.any(|name| name.digest().is_none() && name.name() == wanted.name()))
}

/// The repository, without a tag.
fn check_untagged(name: &str) -> Result<Reference> {
    let reference = Reference::parse_untagged(name).map_err(invalid)?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(Error::Invalid("tag can't be used with --all-tags/-a".to_owned()));
    }
    Ok(reference)
}

pub(super) fn invalid(error: spec::reference::Error) -> Error {
    Error::Invalid(error.to_string())
}

/// Asks the registry whether it accepts the user, and keeps the user if so.
pub fn login(reach: &Reach, registry: &str, user: &User) -> Result<LoggedIn> {
    Ok(registry::login(&reach.session(&[host(registry)])?, registry, user)?)
}

/// Asks the registry whether it still accepts the user that is kept for it.
pub fn login_again(reach: &Reach, registry: &str) -> Result<()> {
    Ok(registry::login_again(&reach.session(&[host(registry)])?, registry)?)
}

/// Who had signed the image when it was pulled, if the policy asked for that.
pub fn signed(engine: &Engine, image: &Image) -> Option<Signed> {
    registry::signed(engine.store(), image)
}

/// A file from a web server, reached as the configuration of registries says.
pub fn download(reach: &Reach, url: &str) -> Result<Download> {
    Ok(registry::download(&reach.session(&[])?, url)?)
}

/// Forgets the user of a registry; `false` if none was known.
pub fn logout(reach: &Reach, registry: &str) -> Result<bool> {
    Ok(registry::logout(&reach.session(&[])?, registry)?)
}

/// Forgets all users; gives their registries.
pub fn logout_all(reach: &Reach) -> Result<Vec<String>> {
    Ok(registry::logout_all(&reach.session(&[])?)?)
}

/// The name of the user that is kept for a registry.
pub fn stored_user(reach: &Reach, registry: &str) -> Result<Option<String>> {
    Ok(registry::stored_user(&reach.session(&[])?, registry)?)
}

/// Images on Docker Hub, or on the registry that `term` starts with, that have to do with the term.
pub fn search(reach: &Reach, term: &str, options: &SearchOptions) -> Result<Vec<Found>> {
    Ok(registry::search(&reach.session(&[host(term)])?, term, options)?)
}

/// All tags of the repository that `name` means, and what it means.
pub fn tags(reach: &Reach, name: &str) -> Result<(Reference, Vec<String>)> {
    let (session, candidates) = reach.named(name)?;
    first_of(name, candidates, |repository| registry::tags(&session, repository))
}

/// The host of what users type for a registry: perhaps a URL, perhaps with a path.
fn host(registry: &str) -> &str {
    let bare = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    bare.split('/').next().unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_candidates_say_what_each_of_them_said() {
        let candidates = || ["a.example/x", "b.example/x"].map(|name| Reference::parse(name).unwrap()).to_vec();
        let missing = |what: &str| registry::Error::NotFound { what: what.to_owned(), cause: "no".to_owned() };
        let (found, ()) = first_of("x", candidates(), |name| match name.registry() {
            "b.example" => Ok(()),
            _ => Err(missing("x")),
        })
        .unwrap();
        assert_eq!(found.registry(), "b.example");
        let error = first_of("x", candidates(), |_| Err::<(), _>(missing("it"))).unwrap_err().to_string();
        assert!(error.contains("a.example/x:latest: it not found") && error.contains("; b.example/x"), "{error}");
        let error = first_of("x", candidates()[..1].to_vec(), |_| Err::<(), _>(missing("it"))).unwrap_err();
        assert_eq!(error.to_string(), "it not found: no");
        let denied = |registry: &str| {
            let candidates =
                [registry, "b.example"].map(|host| Reference::parse(&format!("{host}/x")).unwrap()).to_vec();
            let act = |name: &Reference| match name.registry() {
                "b.example" => Ok(()),
                host => Err(registry::Error::Unauthorized {
                    action: "pull",
                    repository: host.to_owned(),
                    hint: String::new(),
                    cause: String::new(),
                }),
            };
            first_of("x", candidates, act).map(|(found, ())| found.registry().to_owned()).map_err(|e| e.to_string())
        };
        assert_eq!(denied("docker.io").unwrap(), "b.example");
        let error = denied("a.example").unwrap_err();
        assert!(error.starts_with("a.example/x:latest: ") && error.contains("write which is meant"), "{error}");
    }

    #[test]
    fn nothing_but_absence_leads_to_the_next_registry() {
        let failures: [fn() -> registry::Error; 4] = [
            || registry::Error::Connection { host: String::new(), cause: String::new(), remedy: "" },
            || registry::Error::Unavailable { host: String::new(), cause: String::new() },
            || registry::Error::Blocked { name: String::new(), path: "x".into() },
            || registry::Error::Digest { what: String::new(), expected: String::new(), actual: String::new() },
        ];
        for failure in failures {
            let candidates = ["a.example/x", "b.example/x"].map(|name| Reference::parse(name).unwrap()).to_vec();
            let mut asked = 0;
            let act = |_: &Reference| {
                asked += 1;
                Err::<(), _>(failure())
            };
            assert!(first_of("x", candidates, act).is_err());
            assert_eq!(asked, 1);
        }
    }

    #[test]
    fn hosts_of_what_is_typed() {
        for (typed, expected) in [("", ""), ("a:5000/x", "a:5000"), ("https://a.example/v1/", "a.example")] {
            assert_eq!(host(typed), expected);
        }
    }

    #[test]
    fn tags_and_all_tags_do_not_go_together() {
        assert!(check_untagged("a:1").is_err() && check_untagged("A").is_err());
        assert_eq!(check_untagged("localhost:5000/a").unwrap().familiar(), "localhost:5000/a");
    }
}
