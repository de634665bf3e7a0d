//! From which memory nodes the calling process gets its pages (set_mempolicy(2)); kept over execve.

use crate::cpu_list::Mask;
use crate::error::{Error, Result, last_errno};

/// By names as in set_mempolicy(2).
pub fn mode_from_name(name: &str) -> Option<u32> {
    Some(match name {
        "MPOL_DEFAULT" => 0,
        "MPOL_PREFERRED" => 1,
        "MPOL_BIND" => 2,
        "MPOL_INTERLEAVE" => 3,
        "MPOL_LOCAL" => 4,
        // Linux 5.15.
        "MPOL_PREFERRED_MANY" => 5,
        // Linux 6.9.
        "MPOL_WEIGHTED_INTERLEAVE" => 6,
        _ => return None,
    })
}

/// Combined with the mode.
pub fn flag_from_name(name: &str) -> Option<u32> {
    Some(match name {
        "MPOL_F_STATIC_NODES" => 1 << 15,
        "MPOL_F_RELATIVE_NODES" => 1 << 14,
        // Linux 5.12.
        "MPOL_F_NUMA_BALANCING" => 1 << 13,
        _ => return None,
    })
}

/// `EINVAL` for nodes where the mode has none, none where it needs some, and nodes that the machine does not have.
pub fn set(mode_and_flags: u32, nodes: &Mask) -> Result<()> {
    let words = nodes.words();
    // One more than there are bits: the kernel takes one off.
    let (pointer, bits) = if words.is_empty() { (std::ptr::null(), 0) } else { (words.as_ptr(), words.len() * 64 + 1) };
    // SAFETY: the kernel reads `bits` bits, less one, at `pointer`.
    let result = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode_and_flags, pointer, bits) };
    if result == 0 { Ok(()) } else { Err(Error::new("set memory policy", last_errno())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_thread_changes_itself() {
        std::thread::spawn(|| {
            let local = mode_from_name("MPOL_LOCAL").unwrap();
            match set(local, &Mask::default()) {
                // Without CONFIG_NUMA there is nothing to set.
                Err(error) => assert_eq!(error.errno, Errno::NOSYS),
                Ok(()) => assert_eq!(set(local, &Mask::parse("0").unwrap()).unwrap_err().errno, Errno::INVAL),
            }
        })
        .join()
        .unwrap();
    }
}
