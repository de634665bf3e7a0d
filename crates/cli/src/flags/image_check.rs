//! `brig image check`.
//! The table that parser and help read, and the flags as typed values for `command/image_check.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional, access};
use engine::images::Reach;

/// The command.
pub static COMMAND: Command = Command {
    name: "image check",
    usage: &["[OPTIONS]"],
    about: "Find out whether the store is whole, and mend it",
    details: "Every document is hashed, every layer made again from what is kept of it and compared. Exit code 1 says that\n\
              something is damaged.",
    aliases: &[],
    flags: &[
        &access::ACCESS,
        &[
            Flag::switch("quiet", "Print what is damaged and nothing else").short('q'),
            Flag::switch("repair", "Fetch what is damaged again, from where the image came from").short('r'),
        ],
    ],
    absent: &["force", "max", "quick"],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[Example { about: "After a disk has had errors", line: "brig image check --repair" }],
};

/// What `image check` was asked for.
pub struct Check {
    pub reach: Reach,
    pub quiet: bool,
    pub repair: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Check, Misuse> {
    Ok(Check { reach: access::read(parsed)?, quiet: parsed.on("quiet"), repair: parsed.on("repair") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn repair() {
        let check = read(&words(&COMMAND, "-qr --tls-verify=false").unwrap()).unwrap();
        assert!(check.repair && check.quiet && check.reach.unverified);
    }
}
