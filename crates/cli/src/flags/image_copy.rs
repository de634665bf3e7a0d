//! `brig image copy`.
//! The table that parser and help read, and the flags as typed values for `command/image_copy.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional, access, shared};
use engine::images::copy::{Place, Platforms};
use engine::images::{Access, Reach};

/// The command.
pub static COMMAND: Command = Command {
    name: "image copy",
    usage: &["[OPTIONS] SOURCE DESTINATION"],
    about: "Copy an image from one place to another",
    details: "Places are docker://NAME (a registry), oci:DIRECTORY[:TAG], dir:DIRECTORY, oci-archive:FILE[:NAME],\n\
              docker-archive:FILE[:NAME] and brig:NAME (the store). The store takes part only if it is one of the two; else blobs\n\
              stay as they are, byte for byte. What comes from a registry must be allowed by the image policy.",
    aliases: &[],
    flags: &[
        &[access::AUTHFILE, access::TLS_VERIFY],
        &[
            Flag::switch("all", "Copy the images for all platforms").short('a'),
            Flag::value("dest-creds", "string", "User for the registry that is copied to (NAME:PASSWORD)"),
            shared::PLATFORM,
            Flag::switch("quiet", "Print the digest and nothing else").short('q'),
            Flag::switch("referrers", "Between registries: copy signatures and what else refers to the image"),
            Flag::value("src-creds", "string", "User for the registry that is copied from (NAME:PASSWORD)"),
        ],
    ],
    absent: &[
        "additional-tag",
        "dest-compress",
        "dest-decompress",
        "digestfile",
        "format",
        "multi-arch",
        "preserve-digests",
        "sign-by",
    ],
    positional: Positional::exactly(2),
    flags_first: false,
    examples: &[
        Example {
            about: "From one registry to another, for all platforms",
            line: "brig image copy --all docker://debian:stable docker://registry.lan:5000/debian:stable",
        },
        Example { about: "Into a directory", line: "brig image copy docker://debian:stable oci:debian:stable" },
    ],
};

/// What `image copy` was asked for.
pub struct Copy {
    pub from: Place,
    pub from_reach: Reach,
    pub to: Place,
    pub to_reach: Reach,
    pub platforms: Platforms,
    pub referrers: bool,
    pub quiet: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Copy, Misuse> {
    let place = |index: usize| {
        let text = parsed.arguments.get(index).map_or("", String::as_str);
        Place::parse(text).map_err(|error| parsed.refusal(error.to_string()))
    };
    let reach = |flag: &str| -> Result<Reach, Misuse> {
        let user = parsed.meaning(flag, |text| access::user(flag, text))?;
        let reach = access::read_without_user(parsed);
        Ok(Reach { access: Access { user, ..reach.access }, ..reach })
    };
    let platform = parsed.meaning("platform", shared::platform)?;
    let platforms = match (parsed.on("all"), platform) {
        (true, Some(_)) => return Err(parsed.refusal("--all and --platform exclude each other")),
        (true, None) => Platforms::All,
        (false, platform) => Platforms::One(platform),
    };
    Ok(Copy {
        from: place(0)?,
        from_reach: reach("src-creds")?,
        to: place(1)?,
        to_reach: reach("dest-creds")?,
        platforms,
        referrers: parsed.on("referrers"),
        quiet: parsed.on("quiet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn places_and_users() {
        let copy = read(&words(&COMMAND, "-a --src-creds a:b docker://x/y oci:dir:1").unwrap()).unwrap();
        assert!(copy.platforms == Platforms::All && copy.from_reach.access.user.is_some());
        assert!(copy.to_reach.access.user.is_none());
        for bad in ["x oci:y", "oci:x sif:y", "-a --platform linux/amd64 oci:x oci:y", "--src-creds x oci:x oci:y"] {
            assert!(read(&words(&COMMAND, bad).unwrap()).is_err(), "{bad}");
        }
    }
}
