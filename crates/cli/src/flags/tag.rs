//! `brig tag`: two names and nothing else.
//! The table that parser and help read, and the flags as typed values for `command/tag.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "tag",
    usage: &["SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]"],
    about: "Give SOURCE_IMAGE a further name, TARGET_IMAGE",
    details: "",
    aliases: &["image tag"],
    flags: &[],
    absent: &[],
    positional: Positional::exactly(2),
    flags_first: false,
    examples: &[Example { about: "A name for a registry of one's own", line: "brig tag web localhost:5000/web:1" }],
};
