//! `--device HOST[:CONTAINER[:rwm]]`.
//! Whether the device exists is checked by the engine.

use engine::options::Device;

/// One device of the host.
pub fn parse(text: &str) -> Result<Device, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, permissions) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, mode] if is_mode(mode) => (*host, *host, *mode),
        [host, container] => (*host, *container, "rwm"),
        [host, container, mode] => (*host, *container, *mode),
        _ => return Err(format!("invalid device specification: {text}")),
    };
    if !is_mode(permissions) {
        return Err(format!("bad mode specified: {permissions}"));
    }
    if !host.starts_with('/') {
        return Err(format!(
            "invalid device specification: {host:?} is not an absolute path (CDI names are not supported)"
        ));
    }
    if !container.starts_with('/') {
        return Err(format!("invalid device specification: {container:?} is not an absolute path"));
    }
    Ok(Device { host_path: host.to_owned(), container_path: container.to_owned(), permissions: permissions.to_owned() })
}

fn is_mode(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 3
        && text.char_indices().all(|(at, c)| "rwm".contains(c) && !text[..at].contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let device = parse("/dev/null:/dev/x:rw").unwrap();
        assert_eq!((device.container_path.as_str(), device.permissions.as_str()), ("/dev/x", "rw"));
        assert_eq!(parse("/dev/null:r").unwrap().container_path, "/dev/null");
        assert_eq!(parse("/dev/null").unwrap().permissions, "rwm");
        for text in ["", "/dev/null:/x:abc", "/a:/b:rr", "a/b", "/a:/b:r:w", "vendor.com/gpu=all", "/a:b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
