//! `brig rm`.
//! The table that parser and help read, and the flags as typed values for `command/rm.rs`.

use super::{Command, Example, Flag, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "rm",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Delete containers",
    details: "",
    aliases: &["container rm", "container remove"],
    flags: &[&[
        Flag::switch("force", "Kill containers that run first (with SIGKILL)").short('f'),
        Flag::switch("volumes", "Delete their anonymous volumes as well").short('v'),
    ]],
    absent: &["link", "l"],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example {
        about: "Remove a container, running or not, with its anonymous volumes",
        line: "brig rm -fv web",
    }],
};

/// What `rm` was asked for.
pub struct Rm {
    pub containers: Vec<String>,
    pub force: bool,
    pub volumes: bool,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Rm {
    Rm { force: parsed.on("force"), volumes: parsed.on("volumes"), containers: parsed.arguments }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn clusters() {
        let rm = read(words(&COMMAND, "-fv a b").unwrap());
        assert!(rm.force && rm.volumes && rm.containers.len() == 2);
    }
}
