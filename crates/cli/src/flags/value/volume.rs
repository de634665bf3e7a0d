//! `-v [SOURCE:]TARGET[:OPTIONS]`: a path of the host, a named volume or (without source) an anonymous one.
//! Gives the engine's type; directories and volumes are made when a container is.

use engine::options::{Mount, MountSource, Typed};
use std::collections::BTreeMap;

/// One mount. A source that begins with `/` or `.` is a path, anything else the name of a volume.
pub fn parse(text: &str) -> Result<Mount, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, list) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, list] => (Some(*source), *target, *list),
        _ => return Err(format!("invalid spec: {text}: too many colons")),
    };
    if source == Some("") || target.is_empty() {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    check_target(target)?;
    let flags = options(list)?;
    let source = match source {
        Some(path) if path.starts_with('/') || path.starts_with('.') => {
            if flags.no_copy {
                return Err(format!("invalid mode: {list} (nocopy is for volumes)"));
            }
            MountSource::Bind {
                path: absolute(path)?,
                create: true,
                propagation: flags.propagation,
                non_recursive: false,
            }
        }
        name => {
            if let Some(name) = name {
                check_name(name)?;
            }
            if !flags.propagation.is_empty() {
                return Err(format!("invalid mode: {list} (propagation is for paths of the host)"));
            }
            MountSource::Volume {
                name: name.map(str::to_owned),
                copy: !flags.no_copy,
                labels: BTreeMap::new(),
                driver: String::new(),
                driver_options: BTreeMap::new(),
            }
        }
    };
    let typed = Typed::Volume { mode: list.to_owned() };
    Ok(Mount { target: target.to_owned(), read_only: flags.read_only, source, typed })
}

#[derive(Default)]
struct Flags {
    read_only: bool,
    no_copy: bool,
    propagation: String,
}

/// Of each kind of word there may be one.
fn options(list: &str) -> Result<Flags, String> {
    let mut flags = Flags::default();
    let mut kinds = Vec::new();
    for word in list.split(',').filter(|_| !list.is_empty()) {
        let kind = match word {
            "ro" | "rw" => {
                flags.read_only = word == "ro";
                "access"
            }
            "nocopy" => {
                flags.no_copy = true;
                "copy"
            }
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                flags.propagation = word.to_owned();
                "propagation"
            }
            // SELinux relabelling has nothing to do where containers get no label; consistency was for macOS only.
            "z" | "Z" => "label",
            "consistent" | "cached" | "delegated" => "consistency",
            _ => return Err(format!("invalid mode: {list}")),
        };
        if kinds.contains(&kind) {
            return Err(format!("invalid mode: {list}"));
        }
        kinds.push(kind);
    }
    Ok(flags)
}

/// A mount's target must be absolute and not the root itself.
pub fn check_target(target: &str) -> Result<(), String> {
    if !target.starts_with('/') {
        return Err(format!("invalid mount path: '{target}' mount path must be absolute"));
    }
    if target.split('/').all(|part| part.is_empty() || part == ".") {
        return Err("invalid specification: destination can't be '/'".to_owned());
    }
    Ok(())
}

/// Docker's rule for names of volumes.
pub fn check_name(name: &str) -> Result<(), String> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if first && rest && name.len() > 1 {
        return Ok(());
    }
    Err(format!(
        "{name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    ))
}

/// `path` joined to the working directory where it is relative, without `.` and `..` parts at its start.
pub fn absolute(path: &str) -> Result<String, String> {
    let full = std::path::absolute(path).map_err(|error| format!("cannot find the working directory: {error}"))?;
    let mut plain = std::path::PathBuf::new();
    for part in full.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain.into_os_string().into_string().map_err(|path| format!("{path:?} is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn binds_volumes_and_anonymous() {
        let mount = parse("/tmp:/host:ro,rslave").unwrap();
        assert!(mount.read_only);
        assert_eq!(mount.typed, Typed::Volume { mode: "ro,rslave".to_owned() });
        assert!(
            matches!(mount.source, MountSource::Bind { path, create: true, propagation, .. } if path == "/tmp" && propagation == "rslave")
        );
        assert!(
            matches!(parse("v1:/data:nocopy").unwrap().source, MountSource::Volume { name: Some(name), copy: false, .. } if name == "v1")
        );
        assert!(matches!(parse("/data").unwrap().source, MountSource::Volume { name: None, copy: true, .. }));
        let here = std::env::current_dir().unwrap();
        assert!(
            matches!(parse("./x/../y:/d").unwrap().source, MountSource::Bind { path, .. } if path == here.join("y").to_str().unwrap())
        );
    }

    #[test]
    fn bad_specifications() {
        assert_eq!(parse("foo:bar:baz:q"), Err("invalid spec: foo:bar:baz:q: too many colons".into()));
        assert_eq!(parse("/a:/b:zz"), Err("invalid mode: zz".into()));
        assert_eq!(parse("/a:/b:z,Z"), Err("invalid mode: z,Z".into()));
        let shapes = ["", ":/x", "/x:", "v:d", "/a:/", "/a:/./", "v/w:/x", "-v:/x"];
        let modes = ["/a:/b:nocopy", "v1:/b:shared", "/a:/b:ro,", "/a:/b:ro,rw", "/a:/b:shared,slave", "v1:/b:ro,ro"];
        for text in shapes.iter().chain(&modes) {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
