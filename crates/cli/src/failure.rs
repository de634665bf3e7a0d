//! Why a command did not succeed, and what `main.rs` prints and returns for it.
//! Exit codes are decided here and nowhere else: docker's, where docker has one.

use crate::flags::Misuse;

/// What a command gives back: the process's exit code, or why it failed.
pub type Outcome = Result<u8, Failure>;

/// Docker's exit code for "the engine failed before the container's command ran".
pub const ENGINE_FAILED: u8 = 125;

/// What a shell sees of a program that SIGPIPE has ended.
const READER_GONE: u8 = 128 + 13;

/// A failure, not yet printed unless it says so.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Misuse(Misuse),
    /// The engine refused or failed.
    Engine(engine::Error),
    /// A text and an exit code.
    Message(String, u8),
    /// Everything has been said.
    Told(u8),
}

impl Failure {
    /// A failure with exit code 1.
    pub fn message(text: impl Into<String>) -> Failure {
        Failure::Message(text.into(), 1)
    }

    /// A template of `inspect` that cannot be parsed; docker exits with 64, unlike for those of lists.
    pub fn template(text: impl Into<String>) -> Failure {
        Failure::Message(text.into(), 64)
    }

    /// An error of the system about a file that the user named.
    pub fn file(action: &str, path: &str, error: &std::io::Error) -> Failure {
        Failure::message(format!("{action} {path}: {}", plain(error)))
    }

    /// Standard output did not take what was written. A reader that has gone away ends the command as SIGPIPE would,
    /// without a word.
    pub fn output(error: &std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::reader_gone(),
            _ => Failure::file("write to", "standard output", error),
        }
    }

    /// Whoever read our output has gone.
    pub fn reader_gone() -> Failure {
        Failure::Told(READER_GONE)
    }

    /// One line for the user.
    pub fn text(&self) -> String {
        match self {
            Failure::Misuse(misuse) => misuse.message.clone(),
            Failure::Engine(error) => error.to_string(),
            Failure::Message(text, _) => text.clone(),
            Failure::Told(_) => String::new(),
        }
    }

    /// For commands that start a container: everything that is not about its command is the engine's fault.
    pub fn before_start(self) -> Failure {
        match self {
            Failure::Engine(error @ (engine::Error::CommandNotFound(_) | engine::Error::CommandNotExecutable(_))) => {
                Failure::Engine(error)
            }
            Failure::Engine(error) => Failure::Message(error.to_string(), ENGINE_FAILED),
            Failure::Message(text, 1) => Failure::Message(text, ENGINE_FAILED),
            other => other,
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Misuse(misuse) => misuse.exit_code(),
            Failure::Engine(engine::Error::CommandNotFound(_)) => 127,
            Failure::Engine(engine::Error::CommandNotExecutable(_)) => 126,
            Failure::Engine(_) => 1,
            Failure::Message(_, code) | Failure::Told(code) => *code,
        }
    }
}

/// An error of the system without Rust's `(os error N)`.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Failure {
        Failure::Misuse(misuse)
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Failure {
        Failure::Engine(error)
    }
}

impl From<image::Error> for Failure {
    fn from(error: image::Error) -> Failure {
        Failure::Engine(error.into())
    }
}

impl From<kernel::Error> for Failure {
    fn from(error: kernel::Error) -> Failure {
        Failure::Engine(error.into())
    }
}
