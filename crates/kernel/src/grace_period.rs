//! Waiting until the kernel has freed what was deleted before (RCU), by membarrier(2), whose slowest command waits for
//! just that. For whoever would otherwise wait in a place where it keeps others waiting too.

/// MEMBARRIER_CMD_GLOBAL (Linux 4.3)
const GLOBAL: libc::c_long = 1;

/// Waits for one grace period, a few milliseconds. Where the kernel has no such call it returns at once.
pub fn wait() {
    // SAFETY: takes three numbers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0 as libc::c_long, 0 as libc::c_long) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn comes_back() {
        super::wait();
    }
}
