//! What a container gets when nobody asks: data only. Docker's defaults, so that images made
//! for it run, and nothing beyond.

pub mod capabilities;
pub mod devices;
pub mod paths;
pub mod seccomp;
