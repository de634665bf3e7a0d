//! `brig cp`.
//! The table that parser and help read, and the flags as typed values for `command/cp.rs`.

use super::{Command, Example, Flag, Misuse, Parsed, Positional};

/// The command.
pub static COMMAND: Command = Command {
    name: "cp",
    usage: &["[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-", "[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"],
    about: "Copy files into a container or out of it",
    details: "With '-' as the source, a tar archive comes from stdin and
is unpacked into a directory of the container.
With '-' as the destination, the container's files go to
stdout as a tar archive.",
    aliases: &["container cp"],
    flags: &[&[
        Flag::switch("archive", "Keep the owners (uid and gid) of files").short('a'),
        Flag::switch("follow-link", "Copy what a symbolic link at SRC_PATH points to").short('L'),
        Flag::switch("quiet", "Changes nothing: no progress is shown anyway").short('q'),
    ]],
    absent: &[],
    positional: Positional::exactly(2),
    flags_first: false,
    examples: &[
        Example { about: "A file out of a container", line: "brig cp web:/etc/nginx/nginx.conf ." },
        Example { about: "A folder into it, as a tar stream", line: "tar -c site | brig cp - web:/usr/share" },
    ],
};

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// `-`: a tar stream.
    Stream,
    Local(String),
    Container {
        name: String,
        path: String,
    },
}

/// What `cp` was asked for.
pub struct Cp {
    pub source: Place,
    pub target: Place,
    pub archive: bool,
    pub follow_link: bool,
}

/// Reads the flags. There is no progress that `--quiet` could suppress.
pub fn read(parsed: Parsed) -> Result<Cp, Misuse> {
    let (source, target) = match parsed.arguments.as_slice() {
        [source, target] if source.is_empty() || target.is_empty() => {
            return Err(parsed.refusal("source and destination can not be empty"));
        }
        [source, target] => (place(source), place(target)),
        _ => return Err(parsed.misuse("'brig cp' requires 2 arguments")),
    };
    match (&source, &target) {
        (Place::Container { .. }, Place::Container { .. }) => {
            return Err(parsed.refusal("copying between containers is not supported"));
        }
        (Place::Container { .. }, _) | (_, Place::Container { .. }) => {}
        _ => return Err(parsed.refusal("must specify at least one container source (CONTAINER:PATH)")),
    }
    Ok(Cp { source, target, archive: parsed.on("archive"), follow_link: parsed.on("follow-link") })
}

/// A path that begins with `/` or `.` is local even with a colon in it.
fn place(text: &str) -> Place {
    if text == "-" {
        return Place::Stream;
    }
    match text.split_once(':') {
        Some((name, path)) if !name.is_empty() && !name.starts_with(['/', '.']) => {
            Place::Container { name: name.to_owned(), path: path.to_owned() }
        }
        _ => Place::Local(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn ends() {
        let cp = read(words(&COMMAND, "-aL web:/x ./a:b").unwrap()).unwrap();
        assert!(cp.archive && cp.follow_link);
        assert_eq!(cp.source, Place::Container { name: "web".into(), path: "/x".into() });
        assert_eq!(cp.target, Place::Local("./a:b".into()));
        assert_eq!(read(words(&COMMAND, "- web:/x").unwrap()).unwrap().source, Place::Stream);
        for line in ["a b", "a:/x b:/x", "- -"] {
            assert!(read(words(&COMMAND, line).unwrap()).is_err(), "{line}");
        }
    }
}
