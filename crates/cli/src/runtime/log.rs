//! What `brig runtime` says beside its output, in the forms that engines read from runc: `text` with `key=value` pairs
//! or a JSON object per line, on standard error or in the file of `--log`.

use crate::output::quote;
use serde_json::json;
use spec::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug)]
pub struct Log {
    /// `None`: standard error.
    file: Option<File>,
    format: Format,
    debug: bool,
}

impl Log {
    /// On standard error, until the command line is read.
    pub const fn plain() -> Log {
        Log { file: None, format: Format::Text, debug: false }
    }

    pub fn open(path: &str, format: Format, debug: bool) -> std::io::Result<Log> {
        let file = match path {
            "" | "/dev/stderr" => None,
            path => Some(OpenOptions::new().append(true).create(true).open(path)?),
        };
        Ok(Log { file, format, debug })
    }

    /// A failure. Whoever has the log elsewhere is told on standard error, too.
    pub fn error(&self, message: &str) {
        self.line("error", message);
        if self.file.is_some() {
            // Nobody is left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    pub fn warning(&self, message: &str) {
        self.line("warning", message);
    }

    pub fn debug(&self, message: &str) {
        if self.debug {
            self.line("debug", message);
        }
    }

    fn line(&self, level: &str, message: &str) {
        let time = Timestamp::from_seconds(Timestamp::now().seconds());
        let line = match self.format {
            Format::Text => format!("time=\"{time}\" level={level} msg={}\n", quoted(message)),
            Format::Json => format!("{}\n", json!({"level": level, "msg": message, "time": time.to_string()})),
        };
        // One write, so that lines of several processes do not mix. A log that is full ends no container.
        let _ = match self.file.as_ref() {
            Some(mut file) => file.write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

/// In quotes unless it is one plain word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quote::quoted(text) }
}
