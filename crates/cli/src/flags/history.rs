//! `brig history`.
//! The table that parser and help read, and the flags as typed values for `command/history.rs`.

use super::{Command, Example, Flag, Parsed, Positional, shared};

/// The command.
pub static COMMAND: Command = Command {
    name: "history",
    usage: &["[OPTIONS] IMAGE"],
    about: "Show the steps in which an image was made",
    details: "",
    aliases: &["image history"],
    flags: &[&[
        shared::LIST_FORMAT,
        Flag::switch("human", "Print sizes and dates for people").short('H').default("true"),
        shared::NO_TRUNC,
        Flag::switch("quiet", "Print the IDs and nothing else").short('q'),
    ]],
    absent: &["platform"],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[Example { about: "Where the size of an image comes from", line: "brig history debian" }],
};

/// What `history` was asked for.
pub struct History {
    pub image: String,
    pub format: Option<String>,
    pub human: bool,
    pub no_trunc: bool,
    pub quiet: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> History {
    History {
        image: parsed.first(),
        format: parsed.text("format"),
        human: parsed.switch("human").unwrap_or(true),
        no_trunc: parsed.on("no-trunc"),
        quiet: parsed.on("quiet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn human_unless_told_otherwise() {
        assert!(read(&words(&COMMAND, "a").unwrap()).human);
        assert!(!read(&words(&COMMAND, "-H=false a").unwrap()).human);
    }
}
