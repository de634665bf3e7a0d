//! `brig wait`: names and nothing else.
//! The table that parser and help read, and the flags as typed values for `command/wait.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "wait",
    usage: &["CONTAINER [CONTAINER...]"],
    about: "Wait for containers to end and print their exit codes",
    details: "",
    aliases: &["container wait"],
    flags: &[],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example { about: "Wait for a job", line: "brig wait job" }],
};
