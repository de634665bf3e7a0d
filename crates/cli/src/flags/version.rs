//! `brig version`.
//! The table that parser and help read, and the flags as typed values for `command/version.rs`.

use super::shared;
use super::{Command, Example, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "version",
    usage: &["[OPTIONS]"],
    about: "Show which version of brig this is",
    details: "",
    aliases: &[],
    flags: &[&[shared::INSPECT_FORMAT]],
    absent: &[],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[Example { about: "The version alone", line: "brig version -f '{{.Version}}'" }],
};

/// The `--format` of `version`.
pub fn read(parsed: &Parsed) -> Option<String> {
    parsed.text("format")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn format() {
        assert_eq!(read(&words(&COMMAND, "-f json").unwrap()).as_deref(), Some("json"));
    }
}
