//! `brig image prune`, `untag` and `tree`: those of the group that are no other name of a command at the top. `copy` and
//! `check` have files of their own. What they do is in `command/image.rs`.

use super::value::pair;
use super::{Command, Example, Flag, Misuse, Parsed, Positional, shared};

/// `image prune`.
pub static PRUNE: Command = Command {
    name: "image prune",
    usage: &["[OPTIONS]"],
    about: "Clear away images that nothing uses",
    details: "",
    aliases: &[],
    flags: &[
        &shared::PRUNE,
        &[Flag::switch("all", "Include images that have a name, if no container has them").short('a')],
    ],
    absent: &["build-cache", "external"],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[Example { about: "What lost its name to a newer one", line: "brig image prune -f" }],
};

/// `image untag`.
pub static UNTAG: Command = Command {
    name: "image untag",
    usage: &["IMAGE [NAME...]"],
    about: "Take names from an image, which stays",
    flags: &[],
    absent: &[],
    positional: Positional::at_least(1),
    examples: &[Example { about: "One of its names", line: "brig image untag web web:old" }],
    ..PRUNE
};

/// `image tree`.
pub static TREE: Command = Command {
    name: "image tree",
    usage: &["[OPTIONS] IMAGE"],
    about: "Show the layers of an image",
    flags: &[&[Flag::switch("whatrequires", "Show the images that were made on top of it instead")]],
    absent: &[],
    positional: Positional::exactly(1),
    examples: &[Example { about: "What was built on Debian", line: "brig image tree --whatrequires debian" }],
    ..PRUNE
};

/// What `image prune` was asked for.
pub struct Prune {
    pub all: bool,
    pub filters: Vec<String>,
    pub force: bool,
}

/// Reads the flags of `image prune`.
pub fn read_prune(parsed: &Parsed) -> Result<Prune, Misuse> {
    Ok(Prune { all: parsed.on("all"), filters: parsed.each("filter", pair::filter)?, force: parsed.on("force") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn prune() {
        let prune = read_prune(&words(&PRUNE, "-af --filter label!=keep").unwrap()).unwrap();
        assert!(prune.all && prune.force && prune.filters == ["label!=keep"]);
    }
}
