//! Random bytes for names and ids (getrandom(2)).

use crate::error::last_errno;
use crate::{Error, Result};
use rustix::io::Errno;

/// `N` bytes; blocks only while the machine is so early in its boot that there is no entropy.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut buffer = [0; N];
    let mut filled = 0;
    while filled < N {
        let rest = &mut buffer[filled..];
        // SAFETY: the pointer and the length describe `rest`.
        let count = unsafe { libc::syscall(libc::SYS_getrandom, rest.as_mut_ptr(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => filled += count,
            Err(_) => match last_errno() {
                Errno::INTR => {}
                errno => return Err(Error::new("get random bytes", errno)),
            },
        }
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_calls_differ() {
        assert_ne!(super::bytes::<32>().unwrap(), super::bytes::<32>().unwrap());
    }
}
