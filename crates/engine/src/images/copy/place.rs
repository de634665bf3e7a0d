//! Where images are, as `image copy` is told: a word for the kind of place, a colon, and where it is.

use crate::error::{Error, Result};
use image::archive::Format;
use spec::Reference;
use std::path::PathBuf;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `docker://registry.lan:5000/web:1`.
    Registry(Reference),
    /// `brig:web:1`: the store, by a name or an id.
    Store(String),
    /// `oci:DIRECTORY[:TAG]`.
    Layout { directory: PathBuf, tag: Option<String> },
    /// `dir:DIRECTORY`: one image, as skopeo lays it out.
    Directory(PathBuf),
    /// `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`.
    Archive { path: PathBuf, format: Format, name: Option<String> },
}

impl Place {
    /// `Invalid` for a text that names no place, `Unsupported` for places that other tools know.
    pub fn parse(text: &str) -> Result<Place> {
        let known = "docker://NAME, brig:NAME, oci:DIRECTORY[:TAG], dir:DIRECTORY, oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]";
        let Some((kind, rest)) = text.split_once(':') else {
            return Err(Error::Invalid(format!("{text} does not say what kind of place it is: use {known}")));
        };
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (rest, None),
        };
        let archive = |format| Place::Archive { path: path.into(), format, name: name.clone() };
        let place = match kind {
            "docker" => {
                let name = rest.strip_prefix("//").unwrap_or(rest);
                Place::Registry(Reference::parse(name).map_err(crate::images::registries::invalid)?)
            }
            "brig" => Place::Store(rest.to_owned()),
            "oci" => Place::Layout { directory: path.into(), tag: name.clone() },
            "dir" => Place::Directory(rest.into()),
            "oci-archive" => archive(Format::Oci),
            "docker-archive" => archive(Format::Docker),
            "docker-daemon" | "containers-storage" | "sif" | "tarball" | "ostree" => {
                return Err(Error::Unsupported(format!("{kind}: is not supported yet: use {known}")));
            }
            _ => return Err(Error::Invalid(format!("{text} names no kind of place that is known: use {known}"))),
        };
        match rest.is_empty() || (path.is_empty() && !matches!(place, Place::Registry(_) | Place::Store(_))) {
            true => Err(Error::Invalid(format!("{text} says nothing after {kind}:"))),
            false => Ok(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let parse = |text: &str| Place::parse(text).unwrap();
        assert_eq!(parse("docker://a:5000/b:1"), Place::Registry(Reference::parse("a:5000/b:1").unwrap()));
        assert_eq!(parse("brig:a:1"), Place::Store("a:1".to_owned()));
        assert_eq!(parse("oci:/x/y:v1"), Place::Layout { directory: "/x/y".into(), tag: Some("v1".to_owned()) });
        assert_eq!(parse("dir:/x:y"), Place::Directory("/x:y".into()));
        let name = Some("a/b:1".to_owned());
        assert_eq!(
            parse("docker-archive:x.tar:a/b:1"),
            Place::Archive { path: "x.tar".into(), format: Format::Docker, name }
        );
        for bad in ["busybox", "x:y", "dir:", "sif:x", "oci:", "oci::a", "docker://A", ""] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}
