//! `brig logs`.
//! The table that parser and help read, and the flags as typed values for `command/logs.rs`.

use super::value::duration;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};
use engine::logs::Query;
use spec::Timestamp;

/// The command.
pub static COMMAND: Command = Command {
    name: "logs",
    usage: &["[OPTIONS] CONTAINER"],
    about: "Show what a container has written",
    details: "",
    aliases: &["container logs"],
    flags: &[&[
        Flag::switch("details", "Put what --log-opt chose (labels, env, tag) before each line"),
        Flag::switch("follow", "Keep on showing what comes").short('f'),
        Flag::value(
            "since",
            "string",
            "Leave out what is older than a time (e.g. \"2026-01-31T08:00:00Z\") or an age (e.g. \"15m\" for 15 minutes)",
        ),
        Flag::value("tail", "string", "How many of the last lines to show").short('n').default("\"all\""),
        Flag::switch("timestamps", "Put the time before each line").short('t'),
        Flag::value(
            "until",
            "string",
            "Leave out what is newer than a time (e.g. \"2026-01-31T08:00:00Z\") or an age (e.g. \"15m\" for 15 minutes)",
        ),
    ]],
    absent: &[],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[Example { about: "The last ten lines, and what comes", line: "brig logs -f -n 10 web" }],
};

/// What `logs` was asked for.
pub struct Logs {
    pub container: String,
    pub query: Query,
    pub timestamps: bool,
    pub details: bool,
}

/// Reads the flags; relative times count from `now`.
pub fn read(parsed: Parsed, now: Timestamp) -> Result<Logs, Misuse> {
    let time = |flag| parsed.meaning(flag, |text| duration::point_in_time(text, now));
    let query = Query {
        follow: parsed.on("follow"),
        since: time("since")?,
        until: time("until")?,
        tail: parsed.last("tail").and_then(|text| text.parse().ok()),
    };
    let (timestamps, details) = (parsed.on("timestamps"), parsed.on("details"));
    Ok(Logs { container: parsed.first(), query, timestamps, details })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn times_and_tail() {
        let now = Timestamp::from_seconds(1000);
        let logs = read(words(&COMMAND, "-ft --since 10s -n 5 a").unwrap(), now).unwrap();
        assert!(logs.query.follow && logs.timestamps);
        assert_eq!((logs.query.since, logs.query.tail), (Some(Timestamp::from_seconds(990)), Some(5)));
        // Docker takes anything that is no number for "all".
        assert_eq!(read(words(&COMMAND, "--tail all a").unwrap(), now).unwrap().query.tail, None);
        assert!(read(words(&COMMAND, "--since x a").unwrap(), now).is_err());
    }
}
