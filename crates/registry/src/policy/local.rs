//! Rules for what does not come from a registry: archives, image layouts, directories and file systems on this machine,
//! by where they lie. Our form writes an absolute path where it writes registries; podman's has a map of paths for each
//! transport. Signatures are looked for on registries only, so a rule accepts or rejects here.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::refusal::Refusal;
use super::rule::{Rule, Verdict};
use crate::Error;
use crate::answer::printable;

pub(super) const UNSIGNED: &str = "it asks for signatures, which brig verifies on registries only";
const REMEDY: &str = "change the rule, or add one for the path";

/// What is read, by podman's names of transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Skopeo's directory with one image.
    Dir,
    /// An image layout.
    Oci,
    OciArchive,
    DockerArchive,
    /// The archive of a root file system.
    Tarball,
}

impl Transport {
    const ALL: [Transport; 5] =
        [Transport::Dir, Transport::Oci, Transport::OciArchive, Transport::DockerArchive, Transport::Tarball];

    fn name(self) -> &'static str {
        match self {
            Transport::Dir => "dir",
            Transport::Oci => "oci",
            Transport::OciArchive => "oci-archive",
            Transport::DockerArchive => "docker-archive",
            Transport::Tarball => "tarball",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Transport> {
        Transport::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// Whether podman has scopes for it besides the default one.
    fn has_scopes(self) -> bool {
        matches!(self, Transport::Dir | Transport::Oci | Transport::OciArchive)
    }
}

/// Something that lies on this machine, or comes through a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local<'a> {
    pub transport: Transport,
    /// The true path, without symbolic links; `None` if it has none.
    pub path: Option<&'a Path>,
    /// The tag or name in it that was asked for.
    pub name: Option<&'a str>,
}

impl fmt::Display for Local<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            Some(path) => write!(f, "{}:{}", self.transport.name(), path.display())?,
            None => write!(f, "{} from a stream", self.transport.name())?,
        }
        self.name.map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

/// What a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// Any if `None`.
    transport: Option<Transport>,
    /// With all below. The root also stands for what has no path.
    path: PathBuf,
    name: Option<String>,
}

impl Scope {
    /// A path as our form writes it.
    pub fn parse(text: &str) -> Result<Scope, String> {
        let path = plain(text).ok_or("write the path without `.`, `..` and needless slashes")?;
        Ok(Scope { transport: None, path, name: None })
    }

    /// A scope of podman's, of which the empty one is the transport's default.
    pub fn of(transport: Transport, text: &str) -> Result<Scope, String> {
        let named = !matches!(transport, Transport::Dir);
        let (path, name) = match text.split_once(':').filter(|_| named) {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (text, None),
        };
        let path = match path {
            "" if name.is_none() => PathBuf::from("/"),
            _ if !transport.has_scopes() => {
                return Err(format!("{} has only the default scope \"\"", transport.name()));
            }
            "/" => return Err("write the default scope \"\" in place of \"/\"".to_owned()),
            path => plain(path).ok_or("write an absolute path without `.`, `..` and needless slashes")?,
        };
        Ok(Scope { transport: Some(transport), path, name })
    }

    fn holds(&self, local: &Local<'_>) -> bool {
        let is_below = match local.path {
            // By whole components.
            Some(path) => path.starts_with(&self.path),
            None => self.path == Path::new("/"),
        };
        is_below
            && self.transport.is_none_or(|transport| transport == local.transport)
            && self.name.as_deref().is_none_or(|name| local.name == Some(name))
    }

    /// The highest decides: one image before a path, long before short.
    fn rank(&self) -> (bool, usize) {
        (self.name.is_some(), self.path.components().count())
    }
}

/// The path, if it is absolute and written in its plainest form.
fn plain(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let all_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // Components leave out what is needless.
    let again: PathBuf = path.components().collect();
    (path.is_absolute() && all_plain && again.as_os_str() == path.as_os_str()).then_some(again)
}

/// Whether the rule that holds for `local` lets it in.
pub(super) fn check(rules: &[(Scope, Rule)], default: &Rule, local: &Local<'_>) -> Result<(), Error> {
    let matching = rules.iter().filter(|(scope, _)| scope.holds(local));
    let rule = matching.max_by_key(|(scope, _)| scope.rank()).map_or(default, |(_, rule)| rule);
    let found = match &rule.verdict {
        Verdict::Accept => return Ok(()),
        Verdict::Reject(why) => why.clone(),
        Verdict::Signed(_) => UNSIGNED.to_owned(),
    };
    let (rule, file) = (rule.scope.clone(), rule.file.clone());
    Err(Error::Refused(Box::new(Refusal { image: printable(&local.to_string()), rule, file, found, remedy: REMEDY })))
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    fn local<'a>(transport: Transport, path: &'a str, name: Option<&'a str>) -> Local<'a> {
        Local { transport, path: (!path.is_empty()).then_some(Path::new(path)), name }
    }

    fn says(policy: &Policy, local: &Local<'_>) -> String {
        match policy.check_local(local) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths_in_our_form() {
        let text = r#"
            default = "reject"
            rule = [
                { images = ["/srv/images", "/srv/images/new/good", "quay.io"], policy = "accept" },
                { images = ["/srv/images/new"], policy = "reject" },
            ]"#;
        let policy = Policy::parse(text, Path::new("/p")).unwrap();
        for (path, accepted) in [
            ("/srv/images/a.tar", true),
            ("/srv/images", true),
            ("/srv/images/new/a.tar", false),
            ("/srv/images/new/good/a.tar", true),
            ("/srv/images/newer", true),
            ("/srv/images2/a.tar", false),
            ("", false),
        ] {
            for transport in Transport::ALL {
                assert_eq!(says(&policy, &local(transport, path, None)).is_empty(), accepted, "{transport:?} {path}");
            }
        }
        let refused = says(&policy, &local(Transport::OciArchive, "/x/y.tar", Some("a:1")));
        assert!(refused.starts_with("oci-archive:/x/y.tar:a:1 is refused by the default rule in /p: "), "{refused}");
        let all =
            Policy::parse("default = \"reject\"\n[[rule]]\nimages = [\"/\"]\npolicy = \"accept\"", Path::new("/p"));
        assert_eq!(says(all.as_ref().unwrap(), &local(Transport::DockerArchive, "", None)), "");
        assert_eq!(says(&all.unwrap(), &local(Transport::Dir, "/x", None)), "");
    }

    #[test]
    fn scopes_in_podmans() {
        let text = r#"{"default":[{"type":"reject"}],"transports":{
            "docker":{"":[{"type":"insecureAcceptAnything"}]},
            "docker-archive":{"":[{"type":"insecureAcceptAnything"}]},
            "oci":{"/srv/oci":[{"type":"insecureAcceptAnything"}],"/srv/oci/x:bad":[{"type":"reject"}]},
            "dir":{"/srv":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/x"}]}}}"#;
        let policy = Policy::parse_containers(text, Path::new("/p")).unwrap();
        for (transport, path, name, accepted) in [
            (Transport::DockerArchive, "/a.tar", None, true),
            (Transport::DockerArchive, "", None, true),
            (Transport::OciArchive, "/a.tar", None, false),
            (Transport::Oci, "/srv/oci/x", Some("good"), true),
            (Transport::Oci, "/srv/oci/x", Some("bad"), false),
            (Transport::Oci, "/srv/other", None, false),
            (Transport::Dir, "/srv/a", None, false),
            (Transport::Tarball, "/a.tar", None, false),
        ] {
            let refused = says(&policy, &local(transport, path, name));
            assert_eq!(refused.is_empty(), accepted, "{transport:?} {path}: {refused}");
        }
        assert!(says(&policy, &local(Transport::Dir, "/srv/a", None)).contains("the rule for dir:/srv in /p: it asks"));
    }

    #[test]
    fn scopes_that_are_none() {
        let check = |transport: &str, scope: &str| {
            let text = format!(
                r#"{{"default":[{{"type":"reject"}}],"transports":{{"{transport}":{{"{scope}":[{{"type":"reject"}}]}}}}}}"#
            );
            Policy::parse_containers(&text, Path::new("/p")).err().unwrap_or_default()
        };
        assert!(check("docker-archive", "/x").contains("only the default scope"));
        assert!(check("dir", "/").contains("in place of"));
        assert!(check("oci", "x").contains("absolute path"));
        assert!(check("oci", ":tag").contains("absolute path"));
        assert!(check("dir", "/a/../b").contains("absolute path"));
        assert_eq!(check("dir", "/a:b"), "");
        for bad in ["/a/", "//a", "/a/./b", "/.."] {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
        let key = super::super::testing::Signer::new().pem();
        let signed =
            format!("default = \"reject\"\n[[rule]]\nimages = [\"/a\"]\npolicy = \"signed\"\nkeys = ['''{key}''']");
        assert!(Policy::parse(&signed, Path::new("/p")).unwrap_err().contains("verifies on registries only"));
    }
}
