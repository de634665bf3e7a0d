//! `brig pull`.
//! The table that parser and help read, and the flags as typed values for `command/pull.rs`.

use super::container::Fetch;
use super::shared;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};
use engine::images::PullPolicy;

/// The command.
pub static COMMAND: Command = Command {
    name: "pull",
    usage: &["[OPTIONS] NAME[:TAG|@DIGEST]"],
    about: "Fetch an image from a registry",
    details: "",
    aliases: &["image pull"],
    flags: &[&[shared::PLATFORM, Flag::switch("quiet", "Show no progress").short('q'), shared::TLS_VERIFY]],
    absent: &["all-tags", "a", "disable-content-trust"],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[
        Example { about: "An image from the default registry", line: "brig pull debian:stable" },
        Example {
            about: "One from a registry without HTTPS",
            line: "brig pull --tls-verify=false registry.lan:5000/web",
        },
    ],
};

/// What `pull` was asked for: always from the registry.
pub fn read(parsed: &Parsed) -> Result<Fetch, Misuse> {
    Ok(Fetch {
        name: parsed.first(),
        pull: PullPolicy::Always,
        platform: parsed.meaning("platform", shared::platform)?,
        insecure: parsed.switch("tls-verify") == Some(false),
        quiet: parsed.on("quiet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn platform_and_tls() {
        let fetch = read(&words(&COMMAND, "-q --tls-verify=false --platform linux/arm64 a").unwrap()).unwrap();
        assert!(fetch.quiet && fetch.insecure && fetch.platform.is_some());
    }
}
