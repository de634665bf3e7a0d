//! `brig top`. What follows the container's name are ps(1)'s options.
//! The table that parser and help read, and the flags as typed values for `command/top.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "top",
    usage: &["CONTAINER [ps OPTIONS]"],
    about: "List the processes in a container",
    details: "",
    aliases: &["container top"],
    flags: &[],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: true,
    examples: &[
        Example { about: "Processes with their pids on the host", line: "brig top web" },
        Example { about: "Other columns", line: "brig top web -o pid,rss,cmd" },
    ],
};
