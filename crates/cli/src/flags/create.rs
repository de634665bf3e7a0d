//! `brig create`.
//! The table that parser and help read, and the flags as typed values for `command/create.rs`.

use super::container::{self, Container};
use super::{Command, Example, Misuse, Parsed, Positional, limits, shared};

/// The command.
pub static COMMAND: Command = Command {
    name: "create",
    usage: &["[OPTIONS] IMAGE [COMMAND] [ARG...]"],
    about: "Make a container without starting it",
    details: "",
    aliases: &["container create"],
    flags: &[&shared::PROCESS, &limits::FLAGS, &container::FLAGS],
    absent: container::ABSENT,
    positional: Positional::at_least(1),
    flags_first: true,
    examples: &[Example {
        about: "Make a container now and start it later",
        line: "brig create --name db -v data:/var/lib/db postgres",
    }],
};

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Container, Misuse> {
    container::read(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn has_no_detach() {
        assert_eq!(read(&words(&COMMAND, "--name a img").unwrap()).unwrap().options.name.as_deref(), Some("a"));
        assert!(words(&COMMAND, "-d img").is_err());
    }
}
