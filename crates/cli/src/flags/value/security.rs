//! `--security-opt`: no-new-privileges and seccomp. Options for AppArmor and SELinux are taken only where they ask for what
//! brig does anyway, which is nothing; anything else would promise a confinement that does not exist.

use crate::failure::plain;
use engine::options::Seccomp;

/// One option.
#[derive(Debug, PartialEq)]
pub enum Choice {
    /// `no-new-privileges[=true|false]`.
    NoNewPrivileges(bool),
    /// `seccomp=FILE|unconfined|builtin`.
    Seccomp(Seccomp),
    /// `apparmor=unconfined`, `label=disable`.
    AsItIs,
}

/// Reads the profile file of `seccomp=FILE`.
pub fn parse(text: &str) -> Result<Choice, String> {
    let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
    match (key, value) {
        ("no-new-privileges", "" | "true") => Ok(Choice::NoNewPrivileges(true)),
        ("no-new-privileges", "false") => Ok(Choice::NoNewPrivileges(false)),
        ("seccomp", "unconfined") => Ok(Choice::Seccomp(Seccomp::Unconfined)),
        ("seccomp", "builtin" | "default") => Ok(Choice::Seccomp(Seccomp::Default)),
        ("seccomp", path) if !path.is_empty() => {
            let profile = std::fs::read_to_string(path)
                .map_err(|error| format!("opening seccomp profile ({path}) failed: {}", plain(&error)))?;
            Ok(Choice::Seccomp(Seccomp::Profile(profile)))
        }
        ("apparmor", "unconfined") | ("label", "disable") => Ok(Choice::AsItIs),
        ("apparmor" | "label" | "systempaths" | "mask" | "unmask" | "proc-opts" | "writable-cgroups", _) => {
            Err(format!("{text:?} is not supported yet by brig: use no-new-privileges or seccomp=FILE|unconfined"))
        }
        _ => Err(format!("invalid --security-opt: {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        assert_eq!(parse("no-new-privileges"), Ok(Choice::NoNewPrivileges(true)));
        assert_eq!(parse("no-new-privileges:false"), Ok(Choice::NoNewPrivileges(false)));
        assert_eq!(parse("seccomp=unconfined"), Ok(Choice::Seccomp(Seccomp::Unconfined)));
        assert!(parse("seccomp=/nonexistent").unwrap_err().contains("no such file"));
        assert!(parse("foo").is_err());
        assert!(parse("apparmor=docker-default").is_err());
    }
}
