//! Time namespaces (time_namespaces(7), Linux 5.6): a new one with its clocks moved. The offsets can only be set before
//! a process is in the namespace, which clone3 does not allow, so it is made with unshare and entered afterwards.

use crate::error::{Context, Result};
use crate::namespace::{self, Kind, Set};
use std::path::Path;

/// Added to the clocks `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME`: seconds, and nanoseconds below a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offsets {
    pub monotonic: (i64, u32),
    pub boottime: (i64, u32),
}

/// Moves the calling process, which must have one thread, into a new time namespace. `/proc` must be the host's, and the
/// process must not have changed its user since it was made (proc_pid_timens_offsets(5) belongs to its maker). `ERANGE`
/// when a clock would leave its range.
pub fn enter_new(offsets: &Offsets) -> Result<()> {
    namespace::unshare(Set::NONE.with(Kind::Time))?;
    if *offsets != Offsets::default() {
        const PATH: &str = "/proc/self/timens_offsets";
        let line = |clock, (seconds, nanoseconds): (i64, u32)| format!("{clock} {seconds} {nanoseconds}\n");
        // One write: the kernel takes both clocks or none.
        let text = line("monotonic", offsets.monotonic) + &line("boottime", offsets.boottime);
        std::fs::write(PATH, text).during_at("write", PATH)?;
    }
    let new = namespace::open(Path::new("/proc/self/ns/time_for_children"))?;
    namespace::join(new, Kind::Time)
}
