//! Containers as users know them: the one API that the command line, the Docker API, CRI and
//! compose share. Nothing here prints; every step that changes the machine is undone on error.

pub mod attach;
pub mod changes;
pub mod commit;
pub mod container;
pub mod copy;
pub mod create;
pub mod defaults;
pub mod engine;
pub mod error;
mod etc_files;
pub mod exec;
pub mod export;
mod file;
pub mod filter;
pub mod images;
pub mod lifecycle;
pub mod list;
pub mod logs;
mod monitor;
mod name_pattern;
mod names;
mod oci_runtime;
mod oci_spec;
pub mod options;
pub mod paths;
pub mod prune;
pub mod record;
mod recover;
mod resolve;
pub mod run;
pub mod seccomp;
pub mod settings;
mod skeleton;
pub mod state;
pub mod stats;
pub mod top;
mod undo;
pub mod update;
pub mod usage;
mod user;
mod validate;
pub mod volumes;

pub use container::Container;
pub use engine::Engine;
pub use error::{Error, Result};
