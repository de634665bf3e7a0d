//! `brig rename`: names and nothing else.
//! The table that parser and help read, and the flags as typed values for `command/rename.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "rename",
    usage: &["CONTAINER NEW_NAME"],
    about: "Change a container's name",
    details: "",
    aliases: &["container rename"],
    flags: &[],
    absent: &[],
    positional: Positional::exactly(2),
    flags_first: false,
    examples: &[Example { about: "Give a container another name", line: "brig rename boring_bell web" }],
};
