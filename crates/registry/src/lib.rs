//! Images elsewhere: a client of the distribution specification, over blocking HTTP and TLS that
//! are confined to this crate. It may start threads: no container start passes through here.
//!
//! ```text
//! pull ── manifest ──┐
//!      └─ layers ── blob ── client ── site ── auth ── transport ── (ureq, rustls)
//!                             │        └─ credentials
//!                             └─ hosts (which machines, and how far each is trusted)
//! ```

mod agents;
mod answer;
mod auth;
mod blob;
mod challenge;
mod client;
mod credentials;
mod document;
mod error;
mod failure;
mod host;
mod hosts;
mod layers;
mod login;
mod manifest;
mod pages;
mod progress;
mod pull;
mod referrers;
mod retry;
mod roots;
mod scope;
mod search;
mod session;
mod site;
mod tags;
mod tokens;
mod transport;

pub use credentials::User;
pub use document::{Fetched, manifest_delete, manifest_get, manifest_head, manifest_put};
pub use error::Error;
pub use hosts::Sources;
pub use login::{LoggedIn, login, logout, logout_all, stored_user};
pub use progress::{Progress, Step};
pub use pull::{PullOptions, Pulled, pull};
pub use referrers::referrers;
pub use search::{Found, SearchOptions, search};
pub use session::{Access, Session};
pub use tags::{repositories, tags};
