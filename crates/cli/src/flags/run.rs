//! `brig run`.
//! The table that parser and help read, and the flags as typed values for `command/run.rs`.

use super::container::{self, Container};
use super::{Command, Example, Flag, Misuse, Parsed, Positional, limits, shared};

/// The command.
pub static COMMAND: Command = Command {
    name: "run",
    usage: &["[OPTIONS] IMAGE [COMMAND] [ARG...]"],
    about: "Make a container from an image and start it",
    details: "",
    aliases: &["container run"],
    flags: &[
        &shared::PROCESS,
        &limits::FLAGS,
        &container::FLAGS,
        &[
            Flag::switch("detach", "Leave the container running and print its ID").short('d'),
            shared::DETACH_KEYS,
            shared::SIG_PROXY,
        ],
    ],
    absent: container::ABSENT,
    positional: Positional::at_least(1),
    flags_first: true,
    examples: &[
        Example {
            about: "See what a container looks like from inside",
            line: "brig run --rm --memory 100m --cpus 0.2 hello",
        },
        Example {
            about: "A shell in Debian, with this directory at /src",
            line: "brig run --rm -it -v .:/src -w /src debian bash",
        },
        Example {
            about: "A web server in the background, on the host's network",
            line: "brig run -d --name web --network host --restart unless-stopped nginx",
        },
    ],
};

/// What `run` was asked for.
pub struct Run {
    pub container: Container,
    pub detach: bool,
    pub detach_keys: Vec<u8>,
    pub sig_proxy: bool,
}

/// Reads the flags.
pub fn read(parsed: &Parsed) -> Result<Run, Misuse> {
    let run = Run {
        container: container::read(parsed)?,
        detach: parsed.on("detach"),
        detach_keys: shared::detach_keys(parsed)?,
        sig_proxy: parsed.switch("sig-proxy").unwrap_or(true),
    };
    if run.detach && !run.container.attach.is_empty() {
        return Err(parsed.refusal("conflicting options: cannot specify both --attach and --detach"));
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn streams_and_detaching() {
        let run = read(&words(&COMMAND, "-d --sig-proxy=false --detach-keys ctrl-a img").unwrap()).unwrap();
        assert!(run.detach && !run.sig_proxy);
        assert_eq!(run.detach_keys, [1]);
        assert!(read(&words(&COMMAND, "-d -a stdout img").unwrap()).is_err());
        assert_eq!(read(&words(&COMMAND, "-a stdout img").unwrap()).unwrap().container.attach, ["STDOUT"]);
    }
}
