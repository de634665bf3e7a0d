//! What all calls of one command share: configuration of hosts, credentials, connections, tokens. A
//! session may be used by several threads at once and asks no registry anything by itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use spec::Reference;

use crate::Error;
use crate::credentials::{self, Credentials, User};
use crate::hosts::{Hosts, Sources};
use crate::policy::Files;
use crate::tokens::Tokens;
use crate::transport::Transport;

/// How registries may be reached, as the user said.
#[derive(Clone, Default)]
pub struct Access {
    /// Registries (`host[:port]`, compared whole) that may be reached without valid certificate or
    /// over HTTP. Loopback needs no mention.
    pub insecure: Vec<String>,
    /// Where credentials are, in the form of docker's `config.json`; `None` for `$REGISTRY_AUTH_FILE`,
    /// else docker's and podman's places.
    pub credentials_file: Option<PathBuf>,
    /// Goes before what is stored, at the registry that the image's name names; its mirrors are not shown it.
    pub user: Option<User>,
    /// Where the configuration of hosts is.
    pub sources: Sources,
    /// Where the image policy is.
    pub policy: Files,
}

/// See the module.
pub struct Session {
    pub(crate) transport: Transport,
    pub(crate) tokens: Tokens,
    pub(crate) policy: Files,
    /// Goes before the files, see [`Session::given`].
    given: Option<Credentials>,
    credentials_files: Vec<PathBuf>,
    /// What was looked up, by registry and repository: a helper is asked once.
    known: Mutex<HashMap<(String, String), Credentials>>,
}

impl Session {
    /// Reads the configuration of hosts; credentials are read when a registry asks for a login.
    ///
    /// # Errors
    /// `Configuration` for a file that cannot be understood.
    pub fn open(access: Access) -> Result<Session, Error> {
        let hosts = Hosts::load(&access.sources)?;
        Ok(Session {
            transport: Transport::new(hosts, access.insecure),
            tokens: Tokens::default(),
            policy: access.policy,
            given: access.user.as_ref().map(Credentials::of),
            credentials_files: credentials::files(access.credentials_file.as_deref()),
            known: Mutex::default(),
        })
    }

    /// What a name may mean, in the order to try: a name with a registry itself; else what an alias
    /// says, else the name at each registry of the search list, else at Docker Hub. Commands that look
    /// into the store first try `Reference::parse` there, which reads no files.
    pub fn candidates(&self, text: &str) -> Result<Vec<Reference>, Error> {
        self.transport.hosts().candidates(text).map_err(|error| Error::Store(error.into()))
    }

    /// The same with nothing but this user, for checking it.
    pub(crate) fn with_user(&self, user: &User) -> Session {
        self.with_credentials(Credentials::of(user))
    }

    /// The same with nothing but these.
    pub(crate) fn with_credentials(&self, credentials: Credentials) -> Session {
        Session {
            transport: self.transport.like(),
            tokens: Tokens::default(),
            policy: self.policy.clone(),
            given: Some(credentials),
            credentials_files: Vec::new(),
            known: Mutex::default(),
        }
    }

    /// Only for the registry that the user named.
    pub(crate) fn given(&self) -> Option<&Credentials> {
        self.given.as_ref()
    }

    /// What is stored.
    pub(crate) fn credentials(&self, registry: &str, repository: &str) -> Result<Credentials, Error> {
        let key = (registry.to_owned(), repository.to_owned());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credentials) = known.get(&key) {
            return Ok(credentials.clone());
        }
        let credentials = credentials::lookup(&self.credentials_files, registry, repository)?;
        known.insert(key, credentials.clone());
        Ok(credentials)
    }

    /// The file that `login` writes: the first that is read.
    pub(crate) fn credentials_file(&self) -> Result<&PathBuf, Error> {
        self.credentials_files.first().ok_or_else(|| Error::Credentials {
            path: "config.json".into(),
            cause: "there is no home directory to keep it in; set DOCKER_CONFIG or give --authfile".to_owned(),
        })
    }

    pub(crate) fn credentials_files(&self) -> &[PathBuf] {
        &self.credentials_files
    }
}
