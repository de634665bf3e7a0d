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
    about: "Update configuration of one or more containers",
    details: "",
    aliases: &["container update"],
    flags: &[&[
        Flag::value("blkio-weight", "uint16", "Block IO (relative weight), between 10 and 1000, or 0 to disable")
            .default("0"),
        Flag::value("cpu-period", "int", "Limit CPU CFS (Completely Fair Scheduler) period"),
        Flag::value("cpu-quota", "int", "Limit CPU CFS (Completely Fair Scheduler) quota"),
        Flag::value("cpu-shares", "int", "CPU shares (relative weight)").short('c'),
        Flag::value("cpus", "decimal", "Number of CPUs"),
        Flag::value("cpuset-cpus", "string", "CPUs in which to allow execution (0-3, 0,1)"),
        Flag::value("cpuset-mems", "string", "MEMs in which to allow execution (0-3, 0,1)"),
        Flag::value("memory", "bytes", "Memory limit").short('m'),
        Flag::value("memory-reservation", "bytes", "Memory soft limit"),
        Flag::value("memory-swap", "bytes", "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
        Flag::value("pids-limit", "int", "Tune container pids limit (set -1 for unlimited)"),
        Flag::value("restart", "string", "Restart policy to apply when a container exits"),
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
