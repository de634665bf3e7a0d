//! `brig system df` and `prune`.
//! What they do is in `command/system.rs`.

use super::value::pair;
use super::{Command, Example, Flag, Misuse, Parsed, Positional, shared};

/// `system df`.
pub static DF: Command = Command {
    name: "system df",
    usage: &["[OPTIONS]"],
    about: "Show what images, containers and volumes take on the disk",
    details: "",
    aliases: &[],
    flags: &[&[shared::LIST_FORMAT, Flag::switch("verbose", "Show each image, container and volume").short('v')]],
    absent: &[],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[Example { about: "What takes the most", line: "brig system df -v" }],
};

/// `system prune`.
pub static PRUNE: Command = Command {
    name: "system prune",
    usage: &["[OPTIONS]"],
    about: "Clear away what nothing uses",
    flags: &[
        &shared::PRUNE,
        &[
            Flag::switch("all", "Include images that have a name, if no container has them").short('a'),
            Flag::switch("volumes", "Include volumes without a name"),
        ],
    ],
    absent: &["build", "external"],
    examples: &[Example {
        about: "Everything that has been idle for a day",
        line: "brig system prune -af --filter until=24h",
    }],
    ..DF
};

/// What `system df` was asked for.
pub struct Df {
    pub format: Option<String>,
    pub verbose: bool,
}

/// Reads the flags of `system df`.
pub fn read_df(parsed: &Parsed) -> Df {
    Df { format: parsed.text("format"), verbose: parsed.on("verbose") }
}

/// What `system prune` was asked for.
pub struct Prune {
    pub all: bool,
    pub volumes: bool,
    pub filters: Vec<String>,
    pub force: bool,
}

/// Reads the flags of `system prune`.
pub fn read_prune(parsed: &Parsed) -> Result<Prune, Misuse> {
    Ok(Prune {
        all: parsed.on("all"),
        volumes: parsed.on("volumes"),
        filters: parsed.each("filter", pair::filter)?,
        force: parsed.on("force"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn both() {
        assert!(read_df(&words(&DF, "-v").unwrap()).verbose);
        let prune = read_prune(&words(&PRUNE, "-af --volumes --filter until=1h").unwrap()).unwrap();
        assert!(prune.all && prune.force && prune.volumes && prune.filters == ["until=1h"]);
    }
}
