//! Netlink (netlink(7)): a blocking socket to the kernel's network configuration, many messages in one send and their
//! acknowledgements checked. Messages are built by `message.rs`; interfaces, addresses and routes (rtnetlink(7)) are in
//! files of their own, nftables in [`crate::nftables`]. A socket belongs to the network namespace it was made in.

mod address;
mod conntrack;
mod link;
pub(crate) mod message;
mod moving;
mod route;
#[cfg(test)]
pub(crate) mod tests;

pub use link::{Bridge, Link, Mac, Veth, Virtual, VirtualKind};
pub use message::Batch;
pub use moving::{is_valid_name, move_link};
pub use route::Route;

use crate::error::{Context, Error, Result, last_errno};
use crate::namespace::{self, Kind};
use message::{Reader, u32_at};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Types of control messages (netlink(7)).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The acknowledgement carries only the header of what it is about.
const NLM_F_CAPPED: u16 = 0x100;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Room for one datagram of a dump; the kernel fills at most 32 KiB.
const RECEIVE_BYTES: usize = 64 << 10;
/// What the kernel lets wait to be sent without being asked for more (net.core.wmem_default), with its own additions.
const SEND_BYTES: usize = 128 << 10;
/// For the acknowledgements of a large batch: about 250 bytes to 1 KiB each, as the kernel counts.
const RECEIVE_QUEUE_BYTES: libc::c_int = 8 << 20;

/// A netlink socket in the namespace that the calling thread was in when it was made.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// One message from the kernel, without its header.
#[derive(Debug, Clone)]
pub struct Reply {
    pub kind: u16,
    pub body: Vec<u8>,
}

impl Socket {
    /// For interfaces, addresses and routes.
    pub fn route() -> Result<Socket> {
        Socket::open(None) // NETLINK_ROUTE is protocol 0
    }

    /// For nftables.
    pub fn netfilter() -> Result<Socket> {
        Socket::open(Some(rustix::net::netlink::NETFILTER))
    }

    /// As [`Socket::route`], in the network namespace `network`.
    pub fn route_in(network: impl AsFd) -> Result<Socket> {
        within(network, Socket::route)
    }

    fn open(protocol: Option<rustix::net::Protocol>) -> Result<Socket> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .during("open netlink")?;
        // Without the request in each acknowledgement, and with the kernel's own words about a refusal.
        set_option(&socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1);
        set_option(&socket, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1);
        Ok(Socket(socket))
    }

    /// Sends all messages of `batch` at once. The kernel has answered each before the sending ends; the first refusal
    /// is the error, and messages of rtnetlink after it have been carried out all the same.
    pub fn run(&self, batch: &Batch, action: &str) -> Result<()> {
        if batch.bytes().len() > SEND_BYTES {
            let bytes = batch.bytes().len().saturating_mul(2).min(libc::c_int::MAX as usize);
            set_option(&self.0, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes as libc::c_int);
        }
        if batch.messages() > 100 {
            set_option(&self.0, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_QUEUE_BYTES);
        }
        self.send(batch.bytes(), action)?;
        let mut first = Ok(());
        while let Some(datagram) = self.receive(RecvFlags::DONTWAIT, action)? {
            for (header, body) in Reader::messages(&datagram) {
                if header.kind == NLMSG_ERROR && first.is_ok() {
                    first = acknowledgement(header.flags, body, action);
                }
            }
        }
        first
    }

    /// Everything that the kernel answers to one request: a dump, or one object.
    pub fn ask(&self, batch: &Batch, action: &str) -> Result<Vec<Reply>> {
        self.send(batch.bytes(), action)?;
        let mut replies = Vec::new();
        loop {
            let Some(datagram) = self.receive(RecvFlags::empty(), action)? else { return Ok(replies) };
            for (header, body) in Reader::messages(&datagram) {
                match header.kind {
                    NLMSG_DONE => return Ok(replies),
                    // The acknowledgement comes after the object.
                    NLMSG_ERROR => return acknowledgement(header.flags, body, action).map(|()| replies),
                    kind => replies.push(Reply { kind, body: body.to_vec() }),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8], action: &str) -> Result<()> {
        loop {
            match send(&self.0, bytes, SendFlags::empty()) {
                Err(Errno::INTR) => {}
                result => return result.map(drop).during(action),
            }
        }
    }

    /// `None` when nothing is waiting.
    fn receive(&self, flags: RecvFlags, action: &str) -> Result<Option<Vec<u8>>> {
        let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
        loop {
            match recv(&self.0, rustix::buffer::spare_capacity(&mut buffer), flags) {
                Ok(_) => return Ok(Some(buffer)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(Error::new(action, errno)),
            }
        }
    }
}

/// Runs `act` with the calling thread in the network namespace `network`. When the way back fails the error says so,
/// and the thread should not go on.
pub fn within<T>(network: impl AsFd, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = namespace::open(Path::new("/proc/thread-self/ns/net"))?;
    namespace::join(network, Kind::Network)?;
    let result = act();
    namespace::join(&own, Kind::Network)?;
    result
}

/// struct nlmsgerr: the negative errno, then the header of the request, then attributes.
fn acknowledgement(flags: u16, body: &[u8], action: &str) -> Result<()> {
    let code = u32_at(body, 0).unwrap_or(0) as i32;
    if code == 0 {
        return Ok(());
    }
    // Anything else than a negative errno is not of the kernel's making.
    let errno = match code.checked_neg() {
        Some(number @ 1..4096) => Errno::from_raw_os_error(number),
        _ => Errno::PROTO,
    };
    let start = if flags & NLM_F_CAPPED != 0 { 20 } else { (u32_at(body, 4).unwrap_or(16) as usize).saturating_add(4) };
    let words =
        body.get(start..).and_then(|rest| Reader::attributes(rest).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG));
    match words.map(|(_, text)| text.strip_suffix(b"\0").unwrap_or(text)) {
        Some(text) => Err(Error::new(format!("{action} ({})", String::from_utf8_lossy(text)), errno)),
        None => Err(Error::new(action, errno)),
    }
}

/// Older kernels lack some options; nothing but comfort depends on them.
fn set_option(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) {
    // SAFETY: the pointer and the length describe one int, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    debug_assert!(result == 0 || last_errno() != Errno::BADF);
}
