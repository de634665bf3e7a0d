//! `brig restart`.
//! The table that parser and help read, and the flags as typed values for `command/restart.rs`.

use super::shared;
use super::{Command, Example, Misuse, Parsed, Positional};
use kernel::signal::Signal;

/// The command.
pub static COMMAND: Command = Command {
    name: "restart",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Stop containers and start them again",
    details: "",
    aliases: &["container restart"],
    flags: &[&[shared::SIGNAL, shared::STOP_TIMEOUT, shared::STOP_TIME]],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example { about: "Stop and start a container", line: "brig restart web" }],
};

/// What `restart` was asked for.
pub struct Restart {
    pub containers: Vec<String>,
    /// Instead of the container's own stop signal.
    pub signal: Option<Signal>,
    pub timeout_seconds: Option<i64>,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Result<Restart, Misuse> {
    Ok(Restart {
        signal: parsed.meaning("signal", shared::signal)?,
        timeout_seconds: shared::stop_timeout(&parsed)?,
        containers: parsed.arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn timeout_and_signal() {
        let asked = read(words(&COMMAND, "-t 3 -s INT a").unwrap()).unwrap();
        assert_eq!((asked.timeout_seconds, asked.signal), (Some(3), Some(Signal::INT)));
        assert_eq!(read(words(&COMMAND, "--time=-1 a").unwrap()).unwrap().timeout_seconds, Some(-1));
        assert!(read(words(&COMMAND, "-s FOO a").unwrap()).is_err());
    }
}
