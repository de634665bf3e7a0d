//! `brig stop`; `restart` takes the same flags and reads them here.
//! The table that parser and help read, and the flags as typed values for `command/stop.rs` and `command/restart.rs`.

use super::shared;
use super::value::number;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};
use kernel::signal::Signal;

/// The command.
pub static COMMAND: Command = Command {
    name: "stop",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Ask running containers to end, and kill those that do not",
    details: "",
    aliases: &["container stop"],
    flags: &[&[
        shared::SIGNAL,
        Flag::value("timeout", "int", "Seconds to wait before the kill (-1: for ever)").short('t'),
        Flag::value("time", "int", "The same as --timeout"),
    ]],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example { about: "Give a container a minute to end by itself", line: "brig stop -t 60 db" }],
};

/// What `stop` or `restart` was asked for.
pub struct Stop {
    pub containers: Vec<String>,
    /// Instead of the container's own stop signal.
    pub signal: Option<Signal>,
    pub timeout_seconds: Option<i64>,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Result<Stop, Misuse> {
    Ok(Stop {
        signal: parsed.meaning("signal", shared::signal)?,
        timeout_seconds: timeout(&parsed)?,
        containers: parsed.arguments,
    })
}

/// Seconds of `--timeout`, or of its older name.
fn timeout(parsed: &Parsed) -> Result<Option<i64>, Misuse> {
    let seconds = parsed.one("timeout", number::signed)?;
    Ok(seconds.or(parsed.one("time", number::signed)?))
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
