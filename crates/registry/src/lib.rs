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
mod blobs;
pub mod challenge;
mod client;
mod compression;
mod copy;
mod credentials;
mod document;
mod download;
mod error;
mod failure;
mod gzip;
mod host;
mod hosts;
mod layers;
mod login;
mod manifest;
mod origins;
mod pages;
pub mod policy;
mod progress;
mod pull;
mod push;
mod referrers;
mod retry;
mod roots;
mod scope;
mod search;
mod session;
mod signed;
mod site;
mod tags;
mod tokens;
mod transport;
mod upload;
mod workers;

pub use blobs::{blob_get, blob_put};
pub use compression::Compression;
pub use copy::{CopyOptions, CopyProgress, CopyStep, Platforms, copy};
pub use credentials::User;
pub use document::{Fetched, manifest_delete, manifest_get, manifest_head, manifest_put};
pub use download::{Download, download, is_url};
pub use error::Error;
pub use hosts::Sources;
pub use login::{LoggedIn, login, login_again, logout, logout_all, stored_user};
pub use policy::{Verified, verify};
pub use progress::{Progress, Step, TagsProgress};
pub use pull::{PullOptions, Pulled, pull, pull_all_tags};
pub use push::{PushOptions, PushProgress, PushStep, Pushed, push, push_all_tags};
pub use referrers::referrers;
pub use search::{Found, SearchOptions, search};
pub use session::{Access, Session};
pub use signed::{Signed, signed};
pub use tags::{repositories, tags};
pub use upload::Source;
