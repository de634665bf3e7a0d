//! Brings up `lo` in the calling process's network namespace (netdevice(7)): a new namespace has it
//! down, and programs expect 127.0.0.1 to answer.

use crate::error::{Context, Result, last_errno};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::os::fd::AsRawFd;

/// Needs CAP_NET_ADMIN in the namespace. The kernel adds 127.0.0.1 and ::1 by itself.
pub fn bring_up() -> Result<()> {
    let kind = SocketType::DGRAM;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).during("open socket")?;
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    // A fresh `lo` has no flag that must survive, so its flags are set, not read and changed.
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }.during("bring up lo")
}
