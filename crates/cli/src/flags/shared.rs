//! Flags that several commands share, word for word.
//! Their parsers stand next to them; what a flag means for one command only is in that command's file.

use super::{Flag, Parsed};
use kernel::signal::Signal;

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

/// `--tls-verify`.
pub const TLS_VERIFY: Flag =
    Flag::switch("tls-verify", "Require HTTPS and a valid certificate from the registry; BRIG_INSECURE_REGISTRIES (HOST[:PORT], separated by commas) names registries that need neither").default("true");

/// `-t` of stop and restart.
pub const STOP_TIMEOUT: Flag =
    Flag::value("timeout", "int", "Seconds to wait before the kill (-1: for ever)").short('t');

/// The older long name of `STOP_TIMEOUT`.
pub const STOP_TIME: Flag = Flag::value("time", "int", "The same as --timeout");

/// `-s`.
pub const SIGNAL: Flag = Flag::value("signal", "string", "Name or number of the signal to send").short('s');

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

/// Seconds of `--timeout` or its older name.
pub fn stop_timeout(parsed: &Parsed) -> Result<Option<i64>, super::Misuse> {
    let seconds = parsed.one("timeout", super::value::number::signed)?;
    Ok(seconds.or(parsed.one("time", super::value::number::signed)?))
}
