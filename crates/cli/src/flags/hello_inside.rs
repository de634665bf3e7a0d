//! `brig hello-inside`, which the embedded image `hello` runs; not listed in help.
//! The report is written by `command/hello_inside.rs`.

use super::{Command, Example, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "hello-inside",
    usage: &[""],
    about: "Print what this process sees of its container",
    details: "",
    aliases: &[],
    flags: &[],
    absent: &[],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[Example { about: "From outside", line: "brig run --rm hello" }],
};
