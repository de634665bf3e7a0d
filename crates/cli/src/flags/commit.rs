//! `brig commit`.
//! The table that parser and help read, and the flags as typed values for `command/commit.rs`.

use super::shared;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};
use engine::commit::CommitOptions;

/// The command.
pub static COMMAND: Command = Command {
    name: "commit",
    usage: &["[OPTIONS] CONTAINER [REPOSITORY[:TAG]]"],
    about: "Make an image of a container's present files",
    details: "",
    aliases: &["container commit"],
    flags: &[
        &shared::NEW_IMAGE,
        &[
            Flag::value("author", "string", "Who made the image (e.g. \"Ann Lee <ann@example.org>\")").short('a'),
            Flag::switch("pause", "Freeze the container while its files are read").short('p').default("true"),
        ],
    ],
    absent: &[],
    positional: Positional::between(1, 2),
    flags_first: false,
    examples: &[Example {
        about: "Keep a container's files as an image that starts a shell",
        line: "brig commit -c 'CMD [\"sh\"]' web web:debug",
    }],
};

/// What `commit` was asked for.
pub struct Commit {
    pub container: String,
    pub options: CommitOptions,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Commit, Misuse> {
    let text = |flag| parsed.last(flag).unwrap_or_default().to_owned();
    let options = CommitOptions {
        repo: shared::new_name(parsed)?,
        author: text("author"),
        message: text("message"),
        changes: parsed.list("change"),
        pause: parsed.switch("pause").unwrap_or(true),
    };
    Ok(Commit { container: parsed.first(), options })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn name_and_changes() {
        let commit = read(&words(&COMMAND, "-p=false -c CMD=x -m hi web new:1").unwrap()).unwrap();
        assert!(!commit.options.pause);
        assert_eq!(commit.options.repo.map(|repo| repo.familiar()), Some("new:1".to_owned()));
        assert_eq!((commit.container.as_str(), commit.options.changes.len()), ("web", 1));
        assert!(read(&words(&COMMAND, "web BAD").unwrap()).is_err());
    }
}
