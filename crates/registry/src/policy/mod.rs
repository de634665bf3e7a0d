//! Which images may be pulled: one file of rules per registry, namespace and repository, and the signatures that they ask
//! for; and which files images may come from. `pull` calls this once, with what the name resolved to and before anything is named in the store:
//!
//! ```text
//! Policy::load(&session.policy)?.check(&client, reference, &[&found.digest, &found.manifest_digest])?;
//! ```
//!
//! (right after the manifest is resolved, also before "is up to date"; `session.policy` is a `policy::Files`). The way of a
//! signature through the files:
//!
//! ```text
//! file, containers ──▶ rule ──▶ verify ──▶ cosign, bundle ──▶ signature ──▶ key
//! (policy.toml, policy.json)        (what the registry has)        ├──▶ rekor   (transparency log)
//!                                                                  └──▶ fulcio ──▶ sct   (keyless)
//! ```

mod bundle;
mod containers;
mod cosign;
mod der;
mod file;
mod fulcio;
mod key;
mod local;
mod place;
mod proto_json;
mod refusal;
mod rekor;
mod repository;
mod rule;
mod sct;
mod signature;
#[cfg(test)]
mod testing;
mod verify;

use std::path::{Path, PathBuf};

use spec::image::Descriptor;
use spec::{Digest, Reference};

use crate::Error;
use crate::client::{Client, Purpose};
use crate::session::Session;

pub use local::{Local, Transport};
pub use refusal::Refusal;
pub use rule::Rule;
pub use verify::Verified;

use place::Place;

/// Where policies are looked for. The first that exists is the one in force; without any, every image is accepted.
#[derive(Debug, Clone)]
pub struct Files {
    /// Must exist: somebody named it.
    pub named: Option<PathBuf>,
    /// In our form.
    pub policies: Vec<PathBuf>,
    /// In podman's (containers-policy.json(5)).
    pub containers_policies: Vec<PathBuf>,
}

impl Default for Files {
    /// `$BRIG_POLICY` alone; else the user's file before the system's, ours before podman's.
    fn default() -> Files {
        if let Some(named) = std::env::var_os("BRIG_POLICY").filter(|value| !value.is_empty()) {
            return Files { named: Some(PathBuf::from(named)), ..Files::none() };
        }
        let config = match std::env::var_os("XDG_CONFIG_HOME").filter(|value| !value.is_empty()) {
            Some(directory) => Some(PathBuf::from(directory)),
            None => std::env::home_dir().map(|home| home.join(".config")),
        };
        let places = |name: &str| {
            let user = config.as_ref().map(|directory| directory.join(name));
            user.into_iter().chain([Path::new("/etc").join(name)]).collect()
        };
        Files {
            policies: places("brig/policy.toml"),
            containers_policies: places("containers/policy.json"),
            ..Files::none()
        }
    }
}

impl Files {
    /// No file: every image is accepted.
    pub fn none() -> Files {
        Files { named: None, policies: Vec::new(), containers_policies: Vec::new() }
    }
}

/// The rules in force.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<(Place, Rule)>,
    default: Rule,
    /// For what does not come from a registry, and its default.
    files: Vec<(local::Scope, Rule)>,
    others: Rule,
}

impl Policy {
    /// Reads the file in force. A mistake in it is an error, whatever image is asked for: a policy that is read in part
    /// protects in part.
    pub fn load(files: &Files) -> Result<Policy, Error> {
        let ours = files.named.iter().map(|path| (path, false)).chain(files.policies.iter().map(|path| (path, true)));
        for (path, may_be_missing) in ours {
            if let Some(text) = read(path, may_be_missing)? {
                return Policy::parse(&text, path).map_err(|cause| configuration(path, cause));
            }
        }
        for path in &files.containers_policies {
            if let Some(text) = read(path, true)? {
                return Policy::parse_containers(&text, path).map_err(|cause| configuration(path, cause));
            }
        }
        let accept = Rule::accept("default", Path::new(""));
        Ok(Policy { rules: Vec::new(), files: Vec::new(), others: accept.clone(), default: accept })
    }

    /// Reads the text of `path` in our form, and the keys that it names from there.
    pub fn parse(text: &str, path: &Path) -> Result<Policy, String> {
        file::parse(text, path)
    }

    /// The same in podman's form.
    pub fn parse_containers(text: &str, path: &Path) -> Result<Policy, String> {
        containers::parse(text, path)
    }

    /// The rule for an image: that of the longest matching place, else the default.
    pub fn rule(&self, reference: &Reference) -> &Rule {
        let matching = self.rules.iter().filter(|(place, _)| place.holds(reference));
        matching.max_by_key(|(place, _)| place.rank()).map_or(&self.default, |(_, rule)| rule)
    }

    /// Whether an image may come from this file, directory or stream; `Refused` if not.
    pub fn check_local(&self, local: &Local<'_>) -> Result<(), Error> {
        local::check(&self.files, &self.others, local)
    }

    /// Whether the image may be pulled that `reference` names on the registry. `digests` are what it resolved to: of the
    /// index, if there is one, and of the manifest for this platform. A signature of either is enough.
    pub fn check(&self, source: &dyn Source, reference: &Reference, digests: &[&Digest]) -> Result<Verified, Error> {
        verify::verify(source, reference, digests, self.rule(reference))
    }
}

/// Asks the policy in force about an image, for those who bring it here in another way than `pull` and `copy`. `digests`
/// as for [`Policy::check`].
pub fn verify(session: &Session, reference: &Reference, digests: &[&Digest]) -> Result<Verified, Error> {
    let client = Client::new(session, reference, Purpose::Pull)?;
    Policy::load(&session.policy)?.check(&client, reference, digests)
}

/// Where signatures come from: the repository of the image. What is fetched need not be trusted, only bounded.
pub trait Source {
    /// A manifest by tag or digest, of at most `spec::image::DOCUMENT_SIZE_MAX` bytes; `None` if it is not there.
    fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;
    /// A blob of the size that the descriptor says (which the caller has bounded); `None` if it is not there.
    fn blob(&self, blob: &Descriptor) -> Result<Option<Vec<u8>>, Error>;
    /// The manifests that refer to `subject`, from the registry's API or, if it has none, its fallback tag. None at all
    /// is an empty list.
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error>;
}

fn configuration(path: &Path, cause: String) -> Error {
    Error::Configuration { path: path.to_owned(), cause }
}

/// Largest file of a policy or key, in bytes.
const FILE_SIZE_MAX: u64 = 4 << 20;

fn read(path: &Path, may_be_missing: bool) -> Result<Option<String>, Error> {
    match read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(configuration(path, error.to_string())),
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file, FILE_SIZE_MAX), &mut text)?;
    Ok(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &Files) -> String {
        match Policy::load(files) {
            Ok(policy) => policy.default.file.display().to_string(),
            Err(Error::Configuration { path, cause }) => format!("{}: {cause}", path.display()),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn the_first_file_is_in_force() {
        let directory = std::env::temp_dir().join(format!("brig-policy-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let path = |name: &str| directory.join(name);
        std::fs::write(path("ours"), "default = \"reject\"").unwrap();
        std::fs::write(path("podmans"), r#"{"default":[{"type":"reject"}]}"#).unwrap();
        let files = |named: Option<&str>, ours: &str, podmans: &str| Files {
            named: named.map(path),
            policies: vec![path("none"), path(ours)],
            containers_policies: vec![path("none"), path(podmans)],
        };
        let name = |name: &str| path(name).display().to_string();
        assert_eq!(check(&files(None, "ours", "podmans")), name("ours"));
        assert_eq!(check(&files(None, "none", "podmans")), name("podmans"));
        assert_eq!(check(&files(Some("ours"), "none", "none")), name("ours"));
        assert_eq!(check(&files(None, "none", "none")), "");
        assert_eq!(check(&Files::none()), "");
        let missing = check(&files(Some("none"), "ours", "podmans"));
        assert!(missing.starts_with(&format!("{}: No such file", name("none"))), "{missing}");
        let broken = check(&files(Some("podmans"), "ours", "none"));
        assert!(broken.starts_with(&format!("{}: ", name("podmans"))), "{broken}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
