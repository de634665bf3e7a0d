//! What can go wrong between here and a registry, as variants a caller may treat differently.
//! Each message is one line that names what was asked for, why it failed and, where there is one,
//! the remedy. The words for "not found" and "access denied" are docker's: scripts look for them.

use std::fmt;
use std::path::PathBuf;

use crate::policy::Refusal;

/// A failed exchange with a registry. `Display` gives the whole line for the user.
#[derive(Debug)]
pub enum Error {
    /// The registry has no such manifest, blob or repository. `what` is the noun ("manifest for
    /// localhost:5000/x:y"), `cause` the registry's own code and message.
    NotFound { what: String, cause: String },
    /// The registry refused, with or without credentials. `action` is "pull", "push" or "delete",
    /// `hint` says what was tried.
    Unauthorized { action: &'static str, repository: String, hint: String, cause: String },
    /// No HTTP answer came back: name resolution, TCP, TLS or proxy. Ends with a remedy.
    Connection { host: String, cause: String, remedy: &'static str },
    /// An answer that means "not now" and stayed so after the retries (429 and 5xx).
    Unavailable { host: String, cause: String },
    /// The bytes that arrived are not those the digest names.
    Digest { what: String, expected: String, actual: String },
    /// The index has nothing for the platform; `available` lists what it has.
    Platform { reference: String, wanted: String, available: String },
    /// The document is valid but nothing that can run here (artifact, schema 1, foreign layers).
    Unsupported { what: String, cause: String },
    /// The registry broke the distribution specification.
    Protocol { host: String, cause: String },
    /// A file of registry credentials, or a helper program, cannot be read or understood.
    Credentials { path: PathBuf, cause: String },
    /// A file about hosts or the image policy, or a key that it names, cannot be read or understood.
    Configuration { path: PathBuf, cause: String },
    /// A file about hosts says that this name must not be used.
    Blocked { name: String, path: PathBuf },
    /// The image policy says that this image must not be used.
    Refused(Box<Refusal>),
    /// A user name and password that a registry does not accept (`login`).
    Login { registry: String, cause: String },
    /// What is copied or pushed cannot be read here, or cannot be written.
    Stream { what: String, cause: String },
    /// The local store failed while it took the image in.
    Store(image::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound { what, cause } => write!(f, "{what} not found: {cause}"),
            Error::Unauthorized { action, repository, hint, cause } => write!(
                f,
                "{action} access denied for {repository}, repository does not exist or may require 'docker login' ({hint}): {cause}"
            ),
            Error::Connection { host, cause, remedy } => write!(f, "cannot reach registry {host}: {cause}; {remedy}"),
            Error::Unavailable { host, cause } => {
                write!(f, "registry {host} is not available: {cause}; try again later")
            }
            Error::Digest { what, expected, actual } => write!(
                f,
                "{what} does not match its digest: expected {expected}, received {actual}; the registry or a proxy on the way altered it"
            ),
            Error::Platform { reference, wanted, available } => write!(
                f,
                "no matching manifest for {wanted} in {reference}; choose with --platform one of: {available}"
            ),
            Error::Unsupported { what, cause } => write!(f, "cannot use {what}: {cause}"),
            Error::Protocol { host, cause } => {
                write!(f, "unexpected answer from registry {host}: {cause}")
            }
            Error::Credentials { path, cause } => {
                write!(f, "cannot read registry credentials from {}: {cause}", path.display())
            }
            Error::Configuration { path, cause } => {
                write!(f, "cannot use the registry configuration {}: {cause}", path.display())
            }
            Error::Blocked { name, path } => write!(f, "{name} is blocked by {}", path.display()),
            Error::Refused(refusal) => refusal.fmt(f),
            Error::Login { registry, cause } => write!(f, "login attempt to {registry} failed: {cause}"),
            Error::Stream { what, cause } => write!(f, "{what}: {cause}"),
            Error::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<image::Error> for Error {
    /// Content that does not match its digest is the registry's fault, not the store's, and so is a reader of ours
    /// that has failed.
    fn from(error: image::Error) -> Error {
        match error {
            image::Error::Stream(error) => match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => Error::Store(image::Error::Stream(error)),
            },
            image::Error::Mismatch { what, expected, actual } => {
                Error::Digest { what, expected: expected.to_string(), actual: actual.to_string() }
            }
            other => Error::Store(other),
        }
    }
}
