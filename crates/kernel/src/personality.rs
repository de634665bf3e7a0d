//! The execution domain of the calling process (personality(2)): what `uname` says of the machine, for programs of 32 bits.

use crate::error::{Error, Result, last_errno};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    Linux = 0,
    /// `uname -m` says i686 on x86-64, armv8l on aarch64.
    Linux32 = 8,
}

/// Kept over execve.
pub fn set(domain: Domain) -> Result<()> {
    // SAFETY: personality takes an integer.
    let result = unsafe { libc::syscall(libc::SYS_personality, domain as libc::c_ulong) };
    if result >= 0 { Ok(()) } else { Err(Error::new("set personality", last_errno())) }
}
