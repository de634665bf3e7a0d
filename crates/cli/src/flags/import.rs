//! `brig import`.
//! The table that parser and help read, and the flags as typed values for `command/import.rs`.

use super::shared;
use super::{Command, Example, Misuse, Parsed, Positional};
use spec::Reference;

/// The command.
pub static COMMAND: Command = Command {
    name: "import",
    usage: &["[OPTIONS] file|URL|- [REPOSITORY[:TAG]]"],
    about: "Make an image of the files in a tarball",
    details: "A URL is fetched with the certificates and other settings for its host (see docs/registries.md).",
    aliases: &["image import"],
    flags: &[&shared::NEW_IMAGE, &[shared::PLATFORM]],
    absent: &[],
    positional: Positional::between(1, 2),
    flags_first: false,
    examples: &[
        Example {
            about: "A root file system as an image",
            line: "tar -C rootfs -c . | brig import -c 'CMD [\"sh\"]' - mine:1",
        },
        Example { about: "One from a web server", line: "brig import https://files.lan/rootfs.tar.gz mine:2" },
    ],
};

/// What `import` was asked for.
pub struct Import {
    /// A file, an http or https URL, or `-`.
    pub source: String,
    pub name: Option<Reference>,
    pub changes: Vec<String>,
    pub message: Option<String>,
    pub platform: Option<spec::Platform>,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Import, Misuse> {
    Ok(Import {
        source: parsed.first(),
        name: shared::new_name(parsed)?,
        changes: parsed.list("change"),
        message: parsed.last("message").map(str::to_owned),
        platform: parsed.meaning("platform", shared::platform)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn source_and_name() {
        let import = read(&words(&COMMAND, "-m hi - a:1").unwrap()).unwrap();
        assert_eq!((import.source.as_str(), import.message.as_deref()), ("-", Some("hi")));
        assert!(import.name.is_some());
        assert!(read(&words(&COMMAND, "- A").unwrap()).is_err());
    }
}
