//! `brig load`.
//! The table that parser and help read, and the flags as typed values for `command/load.rs`.

use super::shared;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "load",
    usage: &["[OPTIONS]"],
    about: "Read images from a tar archive",
    details: "",
    aliases: &["image load"],
    flags: &[&[
        Flag::value("input", "string", "Archive to read, in place of STDIN").short('i'),
        shared::PLATFORM,
        Flag::switch("quiet", "Changes nothing: no progress is shown anyway").short('q'),
    ]],
    absent: &[],
    positional: Positional::NONE,
    flags_first: false,
    examples: &[Example {
        about: "Images that docker save, podman save or skopeo wrote",
        line: "brig load -i debian.tar",
    }],
};

/// What `load` was asked for.
pub struct Load {
    pub input: Option<String>,
    pub platform: Option<spec::Platform>,
}

/// Reads the flags. There is no progress that `--quiet` could suppress; docker prints the names with it, too.
pub fn read(parsed: &Parsed) -> Result<Load, Misuse> {
    Ok(Load { input: parsed.text("input"), platform: parsed.meaning("platform", shared::platform)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn input() {
        assert_eq!(read(&words(&COMMAND, "-qi x.tar").unwrap()).unwrap().input.as_deref(), Some("x.tar"));
    }
}
