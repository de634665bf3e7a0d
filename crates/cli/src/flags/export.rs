//! `brig export`.
//! The table that parser and help read, and the flags as typed values for `command/export.rs`.

use super::shared;
use super::{Command, Example, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "export",
    usage: &["[OPTIONS] CONTAINER"],
    about: "Write a container's files out as a tar archive",
    details: "",
    aliases: &["container export"],
    flags: &[&[shared::OUTPUT]],
    absent: &[],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[Example { about: "All files of a container", line: "brig export -o web.tar web" }],
};

/// What `export` was asked for.
pub struct Export {
    pub container: String,
    pub output: Option<String>,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Export {
    Export { output: parsed.text("output"), container: parsed.first() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn output() {
        assert_eq!(read(&words(&COMMAND, "a -o x.tar").unwrap()).output.as_deref(), Some("x.tar"));
    }
}
