//! What a rule is for: a registry, a namespace or a repository with all below it. Longer places win over shorter ones.
//! Names are compared in one spelling, so that `GHCR.IO/team` does not pass by the rule for `ghcr.io/team`.

use spec::Reference;

use crate::host::canonical_registry;

/// Which images a rule holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A registry, namespace or repository, with all below.
    Under(String),
    /// One image: `registry/repository:tag` (podman's form).
    Image(String),
    /// All hosts below a domain: `*.example.com` (podman's form).
    Subdomains(String),
}

impl Place {
    /// A registry, namespace or repository as policies write it. The error reads as "…: write …".
    pub fn parse(text: &str) -> Result<Place, String> {
        let (registry, rest) = text.split_once('/').unwrap_or((text, ""));
        if text.contains('*') {
            return Err("a place covers all below it: leave the `*` away".to_owned());
        }
        if !(registry == "localhost" || registry.contains(['.', ':'])) {
            return Err(format!("it does not start with a registry: write `docker.io/library/{text}` or the like"));
        }
        if rest.contains([':', '@']) {
            return Err("rules are for whole repositories: leave tag and digest away".to_owned());
        }
        let path = if rest.is_empty() { "x" } else { rest };
        let known = Reference::parse_untagged(&format!("{registry}/y/{path}"));
        if known.is_err() || text.ends_with('/') {
            return Err("it is no name of a registry, namespace or repository".to_owned());
        }
        Ok(Place::Under(match rest {
            "" => canonical_registry(registry),
            rest => format!("{}/{rest}", canonical_registry(registry)),
        }))
    }

    pub fn holds(&self, reference: &Reference) -> bool {
        match self {
            Place::Under(prefix) => is_under(&canonical_name(reference), prefix),
            Place::Image(image) => {
                reference.tag().is_some_and(|tag| *image == format!("{}:{tag}", canonical_name(reference)))
                    || reference.digest().is_some_and(|digest| {
                        image.strip_suffix(digest.as_str()).and_then(|rest| rest.strip_suffix('@'))
                            == Some(&canonical_name(reference))
                    })
            }
            Place::Subdomains(domain) => {
                let host = canonical_registry(reference.registry());
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
        }
    }

    /// The highest decides: one image before a repository before a domain, long before short.
    pub fn rank(&self) -> (u8, usize) {
        match self {
            Place::Image(text) => (2, text.len()),
            Place::Under(text) => (1, text.len()),
            Place::Subdomains(text) => (0, text.len()),
        }
    }
}

/// `name` is `prefix` or below it.
pub fn is_under(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Registry and repository in the one spelling that is compared.
pub fn canonical_name(reference: &Reference) -> String {
    format!("{}/{}", canonical_registry(reference.registry()), reference.repository())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(place: &str, image: &str) -> bool {
        Place::parse(place).unwrap().holds(&Reference::parse(image).unwrap())
    }

    #[test]
    fn whole_components_match() {
        for (place, image, expected) in [
            ("docker.io", "busybox", true),
            ("docker.io/library", "busybox", true),
            ("docker.io/library/busybox", "busybox:1.36", true),
            ("docker.io/library/busy", "busybox", false),
            ("ghcr.io/team", "ghcr.io/team/app:v1", true),
            ("ghcr.io/team", "ghcr.io/team", true),
            ("ghcr.io/team", "ghcr.io/teammate/app", false),
            ("ghcr.io/team/app", "ghcr.io/team/app/sub", true),
            ("ghcr.io", "ghcr.io:5000/team/app", false),
            ("localhost:5000", "localhost:5000/x", true),
            ("localhost", "localhost/x", true),
        ] {
            assert_eq!(check(place, image), expected, "{place} {image}");
        }
    }

    #[test]
    fn other_spellings_of_a_registry_do_not_pass_by() {
        for image in ["GHCR.IO/team/app", "ghcr.io:443/team/app", "Ghcr.io/team/app", "ghcr.io:0443/team/app"] {
            assert!(check("ghcr.io/team", image), "{image}");
        }
        for image in ["index.docker.io/library/busybox", "registry-1.docker.io/library/busybox"] {
            assert!(check("docker.io/library", image), "{image}");
        }
        assert!(check("GHCR.io:443/team", "ghcr.io/team/app"));
        assert!(check("reg.io:5000", "reg.io:005000/app") && check("[::1]:5000", "[::1]:05000/app"));
        assert!(!check("[::1]", "[::1]:5000/app") && !check("[::1]:1", "[::1]/app"));
    }

    #[test]
    fn places_that_say_too_little() {
        for (text, part) in [
            ("busybox", "docker.io/library/busybox"),
            ("", "does not start with a registry"),
            ("ghcr.io/team/*", "leave the `*` away"),
            ("ghcr.io/team/app:v1", "leave tag and digest away"),
            ("ghcr.io/team/", "no name of a registry"),
            ("ghcr.io//team", "no name of a registry"),
            ("ghcr.io/Team", "no name of a registry"),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn podmans_forms() {
        let reference = Reference::parse("quay.io/a/b:v1").unwrap();
        assert!(Place::Image("quay.io/a/b:v1".to_owned()).holds(&reference));
        assert!(!Place::Image("quay.io/a/b:v2".to_owned()).holds(&reference));
        assert!(Place::Subdomains("io".to_owned()).holds(&reference));
        assert!(!Place::Subdomains("quay.io".to_owned()).holds(&reference));
        assert!(!Place::Subdomains("ay.io".to_owned()).holds(&reference));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", other in "[a-z.:/*@]{0,20}") {
            let _ = Place::parse(&text);
            let _ = Place::parse(&other);
        }
    }
}
