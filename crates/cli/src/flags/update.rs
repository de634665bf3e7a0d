//! `brig update`.
//! The table that parser and help read, and the flags as typed values for `command/update.rs`.

use super::container;
use super::value::restart;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};
use engine::options::{Resources, Restart};

/// The command.
pub static COMMAND: Command = Command {
    name: "update",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Change the limits and restart policy of containers",
    details: "",
    aliases: &["container update"],
    flags: &[&[
        Flag::value("blkio-weight", "uint16", "Share of disk IO against others, 10 to 1000 (0: unset)").default("0"),
        Flag::value("cpu-period", "int", "Length of one CPU quota period, in microseconds"),
        Flag::value("cpu-quota", "int", "CPU time allowed in each period, in microseconds"),
        Flag::value("cpu-shares", "int", "Share of CPU time against others").short('c'),
        Flag::value("cpus", "decimal", "How many CPUs' worth of time may be used"),
        Flag::value("cpuset-cpus", "string", "CPUs that may be used (e.g. 0-3 or 0,1)"),
        Flag::value("cpuset-mems", "string", "Memory nodes that may be used (e.g. 0-3 or 0,1)"),
        Flag::value("memory", "bytes", "Most memory that may be used").short('m'),
        Flag::value("memory-reservation", "bytes", "Memory to shrink to when the host runs short"),
        Flag::value("memory-swap", "bytes", "Most memory and swap together (-1: no limit on swap)"),
        Flag::value("pids-limit", "int", "Most processes at a time (-1: no limit)"),
        Flag::value("restart", "string", "When to start again after the process has ended"),
    ]],
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
        resources: container::limits(&parsed)?,
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
