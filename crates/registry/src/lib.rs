//! Images elsewhere: a client of the distribution specification, over blocking HTTP and TLS that
//! are confined to this crate. It may start threads: no container start passes through here.
//!
//! ```text
//! pull ── manifest ──┐
//!      └─ layers ── blob ── client ── auth ── transport ── (ureq, rustls)
//! ```

mod answer;
mod auth;
mod blob;
mod challenge;
mod client;
mod credentials;
mod error;
mod host;
mod layers;
mod manifest;
mod progress;
mod pull;
mod retry;
mod roots;
mod transport;

pub use error::Error;
pub use progress::{Progress, Step};
pub use pull::{PullOptions, Pulled, pull};
