//! What Linux can do: one file per kernel feature, each with the call, a safe type, a probe
//! where older kernels differ, and a test. Knows no OCI, no JSON, no async. The only crate
//! with `unsafe`.

pub mod error;

pub use error::{Context, Error, Result};

// Namespaces, processes, mounts: what `runtime` needs.
pub mod capability;
pub mod clone;
pub mod cpu_list;
pub mod device;
pub mod exec;
pub mod identity;
pub mod label;
pub mod loopback;
pub mod machine;
pub mod memory_policy;
pub mod mount;
pub mod namespace;
pub mod personality;
pub mod pidfd;
pub mod pivot;
pub mod prctl;
pub mod process;
pub mod random;
pub mod rlimit;
pub mod scheduler;
pub mod self_exe;
pub mod stranger;
pub mod sysctl;
pub mod time_offsets;
pub mod uts;

// Files: what `image` needs.
pub mod beneath;
pub mod disk;
pub mod erofs;
pub mod loop_device;
pub mod overlay;
pub mod remove;
pub mod writeback;
pub mod xattr;

// Limits and filters.
pub mod bpf;
pub mod cgroup;
pub mod resctrl;
pub mod seccomp;

// Talking: what the monitor and the terminal need.
pub mod daemon;
pub mod epoll;
pub mod fifo;
pub mod inotify;
pub mod lock;
pub mod pty;
pub mod signal;
pub mod socket;
pub mod terminal;
pub mod timer;

// Networks: what `net` needs.
pub mod grace_period;
pub mod netlink;
pub mod nftables;
