//! `brig save`.
//! The table that parser and help read, and the flags as typed values for `command/save.rs`.

use super::shared;
use super::{Command, Example, Flag, Misuse, Parsed, Positional};
use image::archive::Format;

/// The command.
pub static COMMAND: Command = Command {
    name: "save",
    usage: &["[OPTIONS] IMAGE [IMAGE...]"],
    about: "Write images into a tar archive (to STDOUT unless -o is given)",
    details: "",
    aliases: &["image save"],
    flags: &[&[
        Flag::value("format", "string", "Kind of archive (docker-archive|oci-archive)").default("\"docker-archive\""),
        shared::OUTPUT,
        Flag::value(
            "platform",
            "string",
            "Save only what is for this platform (os[/arch[/variant]], e.g. \"linux/arm64\")",
        ),
    ]],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[
        Example { about: "An image as one file", line: "brig save -o debian.tar debian" },
        Example { about: "As an OCI image layout", line: "brig save --format oci-archive -o debian.tar debian" },
    ],
};

/// What `save` was asked for.
pub struct Save {
    pub images: Vec<String>,
    pub format: Format,
    pub output: Option<String>,
    pub platform: Option<spec::Platform>,
}

/// Reads the flags.
pub fn read(parsed: Parsed) -> Result<Save, Misuse> {
    let format = parsed.one("format", |text| match text {
        "docker-archive" => Ok(Format::Docker),
        "oci-archive" => Ok(Format::Oci),
        _ => Err("use docker-archive or oci-archive".to_owned()),
    })?;
    Ok(Save {
        format: format.unwrap_or(Format::Docker),
        output: parsed.text("output"),
        platform: parsed.meaning("platform", shared::platform)?,
        images: parsed.arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn archives() {
        assert_eq!(read(words(&COMMAND, "a").unwrap()).unwrap().format, Format::Docker);
        assert_eq!(read(words(&COMMAND, "--format oci-archive a").unwrap()).unwrap().format, Format::Oci);
        assert!(read(words(&COMMAND, "--format zip a").unwrap()).is_err());
        assert!(read(words(&COMMAND, "--platform linux/arm64 a").unwrap()).unwrap().platform.is_some());
        assert!(read(words(&COMMAND, "--platform linux/amd64,linux/arm64 a").unwrap()).is_err());
    }
}
