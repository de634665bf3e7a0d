//! Containers from bundles, as engines ask an OCI runtime for them: what `brig runtime` does, with its state on disk and
//! nothing printed. One file per operation of the specification (runtime.md) and of runc's command line beyond it.
//! Knows no images, no names and no monitor; whoever calls it is the parent of the container's first process.

pub mod capabilities;
pub mod checkpoint;
pub mod container;
pub mod create;
pub mod delete;
pub mod environment;
pub mod error;
pub mod events;
pub mod exec;
pub mod features;
pub mod kill;
pub mod notify;
pub mod pause;
pub mod rdt;
pub mod restore;
pub mod root;
pub mod start;
pub mod starter;
pub mod template;
pub mod unavailable;
pub mod update;

mod criu;
mod protobuf;

pub use container::{Container, Record, Status};
pub use error::{Error, Result};
pub use root::{Cgroups, Driver, Root};
