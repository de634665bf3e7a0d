//! `brig unpause`: names and nothing else.
//! The table that parser and help read, and the flags as typed values for `command/pause.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "unpause",
    usage: &["CONTAINER [CONTAINER...]"],
    about: "Let paused containers go on",
    details: "",
    aliases: &["container unpause"],
    flags: &[],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example { about: "Let it run again", line: "brig unpause web" }],
};
