//! Talking to a running container: a client connects to the container's monitor, gets its
//! output and hands on input, terminal size and signals. Used by `run`, `start -a`, `attach`,
//! and, without streams, by `wait` and `stop`.

mod client;
mod detach_keys;
pub mod frame;
mod local;
mod relay;

pub(crate) use client::connect;
pub use client::{Client, attach};
pub use detach_keys::parse as parse_detach_keys;
pub(crate) use local::{Input, Local};
pub use local::{Outcome, Relay};
pub use relay::relay;

/// The monitor's socket in the container's run folder.
pub const SOCKET: &str = "monitor.sock";

/// Which streams a client wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

impl Streams {
    pub const NONE: Streams = Streams { stdin: false, stdout: false, stderr: false };

    pub(crate) fn bits(self) -> u8 {
        u8::from(self.stdin) | u8::from(self.stdout) << 1 | u8::from(self.stderr) << 2
    }

    pub(crate) fn from_bits(bits: u8) -> Streams {
        Streams { stdin: bits & 1 != 0, stdout: bits & 2 != 0, stderr: bits & 4 != 0 }
    }
}
