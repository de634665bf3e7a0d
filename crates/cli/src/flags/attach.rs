//! `brig attach`.
//! The table that parser and help read, and the flags as typed values for `command/attach.rs`.

use super::shared;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "attach",
    usage: &["[OPTIONS] CONTAINER"],
    about: "Connect STDIN, STDOUT and STDERR to a running container",
    details: "",
    aliases: &["container attach"],
    flags: &[&[shared::DETACH_KEYS, Flag::switch("no-stdin", "Leave STDIN unconnected"), shared::SIG_PROXY]],
    absent: &[],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[Example { about: "Go back to a container left with ctrl-p ctrl-q", line: "brig attach shell" }],
};

/// What `attach` was asked for.
pub struct Attach {
    pub container: String,
    pub detach_keys: Vec<u8>,
    pub no_stdin: bool,
    pub sig_proxy: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Attach, Misuse> {
    Ok(Attach {
        detach_keys: shared::detach_keys(parsed)?,
        no_stdin: parsed.on("no-stdin"),
        sig_proxy: parsed.switch("sig-proxy").unwrap_or(true),
        container: parsed.first(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn detach_keys() {
        assert_eq!(read(&words(&COMMAND, "a").unwrap()).unwrap().detach_keys, [16, 17]);
        assert!(read(&words(&COMMAND, "--detach-keys foo a").unwrap()).is_err());
    }
}
