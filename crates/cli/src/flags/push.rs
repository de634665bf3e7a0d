//! `brig push`.
//! The table that parser and help read, and the flags as typed values for `command/push.rs`.

use super::value::number;
use super::{Command, Example, Flag, Misuse, Parsed, Positional, access};
use engine::images::{Compression, PushOptions, Reach};

/// The command.
pub static COMMAND: Command = Command {
    name: "push",
    usage: &["[OPTIONS] NAME[:TAG] [DESTINATION]"],
    about: "Send an image to a registry",
    details: "A layer that the registry has is not sent again, and the manifest goes out byte for byte as it came if none had\n\
              to be compressed anew.",
    aliases: &["image push"],
    flags: &[
        &access::ACCESS,
        &[
            Flag::switch("all-tags", "Send all tags of the repository").short('a'),
            Flag::value("compression-format", "string", "Form of layers that are compressed here (gzip|zstd|none)")
                .default("\"gzip\""),
            Flag::value("compression-level", "int", "Level of the compression (gzip: 1 to 9, zstd: 1 to 22)"),
            Flag::value("digestfile", "string", "File to write the digest of the manifest to"),
            Flag::switch("force-compression", "Compress also those layers that the registry has in another form"),
            Flag::switch("quiet", "Print no progress").short('q'),
        ],
    ],
    absent: &[
        "cert-dir",
        "compress",
        "disable-content-trust",
        "encrypt-layer",
        "encryption-key",
        "format",
        "platform",
        "remove-signatures",
        "retry",
        "retry-delay",
        "sign-by",
        "sign-by-sigstore",
        "sign-by-sigstore-private-key",
        "sign-by-sq-fingerprint",
        "sign-passphrase-file",
    ],
    positional: Positional::between(1, 2),
    flags_first: false,
    examples: &[
        Example { about: "An image to the registry of its name", line: "brig push registry.lan:5000/web:1" },
        Example { about: "Under another name", line: "brig push web:1 registry.lan:5000/team/web:1" },
        Example {
            about: "Compressed with zstd",
            line: "brig push --compression-format zstd --compression-level 9 registry.lan:5000/web",
        },
    ],
};

/// What `push` was asked for.
pub struct Push {
    pub name: String,
    pub target: Option<String>,
    pub all_tags: bool,
    pub reach: Reach,
    pub options: PushOptions,
    pub digest_file: Option<String>,
    pub quiet: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Push, Misuse> {
    let level = parsed.one("compression-level", number::signed)?;
    let format = parsed.last("compression-format");
    let compression = Compression::parse(format.unwrap_or("gzip"), level).map_err(|problem| parsed.refusal(problem))?;
    let target = parsed.arguments.get(1).map(|target| target.strip_prefix("docker://").unwrap_or(target).to_owned());
    let all_tags = parsed.on("all-tags");
    if all_tags && target.is_some() {
        return Err(parsed.refusal("--all-tags takes no destination: each tag goes where its name says"));
    }
    let options = PushOptions { force_compression: parsed.on("force-compression"), ..PushOptions::default() };
    let typed = format.is_some() || level.is_some();
    let options = if typed { PushOptions { compression, ..options } } else { options };
    Ok(Push {
        name: parsed.first(),
        target,
        all_tags,
        reach: access::read(parsed)?,
        options,
        digest_file: parsed.text("digestfile"),
        quiet: parsed.on("quiet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn compression_and_target() {
        let push = read(&words(&COMMAND, "--compression-format zstd --compression-level 9 a docker://b/c:1").unwrap());
        let push = push.unwrap();
        assert_eq!((push.options.compression, push.target.as_deref()), (Compression::Zstd(9), Some("b/c:1")));
        let bad = ["--compression-format xz a", "--compression-level 10 a", "-a a b", "--creds x a"];
        for line in bad {
            assert!(read(&words(&COMMAND, line).unwrap()).is_err(), "{line}");
        }
        assert_eq!(read(&words(&COMMAND, "a").unwrap()).unwrap().options.compression, Compression::default());
    }
}
