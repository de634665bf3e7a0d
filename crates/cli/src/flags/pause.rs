//! `brig pause`: names and nothing else.
//! The table that parser and help read, and the flags as typed values for `command/pause.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "pause",
    usage: &["CONTAINER [CONTAINER...]"],
    about: "Freeze the processes of containers",
    details: "",
    aliases: &["container pause"],
    flags: &[],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example { about: "Freeze a container", line: "brig pause web" }],
};
