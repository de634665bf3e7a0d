//! Moving an interface into another network namespace, with its name or a new one and its addresses: the kernel takes
//! those away on the way. Called by `runtime` for `linux.netDevices`.

use super::message::{Batch, NLM_F_DUMP, Reader, u32_at};
use super::{Socket, route, within};
use crate::error::{Error, Result};
use rustix::io::Errno;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_LOCAL: u16 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_FLAGS: u16 = 8;
const IFA_F_PERMANENT: u32 = 0x80;
const RT_SCOPE_UNIVERSE: u8 = 0;
const IFF_UP: u32 = libc::IFF_UP as u32;

/// Whether the kernel takes `name` for an interface (`dev_valid_name`).
pub fn is_valid_name(name: &str) -> bool {
    let plain = !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
    plain && (1..=15).contains(&name.len()) && name != "." && name != ".."
}

/// Moves interface `name` of the caller's namespace into `network`, where it is called `new_name`, is up, and has the
/// addresses that somebody gave it for good and for everywhere. `ENODEV` when there is no such interface, `EEXIST` when
/// the new name is taken.
pub fn move_link(name: &str, network: impl AsFd, new_name: &str) -> Result<()> {
    let socket = Socket::route()?;
    let action = format!("move network device {name}");
    let link =
        socket.link(name)?.ok_or_else(|| Error::new(format!("{action}: there is none of this name"), Errno::NODEV))?;
    // Before it goes down, which takes those of IPv6 away.
    let addresses = lasting_addresses(&socket, link.index)?;
    let mut batch = Batch::new();
    batch.begin(RTM_NEWLINK, 0, &header(link.index, 0));
    batch.begin(RTM_NEWLINK, 0, &header(link.index, 0));
    batch.text(IFLA_IFNAME, new_name);
    batch.u32(IFLA_NET_NS_FD, network.as_fd().as_raw_fd() as u32);
    socket.run(&batch, &action)?;
    within(network, || {
        let socket = Socket::route()?;
        let moved = socket.link(new_name)?.ok_or_else(|| Error::new(&action, Errno::NODEV))?;
        let mut batch = Batch::new();
        for (address, length) in addresses {
            batch.add_address(moved.index, address, length);
        }
        batch.set_up(new_name);
        socket.run(&batch, &action)
    })
}

/// struct ifinfomsg for interface `index`, with only the flag "up" to be changed.
fn header(index: u32, up: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&up.to_ne_bytes());
    bytes[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    bytes
}

/// Without those that the network gave, for a while, and those for the link or the machine alone.
fn lasting_addresses(socket: &Socket, index: u32) -> Result<Vec<(IpAddr, u8)>> {
    let mut batch = Batch::new();
    batch.begin(RTM_GETADDR, NLM_F_DUMP, &[0; 8]);
    let replies = socket.ask(&batch, "list addresses")?;
    let parse = |body: &[u8]| {
        let &[_, length, flags, scope] = body.first_chunk::<4>()?;
        let (mut address, mut local, mut flags) = (None, None, u32::from(flags));
        for (kind, value) in Reader::attributes(body.get(8..)?) {
            match kind {
                IFA_ADDRESS => address = route::address(value),
                IFA_LOCAL => local = route::address(value),
                IFA_FLAGS => flags = u32_at(value, 0)?,
                _ => {}
            }
        }
        let lasts = u32_at(body, 4)? == index && scope == RT_SCOPE_UNIVERSE && flags & IFA_F_PERMANENT != 0;
        lasts.then_some((local.or(address)?, length))
    };
    Ok(replies.iter().filter(|reply| reply.kind == RTM_NEWADDR).filter_map(|reply| parse(&reply.body)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, good) in
            [("eth0", true), ("", false), ("..", false), ("a/b", false), ("a b", false), ("sixteen_letters_", false)]
        {
            assert_eq!(is_valid_name(name), good, "{name}");
        }
    }
}
