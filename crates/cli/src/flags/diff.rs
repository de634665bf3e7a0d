//! `brig diff`: names and nothing else.
//! The table that parser and help read, and the flags as typed values for `command/diff.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "diff",
    usage: &["CONTAINER"],
    about: "List files that a container has added, changed or deleted",
    details: "",
    aliases: &["container diff"],
    flags: &[],
    absent: &[],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[Example { about: "What a container has written", line: "brig diff web" }],
};
