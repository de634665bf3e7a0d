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
        Flag::switch("all", "With --tree: images without a name as well; else it changes nothing").short('a'),
        Flag::switch("digests", "Add a column with digests"),
        shared::LIST_FILTER,
        shared::LIST_FORMAT,
        shared::NO_TRUNC,
        Flag::switch("quiet", "Print the IDs and nothing else").short('q'),
        Flag::switch("tree", "Show each image with its platform below it, and which are in use"),
    ]],
    absent: &[],
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
    pub tree: bool,
    /// With `tree`: images without a name as well.
    pub all: bool,
}

/// Reads the flags. Without `--tree` `--all` has nothing to add: there are no intermediate images.
pub fn read(parsed: &Parsed) -> Result<Images, Misuse> {
    let tree = parsed.on("tree");
    let others = ["digests", "quiet", "no-trunc"].into_iter().filter(|flag| parsed.on(flag));
    if let Some(flag) = others.chain(parsed.last("format").map(|_| "format")).next().filter(|_| tree) {
        return Err(parsed.refusal(format!("--{flag} is not yet supported with --tree")));
    }
    Ok(Images {
        repository: parsed.arguments.first().cloned(),
        digests: parsed.on("digests"),
        filters: parsed.each("filter", pair::filter)?,
        format: parsed.text("format"),
        no_trunc: parsed.on("no-trunc"),
        quiet: parsed.on("quiet"),
        tree,
        all: parsed.on("all"),
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
        assert!(read(&words(&COMMAND, "--tree -a").unwrap()).unwrap().tree);
        for bad in ["--tree -q", "--tree --digests", "--tree --no-trunc", "--tree --format json"] {
            assert!(read(&words(&COMMAND, bad).unwrap()).is_err(), "{bad}");
        }
    }
}
