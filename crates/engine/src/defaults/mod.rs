//! What a container gets when nobody asks: data only. Docker's defaults, so that images made
//! for it run, and nothing beyond.

pub(crate) mod capabilities;
pub(crate) mod devices;
pub mod paths;
pub(crate) mod seccomp;
