//! `brig ps`.
//! The table that parser and help read, and the flags as typed values for `command/ps.rs`.

use super::shared;
use super::value::{number, pair};
use super::{Command, Example, Flag, Misuse, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "ps",
    usage: &["[OPTIONS]"],
    about: "Show the containers there are",
    details: "",
    aliases: &["container ls", "container list", "container ps"],
    flags: &[&[
        Flag::switch("all", "Include containers that do not run").short('a'),
        shared::LIST_FILTER,
        shared::LIST_FORMAT,
        Flag::value("last", "int", "Only the n newest containers, in whatever state").short('n').default("-1"),
        Flag::switch("latest", "Only the newest container, in whatever state").short('l'),
        shared::NO_TRUNC,
        Flag::switch("quiet", "Print the IDs and nothing else").short('q'),
        Flag::switch("size", "Add a column with the sizes of files").short('s'),
    ]],
    absent: &[],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[
        Example { about: "All containers, stopped ones as well", line: "brig ps -a" },
        Example {
            about: "Names of those that ended with an error",
            line: "brig ps -a --filter exited=1 --format '{{.Names}}'",
        },
    ],
};

/// What `ps` was asked for.
pub struct Ps {
    pub all: bool,
    pub filters: Vec<String>,
    pub format: Option<String>,
    /// Only so many of the newest, whatever their state.
    pub last: Option<usize>,
    pub no_trunc: bool,
    pub quiet: bool,
    pub size: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Ps, Misuse> {
    let last =
        parsed.one("last", number::signed::<i64>)?.and_then(|last| usize::try_from(last).ok()).filter(|last| *last > 0);
    Ok(Ps {
        all: parsed.on("all"),
        filters: parsed.each("filter", pair::filter)?,
        format: parsed.text("format"),
        last: if parsed.on("latest") { Some(1) } else { last },
        no_trunc: parsed.on("no-trunc"),
        quiet: parsed.on("quiet"),
        size: parsed.on("size"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn last_and_filters() {
        let ps = read(&words(&COMMAND, "-aqn 3 --filter status=exited").unwrap()).unwrap();
        assert!(ps.all && ps.quiet);
        assert_eq!((ps.last, ps.filters), (Some(3), vec!["status=exited".to_owned()]));
        assert_eq!(read(&words(&COMMAND, "-l").unwrap()).unwrap().last, Some(1));
        assert_eq!(read(&words(&COMMAND, "-n -1").unwrap()).unwrap().last, None);
        assert!(read(&words(&COMMAND, "--filter foo").unwrap()).is_err());
    }
}
