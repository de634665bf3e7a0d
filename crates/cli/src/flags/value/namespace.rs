//! `--network`, `--pid`, `--ipc`, `--uts`, `--userns` and `--cgroupns`.
//! Which of them go together is checked by the engine.

use engine::options::{Ipc, Network, Sharing};

/// `none` or `host`.
pub fn network(text: &str) -> Result<Network, String> {
    match text {
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        _ => Err(format!("network {text} not found: brig has none and host")),
    }
}

/// `host` or `container:NAME`.
pub fn pid(text: &str) -> Result<Sharing, String> {
    match text {
        "" | "private" => Ok(Sharing::Private),
        "host" => Ok(Sharing::Host),
        _ => match text.strip_prefix("container:") {
            Some(name) if !name.is_empty() => Ok(Sharing::Container(name.to_owned())),
            _ => Err("invalid PID mode: use host or container:NAME".to_owned()),
        },
    }
}

/// `private`, `shareable`, `none`, `host` or `container:NAME`.
pub fn ipc(text: &str) -> Result<Ipc, String> {
    match text {
        "" | "private" => Ok(Ipc::Private),
        "shareable" => Ok(Ipc::Shareable),
        "none" => Ok(Ipc::None),
        "host" => Ok(Ipc::Host),
        _ => match text.strip_prefix("container:") {
            Some(name) if !name.is_empty() => Ok(Ipc::Container(name.to_owned())),
            _ => Err(format!("invalid IPC mode: {text}: use private, shareable, none, host or container:NAME")),
        },
    }
}

/// `host` alone; true then.
pub fn host(text: &str) -> Result<bool, String> {
    match text {
        "" => Ok(false),
        "host" => Ok(true),
        _ => Err(format!("invalid mode: {text}: the only one is host")),
    }
}

/// `host` or `private`; true for host.
pub fn host_or_private(text: &str) -> Result<bool, String> {
    match text {
        "" | "private" => Ok(false),
        "host" => Ok(true),
        _ => Err(format!("invalid mode: {text}: use host or private")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(pid("container:a"), Ok(Sharing::Container("a".into())));
        assert_eq!(ipc("none"), Ok(Ipc::None));
        assert_eq!(network("host"), Ok(Network::Host));
        assert_eq!(host("host"), Ok(true));
        assert!(
            pid("foo").is_err()
                && pid("container:").is_err()
                && ipc("foo").is_err()
                && network("bridge").is_err()
                && host("x").is_err()
        );
        assert_eq!(host_or_private("private"), Ok(false));
    }
}
