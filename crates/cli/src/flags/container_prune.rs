//! `brig container prune`.
//! The table that parser and help read, and the flags as typed values for `command/prune.rs`.

use super::shared;
use super::value::pair;
use super::{Command, Example, Misuse, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "container prune",
    usage: &["[OPTIONS]"],
    about: "Clear away stopped containers",
    details: "",
    aliases: &[],
    flags: &[&shared::PRUNE],
    absent: &[],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[Example { about: "Remove what has ended", line: "brig container prune -f" }],
};

/// What `container prune` was asked for.
pub struct Prune {
    pub filters: Vec<String>,
    pub force: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Prune, Misuse> {
    Ok(Prune { filters: parsed.each("filter", pair::filter)?, force: parsed.on("force") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn force_and_filter() {
        let prune = read(&words(&COMMAND, "-f --filter label=x").unwrap()).unwrap();
        assert!(prune.force && prune.filters == ["label=x"]);
    }
}
