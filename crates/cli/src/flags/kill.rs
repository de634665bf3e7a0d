//! `brig kill`.
//! The table that parser and help read, and the flags as typed values for `command/kill.rs`.

use super::shared;
use super::{Command, Example, Misuse, Parsed, Positional};
use kernel::signal::Signal;

/// The command.
pub static COMMAND: Command = Command {
    name: "kill",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Send a signal to running containers, SIGKILL by default",
    details: "",
    aliases: &["container kill"],
    flags: &[&[shared::SIGNAL]],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example { about: "Tell a server to read its configuration again", line: "brig kill -s HUP web" }],
};

/// What `kill` was asked for.
pub struct Kill {
    pub containers: Vec<String>,
    pub signal: Signal,
}

/// Reads the flags; the signal is KILL unless told otherwise.
pub fn read(parsed: Parsed) -> Result<Kill, Misuse> {
    Ok(Kill { signal: parsed.meaning("signal", shared::signal)?.unwrap_or(Signal::KILL), containers: parsed.arguments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn signals() {
        assert_eq!(read(words(&COMMAND, "a").unwrap()).unwrap().signal, Signal::KILL);
        assert_eq!(read(words(&COMMAND, "a -s 1").unwrap()).unwrap().signal, Signal::HUP);
    }
}
