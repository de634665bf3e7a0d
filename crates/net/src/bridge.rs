//! The bridge of a network on the host: made with its first container, with the gateway's addresses, and left until the
//! network is removed. What a network needs of the kernel's parameters is set here.

use crate::error::{Error, Result};
use crate::network::Network;
use crate::ports::Published;
use kernel::Context;
use kernel::netlink::{Batch, Bridge, Link, Socket};
use kernel::sysctl;
use rustix::io::Errno;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;

/// The index of the network's bridge. One question when it is there and finished, which is when it is up.
pub fn ensure(socket: &Socket, network: &Network) -> Result<u32> {
    match find(socket, network)? {
        Some(link) if link.is_up => Ok(link.index),
        _ => finish(socket, network),
    }
}

/// Makes what is missing of the bridge, and gives it back what somebody has taken from it.
pub fn finish(socket: &Socket, network: &Network) -> Result<u32> {
    let mut batch = Batch::new();
    batch.add_bridge(&Bridge { name: &network.interface, mac: mac(network), mtu: network.mtu() });
    match socket.run(&batch, "make bridge") {
        // Or another start was faster, or was killed: all of this can be done twice.
        Err(error) if error.errno != Errno::EXIST => return Err(needs_kernel(error, "bridge")),
        _ => {}
    }
    let link = find(socket, network)?;
    let index = link.ok_or_else(|| Error::Failed(format!("bridge {} is gone again", network.interface)))?.index;
    parameters(network)?;
    for pool in &network.pools {
        let Some(gateway) = pool.gateway else { continue };
        let mut batch = Batch::new();
        batch.add_address(index, gateway, pool.subnet.length());
        match socket.run(&batch, "give bridge its address") {
            Err(error) if error.errno != Errno::EXIST => return Err(error.into()),
            _ => {}
        }
    }
    // Last: a bridge that is up is not looked at again.
    let mut batch = Batch::new();
    batch.set_up(&network.interface);
    socket.run(&batch, "set bridge up")?;
    Ok(index)
}

/// `None` when there is none; `Conflict` when an interface of this name is somebody else's.
pub fn find(socket: &Socket, network: &Network) -> Result<Option<Link>> {
    match socket.link(&network.interface)? {
        Some(link) if link.mac != Some(mac(network)) => {
            let interface = &network.interface;
            Err(Error::Conflict(format!(
                "interface {interface} of this machine is not the bridge of network {}: if nobody needs it, remove it \
                 (ip link delete {interface})",
                network.name
            )))
        }
        link => Ok(link),
    }
}

/// By which a bridge is known to be ours: locally administered, so never a card's, and from the network's id.
pub(crate) fn mac(network: &Network) -> [u8; 6] {
    let byte = |at: usize| network.id.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).unwrap_or(0);
    [0x02, 0x42, byte(0), byte(2), byte(4), byte(6)]
}

/// Names the missing part of the kernel.
pub fn needs_kernel(error: kernel::Error, kind: &str) -> Error {
    match error.errno {
        Errno::OPNOTSUPP => Error::Unsupported(format!(
            "this kernel has no {kind} interfaces: load the module (modprobe {kind}), or use --network host or none"
        )),
        Errno::PERM => Error::Unsupported(format!("making a {kind} interface is not permitted here: {error}")),
        _ => error.into(),
    }
}

fn parameters(network: &Network) -> Result<()> {
    let proc = File::open("/proc").during_at("open", "/proc")?;
    let interface = &network.interface;
    let has_ipv6 = network.pool(true).is_some();
    if !network.internal {
        switch_on(&proc, "net/ipv4/ip_forward")?;
        if has_ipv6 && is_off("net/ipv6/conf/all/forwarding") {
            keep_routers(&proc)?;
            sysctl::write(&proc, "net/ipv6/conf/all/forwarding", "1")?;
        }
    }
    if Path::new("/proc/sys/net/ipv6").exists() {
        // A container must not be able to announce itself as the host's router (CVE-2020-13401).
        sysctl::write(&proc, &format!("net/ipv6/conf/{interface}/accept_ra"), "0")?;
    }
    Ok(())
}

/// Lets this machine reach ports that are published at its 127.0.0.1. Only where there are some: packets with such an
/// address that come by another interface are dropped by the firewall's first chain, and that may be flushed.
pub fn open_to_loopback(network: &Network, published: &[Published]) -> Result<()> {
    let reaches = |address: IpAddr| address.is_ipv4() && (address.is_loopback() || address.is_unspecified());
    if !published.iter().any(|one| reaches(one.host_address)) {
        return Ok(());
    }
    let proc = File::open("/proc").during_at("open", "/proc")?;
    switch_on(&proc, &format!("net/ipv4/conf/{}/route_localnet", network.interface))
}

/// The machine follows the routers that it has followed, also when it forwards (accept_ra of ip-sysctl).
fn keep_routers(proc: &File) -> Result<()> {
    for interface in std::fs::read_dir("/proc/sys/net/ipv6/conf").into_iter().flatten().flatten() {
        let now = std::fs::read_to_string(interface.path().join("accept_ra")).unwrap_or_default();
        if let (true, Some(name)) = (now.trim() == "1", interface.file_name().to_str()) {
            sysctl::write(proc, &format!("net/ipv6/conf/{name}/accept_ra"), "2")?;
        }
    }
    Ok(())
}

fn is_off(path: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/{path}")).is_ok_and(|now| now.trim() == "0")
}

/// Not written when it is on already: writing touches every interface.
fn switch_on(proc: &File, path: &str) -> Result<()> {
    if is_off(path) {
        sysctl::write(proc, path, "1")?;
    }
    Ok(())
}

/// False when there was none of ours.
pub fn remove(network: &Network) -> Result<bool> {
    let socket = Socket::route()?;
    if !matches!(find(&socket, network), Ok(Some(_))) {
        return Ok(false);
    }
    let mut batch = Batch::new();
    batch.delete_link(&network.interface);
    match socket.run(&batch, "remove bridge") {
        Ok(()) => Ok(true),
        Err(error) if error.errno == Errno::NODEV => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A MAC address that goes with the address, so that no neighbour remembers a former owner: 02:42 and the four bytes of
/// IPv4, or the last four of IPv6.
pub fn mac_of(address: IpAddr) -> [u8; 6] {
    let last = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let bytes = address.octets();
            [bytes[12], bytes[13], bytes[14], bytes[15]]
        }
    };
    [0x02, 0x42, last[0], last[1], last[2], last[3]]
}
