//! `brig pull`.
//! The table that parser and help read, and the flags as typed values for `command/pull.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional, access, shared};
use engine::images::{PullOptions, Reach};

/// The command.
pub static COMMAND: Command = Command {
    name: "pull",
    usage: &["[OPTIONS] NAME[:TAG|@DIGEST]"],
    about: "Fetch an image from a registry",
    details: "",
    aliases: &["image pull"],
    flags: &[
        &access::ACCESS,
        &[
            Flag::switch("all-tags", "Fetch all tags of the repository").short('a'),
            shared::PLATFORM,
            Flag::switch("quiet", "Show no progress").short('q'),
        ],
    ],
    absent: &[
        "arch",
        "cert-dir",
        "decryption-key",
        "disable-content-trust",
        "os",
        "policy",
        "retry",
        "retry-delay",
        "variant",
    ],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[
        Example { about: "An image from the default registry", line: "brig pull debian:stable" },
        Example {
            about: "One from a registry without HTTPS",
            line: "brig pull --tls-verify=false registry.lan:5000/web",
        },
        Example { about: "Everything that a repository has", line: "brig pull -a registry.lan:5000/web" },
    ],
};

/// What `pull` was asked for.
pub struct Pull {
    pub name: String,
    pub all_tags: bool,
    pub options: PullOptions,
    pub reach: Reach,
    pub quiet: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Pull, Misuse> {
    let platform = parsed.meaning("platform", shared::platform)?;
    Ok(Pull {
        name: parsed.first(),
        all_tags: parsed.on("all-tags"),
        options: PullOptions { platform, ..PullOptions::default() },
        reach: access::read(parsed)?,
        quiet: parsed.on("quiet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn platform_and_access() {
        let pull = read(&words(&COMMAND, "-qa --tls-verify=false --platform linux/arm64 --creds a:b c").unwrap());
        let pull = pull.unwrap();
        assert!(pull.quiet && pull.all_tags && pull.reach.unverified && pull.options.platform.is_some());
        assert_eq!(pull.reach.access.user.map(|user| user.name).as_deref(), Some("a"));
    }
}
