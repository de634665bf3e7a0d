//! `brig images`.
//! The table that parser and help read, and the flags as typed values for `command/images.rs`.

use super::shared;
use super::value::pair;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "images",
    usage: &["[OPTIONS] [REPOSITORY[:TAG]]"],
    about: "Show the images stored here",
    details: "",
    aliases: &["image ls", "image list"],
    flags: &[&[
        Flag::switch("all", "Changes nothing: brig keeps no intermediate images to hide").short('a'),
        Flag::switch("digests", "Add a column with digests"),
        shared::LIST_FILTER,
        shared::LIST_FORMAT,
        shared::NO_TRUNC,
        Flag::switch("quiet", "Print the IDs and nothing else").short('q'),
    ]],
    absent: &["tree"],
    positional: Positional::between(0, 1),
    flags_first: false,
    examples: &[Example { about: "Images without a name", line: "brig images --filter dangling=true" }],
};

/// What `images` was asked for.
pub struct Images {
    pub repository: Option<String>,
    pub digests: bool,
    pub filters: Vec<String>,
    pub format: Option<String>,
    pub no_trunc: bool,
    pub quiet: bool,
}

/// Reads the flags. `--all` has nothing to add: there are no intermediate images.
pub fn read(parsed: &Parsed) -> Result<Images, Misuse> {
    Ok(Images {
        repository: parsed.arguments.first().cloned(),
        digests: parsed.on("digests"),
        filters: parsed.each("filter", pair::filter)?,
        format: parsed.text("format"),
        no_trunc: parsed.on("no-trunc"),
        quiet: parsed.on("quiet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn repository_and_filters() {
        let images = read(&words(&COMMAND, "-aq --filter dangling=true debian").unwrap()).unwrap();
        assert_eq!((images.repository.as_deref(), images.filters.len()), (Some("debian"), 1));
        assert!(words(&COMMAND, "a b").is_err());
    }
}
