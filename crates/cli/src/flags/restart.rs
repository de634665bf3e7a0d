//! `brig restart`: `stop` and then a start, so its flags are those of `stop.rs`, which reads them.
//! The table that parser and help read.

use super::{Command, Example, stop};

/// The command.
pub static COMMAND: Command = Command {
    name: "restart",
    about: "Stop containers and start them again",
    aliases: &["container restart"],
    examples: &[Example { about: "Stop and start a container", line: "brig restart web" }],
    ..stop::COMMAND
};
