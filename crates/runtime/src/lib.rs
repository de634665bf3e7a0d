//! The OCI runtime as a library: from a specification to a process. `create` brings a container's first
//! process up to its execve, `start` lets it go, `exec` puts another process beside it, `kill` ends it.
//! One file per moment; the child's side of them is `init.rs` and `process.rs`, and how both sides talk is
//! `sync.rs`. Keeps no state on disk, prints nothing, and starts no threads; callers must have one thread only.

pub mod bundle;
pub mod cgroup;
pub mod create;
pub mod error;
pub mod exec;
pub mod hooks;
pub mod kill;
pub mod seccomp;
pub mod start;
pub mod systemd;

mod attributes;
mod copy_up;
mod init;
mod listener;
mod masks;
mod mount_options;
mod mount_plan;
mod mounts;
mod namespaces;
mod prepare;
mod process;
mod program;
mod reaper;
mod rootfs;
mod shown_root;
mod spawn;
mod sync;

pub use bundle::{Bundle, Keyring, RootChange};
pub use create::{Create, Created, Group, Rootfs, Stdio, create, create_and_connect, enters_cgroup_late};
pub use error::{Error, ExecError, ExecErrorKind, Result};
pub use exec::{Exec, exec};
pub use kill::kill;
pub use mount_options::sift_bind;
pub use start::Running;
