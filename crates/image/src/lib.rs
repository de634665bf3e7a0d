//! Images on this machine: the store (a plain OCI image layout next to the unpacked layers),
//! everything that comes in (layers, archives, tarballs, commits) and goes out again. Offline and
//! synchronous; a registry's bytes come in through [`Ingest`].

pub mod archive;
pub mod blob;
pub mod change;
pub mod check;
pub mod commit;
pub mod compress;
mod descent;
pub mod diff;
pub mod erofs;
mod error;
pub mod export;
pub mod gc;
pub mod hello;
mod history;
pub mod import;
mod index;
pub mod ingest;
pub mod layer;
pub mod mounts;
mod pipe;
pub mod store;
pub mod tar;
pub mod unpack;
pub mod usage;
mod whiteout;

pub use error::{Error, Result};
pub use history::Step;
pub use ingest::Ingest;
pub use layer::Layer;
pub use mounts::{Registered, Stack};
pub use store::{Damaged, Image, Lease, Listing, Store};

#[cfg(test)]
mod testing;
