//! `brig update`.
//! The table that parser and help read, and the flags as typed values for `command/update.rs`.

use super::value::restart;
use super::{Command, Example, Misuse, Parsed, Positional, limits, shared};
use engine::options::{Resources, Restart};

/// The command.
pub static COMMAND: Command = Command {
    name: "update",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Change the limits and restart policy of containers",
    details: "",
    aliases: &["container update"],
    flags: &[&limits::FLAGS, &[shared::RESTART]],
    absent: &["cpu-rt-period", "cpu-rt-runtime"],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[Example {
        about: "More memory for a running container",
        line: "brig update -m 500m --memory-swap 1g db",
    }],
};

/// What `update` was asked for.
pub struct Update {
    pub containers: Vec<String>,
    pub resources: Resources,
    pub restart: Option<Restart>,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Result<Update, Misuse> {
    if parsed.is_empty() {
        return Err(parsed.refusal("you must provide one or more flags when using this command"));
    }
    Ok(Update {
        resources: limits::read(&parsed)?,
        restart: parsed.meaning("restart", restart::parse)?,
        containers: parsed.arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn some_flag_is_needed() {
        let update = read(words(&COMMAND, "-m 1g --restart always a b").unwrap()).unwrap();
        assert_eq!((update.resources.memory_bytes, update.restart), (Some(1 << 30), Some(Restart::Always)));
        assert!(read(words(&COMMAND, "a").unwrap()).is_err());
    }
}
