//! Flags that several commands share, word for word.
//! Their parsers stand next to them; what a flag means for one command only is in that command's file.

use super::{Flag, Parsed};
use kernel::signal::Signal;
use spec::Reference;

/// `--format` of lists.
pub const LIST_FORMAT: Flag = Flag::value(
    "format",
    "string",
    "How to print:\n\
     'table':            Columns below a line of headings (default)\n\
     'table TEMPLATE':   Such a table with the Go template's columns\n\
     'json':             JSON\n\
     'TEMPLATE':         What the Go template gives",
);

/// `-f` of inspect commands.
pub const INSPECT_FORMAT: Flag = Flag::value(
    "format",
    "string",
    "How to print:\n\
     'json':             JSON\n\
     'TEMPLATE':         What the Go template gives",
)
.short('f');

/// `--no-trunc`.
pub const NO_TRUNC: Flag = Flag::switch("no-trunc", "Print long values in full");

/// `--detach-keys`.
pub const DETACH_KEYS: Flag = Flag::value("detach-keys", "string", "Keys that leave the container while it runs on");

/// `--platform`.
pub const PLATFORM: Flag = Flag::value(
    "platform",
    "string",
    "Choose the platform where there are several (os[/arch[/variant]], e.g. \"linux/arm64\")",
);

/// `-f` of lists.
pub const LIST_FILTER: Flag = Flag::value("filter", "filter", "List only those that match (KEY=VALUE)").short('f');

/// `--filter` and `--force` of the prunes.
pub const PRUNE: [Flag; 2] = [
    Flag::value("filter", "filter", "Take only those that match (e.g. \"label=<label>\")"),
    Flag::switch("force", "Go ahead without asking").short('f'),
];

/// `--sig-proxy` of everything that attaches.
pub const SIG_PROXY: Flag = Flag::switch("sig-proxy", "Pass signals on to the container").default("true");

/// What `run`, `create` and `exec` say alike about a process.
pub const PROCESS: [Flag; 6] = [
    Flag::value("env", "list", "Environment variable for the process").short('e'),
    Flag::value("env-file", "list", "File with one environment variable a line"),
    Flag::switch("interactive", "Leave STDIN open, whether connected or not").short('i'),
    Flag::switch("tty", "Give the process a terminal").short('t'),
    Flag::value("user", "string", "User to run as: <name|uid>[:<group|gid>]").short('u'),
    Flag::value("workdir", "string", "Directory to start in").short('w'),
];

/// `--restart`.
pub const RESTART: Flag = Flag::value("restart", "string", "When to start again after the process has ended");

/// `--change` and `--message` of what makes an image.
pub const NEW_IMAGE: [Flag; 2] = [
    Flag::value("change", "list", "Dockerfile line that alters the new image's settings").short('c'),
    Flag::value("message", "string", "Comment to keep in the image's history").short('m'),
];

/// `-o` of what writes an archive.
pub const OUTPUT: Flag = Flag::value("output", "string", "File to write, in place of STDOUT").short('o');

/// `-s`.
pub const SIGNAL: Flag = Flag::value("signal", "string", "Name or number of the signal to send").short('s');

/// The name for a new image, the second argument of `commit` and `import`; `None` where it is left out.
pub fn new_name(parsed: &Parsed) -> Result<Option<Reference>, super::Misuse> {
    let Some(text) = parsed.arguments.get(1).filter(|name| !name.is_empty()) else { return Ok(None) };
    let name = Reference::parse(text).map_err(|error| parsed.refusal(error.to_string()))?;
    match name.digest() {
        Some(_) => Err(parsed.refusal(format!("cannot give an image the name {text}: it has a digest; give a tag"))),
        None => Ok(Some(name)),
    }
}

/// A platform such as `linux/arm64`.
pub fn platform(text: &str) -> Result<spec::Platform, String> {
    spec::Platform::parse(text).map_err(|error| error.to_string())
}

/// A signal's name or number.
pub fn signal(text: &str) -> Result<Signal, String> {
    Signal::parse(text).ok_or_else(|| format!("invalid signal: {text}"))
}

/// `--detach-keys`, docker's sequence when it was not typed.
pub fn detach_keys(parsed: &Parsed) -> Result<Vec<u8>, super::Misuse> {
    let typed = parsed
        .meaning("detach-keys", |text| engine::attach::parse_detach_keys(text).map_err(|error| error.to_string()))?;
    Ok(typed.unwrap_or_else(|| vec![16, 17]))
}
