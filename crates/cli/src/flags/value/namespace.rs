//! `--pid`, `--ipc`, `--uts`, `--userns` and `--cgroupns`.
//! Which of them go together is checked by the engine.

use engine::options::{Ipc, Sharing};

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

/// `host` or `private`; true for host.
pub fn uts(text: &str) -> Result<bool, String> {
    match text {
        "" | "private" => Ok(false),
        "host" => Ok(true),
        _ => Err(format!("invalid UTS mode: {text}: use host")),
    }
}

/// `host`; true then.
pub fn userns(text: &str) -> Result<bool, String> {
    match text {
        "" => Ok(false),
        "host" => Ok(true),
        "private" | "auto" | "keep-id" | "nomap" => Err(format!("{text} is not supported yet by brig: use host")),
        _ => Err(format!("invalid USER mode: {text}: use host")),
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
        assert_eq!((uts("host"), userns("host")), (Ok(true), Ok(true)));
        assert!(userns("private").unwrap_err().contains("not supported yet"));
        assert!(
            pid("foo").is_err()
                && pid("container:").is_err()
                && ipc("foo").is_err()
                && uts("x").is_err()
                && userns("x").is_err()
        );
        assert_eq!(host_or_private("private"), Ok(false));
    }
}
