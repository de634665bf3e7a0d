//! `brig logout`.
//! The table that parser and help read, and the flags as typed values for `command/logout.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional, access};
use engine::images::{Access, Reach};
use std::path::PathBuf;

/// The command.
pub static COMMAND: Command = Command {
    name: "logout",
    usage: &["[OPTIONS] [SERVER]"],
    about: "Forget who you are at a registry",
    details: "",
    aliases: &[],
    flags: &[&[access::AUTHFILE, Flag::switch("all", "Forget all users of the file").short('a')]],
    absent: &["compat-auth-file"],
    positional: Positional::between(0, 1),
    flags_first: false,
    examples: &[Example { about: "Remove what login has stored", line: "brig logout registry.lan:5000" }],
};

/// What `logout` was asked for.
pub struct Logout {
    /// Empty for Docker Hub.
    pub registry: String,
    pub all: bool,
    pub reach: Reach,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Logout, Misuse> {
    let all = parsed.on("all");
    if all && !parsed.arguments.is_empty() {
        return Err(parsed.refusal("--all takes no registry: it is all of them"));
    }
    let access = Access { credentials_file: parsed.text("authfile").map(PathBuf::from), ..Access::default() };
    Ok(Logout { registry: parsed.first(), all, reach: Reach { access, unverified: false } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn one_or_all() {
        assert!(read(&words(&COMMAND, "-a").unwrap()).unwrap().all);
        assert!(read(&words(&COMMAND, "-a x").unwrap()).is_err());
        assert_eq!(read(&words(&COMMAND, "").unwrap()).unwrap().registry, "");
    }
}
