//! Parsers of flag values, one file per kind. Each is a function `&str -> Result<T, String>` whose error is the end of the
//! sentence `invalid argument "…" for "--flag" flag: …`; where an engine option is meant it gives that type directly.
//! They look at the text only, except `env.rs` and `security.rs`, which read the files they are told to.

pub mod bytes;
pub mod cpus;
pub mod device;
pub mod duration;
pub mod env;
pub mod log;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod number;
pub mod pair;
pub mod publish;
pub mod restart;
pub mod security;
pub mod sysctl;
pub mod tmpfs;
pub mod ulimit;
pub mod volume;
