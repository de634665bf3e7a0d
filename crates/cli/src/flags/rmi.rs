//! `brig rmi`.
//! The table that parser and help read, and the flags as typed values for `command/rmi.rs`.

use super::{Command, Example, Flag, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "rmi",
    usage: &["[OPTIONS] IMAGE [IMAGE...]"],
    about: "Delete images",
    details: "",
    aliases: &["image rm", "image remove"],
    flags: &[&[
        Flag::switch("force", "Delete even where that is refused otherwise").short('f'),
        Flag::switch("no-prune", "Changes nothing: brig keeps no untagged parents"),
    ]],
    absent: &["platform"],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example { about: "Remove an image", line: "brig rmi debian:stable" }],
};

/// What `rmi` was asked for.
pub struct Rmi {
    pub images: Vec<String>,
    pub force: bool,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Rmi {
    Rmi { force: parsed.on("force"), images: parsed.arguments }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn force() {
        assert!(read(words(&COMMAND, "-f a b").unwrap()).force);
    }
}
