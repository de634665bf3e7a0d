//! `brig stats`.
//! The table that parser and help read, and the flags as typed values for `command/stats.rs`.

use super::shared;
use super::{Command, Example, Flag, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "stats",
    usage: &["[OPTIONS] [CONTAINER...]"],
    about: "Watch how much of the machine containers use",
    details: "",
    aliases: &["container stats"],
    flags: &[&[
        Flag::switch("all", "Include containers that do not run").short('a'),
        shared::LIST_FORMAT,
        Flag::switch("no-stream", "Print the figures once and end"),
        shared::NO_TRUNC,
    ]],
    absent: &[],
    positional: Positional::ANY,
    flags_first: false,
    examples: &[Example { about: "One look at all running containers", line: "brig stats --no-stream" }],
};

/// What `stats` was asked for.
pub struct Stats {
    /// Empty: all that run.
    pub containers: Vec<String>,
    pub all: bool,
    pub format: Option<String>,
    pub no_stream: bool,
    pub no_trunc: bool,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Stats {
    Stats {
        all: parsed.on("all"),
        format: parsed.text("format"),
        no_stream: parsed.on("no-stream"),
        no_trunc: parsed.on("no-trunc"),
        containers: parsed.arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn switches() {
        let stats = read(words(&COMMAND, "--no-stream -a x").unwrap());
        assert!(stats.no_stream && stats.all && !stats.no_trunc);
        assert_eq!(stats.containers, ["x"]);
    }
}
