//! `brig start`.
//! The table that parser and help read, and the flags as typed values for `command/start.rs`.

use super::shared;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "start",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Start containers that do not run",
    details: "",
    aliases: &["container start"],
    flags: &[&[
        Flag::switch("attach", "Show its output and pass signals on").short('a'),
        shared::DETACH_KEYS,
        Flag::switch("interactive", "Connect STDIN to the container").short('i'),
        shared::SIG_PROXY,
    ]],
    absent: &["checkpoint", "checkpoint-dir"],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[
        Example { about: "Start two containers", line: "brig start db web" },
        Example { about: "Start a container and see its output", line: "brig start -a job" },
    ],
};

/// What `start` was asked for.
pub struct Start {
    pub containers: Vec<String>,
    pub attach: bool,
    pub interactive: bool,
    pub detach_keys: Vec<u8>,
    pub sig_proxy: bool,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Result<Start, Misuse> {
    Ok(Start {
        attach: parsed.on("attach"),
        interactive: parsed.on("interactive"),
        detach_keys: shared::detach_keys(&parsed)?,
        sig_proxy: parsed.switch("sig-proxy").unwrap_or(true),
        containers: parsed.arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn flags_may_follow_names() {
        let start = read(words(&COMMAND, "a -ai b").unwrap()).unwrap();
        assert!(start.attach && start.interactive && start.sig_proxy);
        assert_eq!(start.containers, ["a", "b"]);
    }
}
