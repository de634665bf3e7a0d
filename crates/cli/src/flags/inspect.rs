//! `brig inspect`, and its forms for one kind of object: `container inspect`, `image inspect`, `volume inspect`.
//! They differ in the kinds of objects they look for; what they print is in `command/inspect.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional, shared};

/// The command for objects of any kind.
pub static COMMAND: Command = Command {
    name: "inspect",
    usage: &["[OPTIONS] NAME|ID [NAME|ID...]"],
    about: "Show all that is known of containers, images and volumes",
    details: "",
    aliases: &[],
    flags: &[&[shared::INSPECT_FORMAT, SIZE, TYPE]],
    absent: &[],
    positional: Positional::at_least(1),
    flags_first: false,
    examples: &[
        Example { about: "Everything about a container", line: "brig inspect web" },
        Example { about: "One thing", line: "brig inspect -f '{{.State.Pid}}' web" },
    ],
};

/// The command for containers.
pub static CONTAINER: Command = Command {
    name: "container inspect",
    usage: &["[OPTIONS] CONTAINER [CONTAINER...]"],
    about: "Show all that is known of containers",
    flags: &[&[shared::INSPECT_FORMAT, SIZE]],
    examples: &[Example { about: "Where its log is", line: "brig container inspect -f '{{.LogPath}}' web" }],
    ..COMMAND
};

/// The command for images.
pub static IMAGE: Command = Command {
    name: "image inspect",
    usage: &["[OPTIONS] IMAGE [IMAGE...]"],
    about: "Show all that is known of images",
    flags: &[&[shared::INSPECT_FORMAT]],
    examples: &[Example { about: "What it runs", line: "brig image inspect -f '{{json .Config.Cmd}}' debian" }],
    ..COMMAND
};

/// The command for volumes.
pub static VOLUME: Command = Command {
    name: "volume inspect",
    usage: &["[OPTIONS] VOLUME [VOLUME...]"],
    about: "Show all that is known of volumes",
    flags: &[&[shared::INSPECT_FORMAT]],
    examples: &[Example { about: "Where its files are", line: "brig volume inspect -f '{{.Mountpoint}}' data" }],
    ..COMMAND
};

/// The command for networks.
pub static NETWORK: Command = Command {
    name: "network inspect",
    usage: &["[OPTIONS] NETWORK [NETWORK...]"],
    about: "Show all that is known of networks",
    flags: &[&[shared::INSPECT_FORMAT, Flag::switch("verbose", "Accepted for docker's sake").short('v')]],
    examples: &[Example { about: "Who is on it", line: "brig network inspect -f '{{.Containers}}' web" }],
    ..COMMAND
};

const SIZE: Flag = Flag::switch("size", "Add the sizes of a container's files").short('s');
const TYPE: Flag = Flag::value("type", "string", "Look among this type alone (container|image|network|volume)");

/// Kinds of objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Container,
    Image,
    Network,
    Volume,
}

/// What `inspect` was asked for.
pub struct Inspect {
    pub names: Vec<String>,
    pub format: Option<String>,
    pub size: bool,
    /// Only objects of this kind.
    pub kind: Option<Kind>,
}

/// Reads the flags of `inspect`.
pub fn read(parsed: Parsed) -> Result<Inspect, Misuse> {
    let kind = parsed.meaning("type", kind)?.flatten();
    let size = parsed.on("size");
    Ok(Inspect { kind, size, ..read_kind(parsed, None) })
}

/// Reads the flags of `container inspect`.
pub fn read_container(parsed: Parsed) -> Inspect {
    let size = parsed.on("size");
    Inspect { size, ..read_kind(parsed, Some(Kind::Container)) }
}

/// Reads the flags of `image inspect` and `volume inspect`.
pub fn read_kind(parsed: Parsed, kind: Option<Kind>) -> Inspect {
    Inspect { format: parsed.text("format"), size: false, kind, names: parsed.arguments }
}

fn kind(text: &str) -> Result<Option<Kind>, String> {
    match text {
        "" => Ok(None),
        "container" => Ok(Some(Kind::Container)),
        "image" => Ok(Some(Kind::Image)),
        "network" => Ok(Some(Kind::Network)),
        "volume" => Ok(Some(Kind::Volume)),
        _ => Err(format!("unknown type: {text:?}: must be one of \"container\", \"image\", \"network\", \"volume\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn kinds_and_format() {
        let inspect = read(words(&COMMAND, "-sf {{.Id}} --type image a b").unwrap()).unwrap();
        assert_eq!((inspect.kind, inspect.format.as_deref()), (Some(Kind::Image), Some("{{.Id}}")));
        assert!(inspect.size && inspect.names.len() == 2);
        assert!(read(words(&COMMAND, "--type foo a").unwrap()).is_err());
        assert!(words(&VOLUME, "-s a").is_err());
    }
}
