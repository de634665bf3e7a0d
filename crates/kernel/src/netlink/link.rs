//! Network interfaces (rtnetlink(7), RTM_*LINK): bridges, veth pairs whose peer is born in another namespace, macvlan and
//! ipvlan; up, mtu, port settings, removal. An interface is named by its name, which is the caller's choice, so that one
//! send can make it and set it up.

use super::message::{Batch, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Reader, u32_at};
use super::{Reply, Socket};
use crate::error::{Error, Result};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const VETH_INFO_PEER: u16 = 1;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;

const IFF_UP: u32 = libc::IFF_UP as u32;
pub type Mac = [u8; 6];

/// An interface as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub is_up: bool,
    pub mtu: u32,
    pub mac: Option<Mac>,
    /// Index of the bridge whose port it is.
    pub master: Option<u32>,
}

/// A bridge to make. It is down.
#[derive(Debug, Clone, Copy)]
pub struct Bridge<'a> {
    pub name: &'a str,
    /// Given, or it would change with the ports that come and go.
    pub mac: Mac,
    pub mtu: Option<u32>,
}

/// A pair to make: `name` becomes an up port of the bridge `master`, the peer is born in `peer_namespace`, down (ENOTCONN
/// otherwise: it is set up before it has its other end).
#[derive(Debug, Clone, Copy)]
pub struct Veth<'a> {
    pub name: &'a str,
    pub master: u32,
    pub mtu: Option<u32>,
    pub peer_name: &'a str,
    pub peer_mac: Mac,
    pub peer_namespace: BorrowedFd<'a>,
}

/// An interface on top of another one of the host, born in a namespace.
#[derive(Debug, Clone, Copy)]
pub struct Virtual<'a> {
    pub name: &'a str,
    pub kind: VirtualKind,
    /// Index of the one below.
    pub parent: u32,
    pub namespace: BorrowedFd<'a>,
    pub mac: Option<Mac>,
    pub mtu: Option<u32>,
}

/// The kind with its mode (linux/if_link.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VirtualKind {
    MacvlanPrivate,
    MacvlanVepa,
    MacvlanBridge,
    MacvlanPassthru,
    IpvlanL2,
    IpvlanL3,
    IpvlanL3s,
}

impl VirtualKind {
    fn put(self, batch: &mut Batch) {
        let (kind, mode) = match self {
            VirtualKind::MacvlanPrivate => ("macvlan", 1u32),
            VirtualKind::MacvlanVepa => ("macvlan", 2),
            VirtualKind::MacvlanBridge => ("macvlan", 4),
            VirtualKind::MacvlanPassthru => ("macvlan", 8),
            VirtualKind::IpvlanL2 => ("ipvlan", 0),
            VirtualKind::IpvlanL3 => ("ipvlan", 1),
            VirtualKind::IpvlanL3s => ("ipvlan", 2),
        };
        batch.nest(IFLA_LINKINFO, |batch| {
            batch.text(IFLA_INFO_KIND, kind);
            batch.nest(IFLA_INFO_DATA, |batch| match kind {
                "macvlan" => batch.u32(IFLA_MACVLAN_MODE, mode),
                _ => batch.put(IFLA_IPVLAN_MODE, &(mode as u16).to_ne_bytes()),
            });
        });
    }
}

/// struct ifinfomsg
fn info(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

impl Batch {
    /// `EEXIST` when the name is taken.
    pub fn add_bridge(&mut self, bridge: &Bridge<'_>) {
        self.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info(0, 0, 0));
        self.text(IFLA_IFNAME, bridge.name);
        self.put(IFLA_ADDRESS, &bridge.mac);
        if let Some(mtu) = bridge.mtu {
            self.u32(IFLA_MTU, mtu);
        }
        self.nest(IFLA_LINKINFO, |batch| {
            batch.text(IFLA_INFO_KIND, "bridge");
            // Ports forward at once: there is no loop that the spanning tree would have to find first.
            batch.nest(IFLA_INFO_DATA, |batch| batch.u32(IFLA_BR_FORWARD_DELAY, 0));
        });
    }

    /// `EEXIST` when one of the names is taken, `ENODEV` without the bridge.
    pub fn add_veth(&mut self, veth: &Veth<'_>) {
        self.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info(0, IFF_UP, IFF_UP));
        self.text(IFLA_IFNAME, veth.name);
        self.u32(IFLA_MASTER, veth.master);
        if let Some(mtu) = veth.mtu {
            self.u32(IFLA_MTU, mtu);
        }
        self.nest(IFLA_LINKINFO, |batch| {
            batch.text(IFLA_INFO_KIND, "veth");
            batch.nest(IFLA_INFO_DATA, |batch| {
                batch.nest_after(VETH_INFO_PEER, &info(0, 0, 0), |batch| {
                    batch.text(IFLA_IFNAME, veth.peer_name);
                    batch.put(IFLA_ADDRESS, &veth.peer_mac);
                    batch.u32(IFLA_NET_NS_FD, veth.peer_namespace.as_fd().as_raw_fd() as u32);
                    if let Some(mtu) = veth.mtu {
                        batch.u32(IFLA_MTU, mtu);
                    }
                });
            });
        });
    }

    /// Made down: addresses and routes come first, then [`Batch::set_up`] in its own namespace.
    pub fn add_virtual(&mut self, link: &Virtual<'_>) {
        self.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info(0, 0, 0));
        self.text(IFLA_IFNAME, link.name);
        self.u32(IFLA_LINK, link.parent);
        self.u32(IFLA_NET_NS_FD, link.namespace.as_raw_fd() as u32);
        if let Some(mac) = link.mac {
            self.put(IFLA_ADDRESS, &mac);
        }
        if let Some(mtu) = link.mtu {
            self.u32(IFLA_MTU, mtu);
        }
        link.kind.put(self);
    }

    /// Frames may leave through the port they came from: needed where a container talks to a port of its own that is
    /// published, and bridged packets pass the firewall of IP (br_netfilter).
    pub fn set_hairpin(&mut self, port: &str) {
        self.set_port(port, |batch| batch.put(IFLA_BRPORT_MODE, &[1]));
    }

    /// No frames between this port and others that are isolated (Linux 4.18).
    pub fn set_isolated(&mut self, port: &str) {
        self.set_port(port, |batch| batch.put(IFLA_BRPORT_ISOLATED, &[1]));
    }

    fn set_port(&mut self, port: &str, fill: impl FnOnce(&mut Batch)) {
        self.begin(RTM_NEWLINK, 0, &info(0, 0, 0));
        self.text(IFLA_IFNAME, port);
        self.nest(IFLA_LINKINFO, |batch| {
            batch.text(IFLA_INFO_SLAVE_KIND, "bridge");
            batch.nest(IFLA_INFO_SLAVE_DATA, fill);
        });
    }

    pub fn set_up(&mut self, name: &str) {
        self.begin(RTM_NEWLINK, 0, &info(0, IFF_UP, IFF_UP));
        self.text(IFLA_IFNAME, name);
    }

    /// Of a veth pair both ends go. `ENODEV` when there is none.
    pub fn delete_link(&mut self, name: &str) {
        self.begin(RTM_DELLINK, 0, &info(0, 0, 0));
        self.text(IFLA_IFNAME, name);
    }
}

impl Socket {
    /// `None` when there is none of this name.
    pub fn link(&self, name: &str) -> Result<Option<Link>> {
        let mut batch = Batch::new();
        batch.begin(RTM_GETLINK, 0, &info(0, 0, 0));
        batch.text(IFLA_IFNAME, name);
        let action = format!("look up interface {name}");
        match self.ask(&batch, &action) {
            Ok(replies) => Ok(replies.iter().find_map(parse)),
            // EINVAL: the name is too long for any.
            Err(Error { errno: Errno::NODEV | Errno::INVAL | Errno::RANGE, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn links(&self) -> Result<Vec<Link>> {
        let mut batch = Batch::new();
        batch.begin(RTM_GETLINK, NLM_F_DUMP, &info(0, 0, 0));
        Ok(self.ask(&batch, "list interfaces")?.iter().filter_map(parse).collect())
    }
}

fn parse(reply: &Reply) -> Option<Link> {
    if reply.kind != RTM_NEWLINK {
        return None;
    }
    let mut link = Link {
        index: u32_at(&reply.body, 4)?,
        name: String::new(),
        is_up: u32_at(&reply.body, 8)? & IFF_UP != 0,
        mtu: 0,
        mac: None,
        master: None,
    };
    for (kind, value) in Reader::attributes(reply.body.get(16..)?) {
        match kind {
            IFLA_IFNAME => {
                link.name = String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(value)).into_owned();
            }
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_ADDRESS => link.mac = value.try_into().ok(),
            IFLA_MASTER => link.master = u32_at(value, 0),
            _ => {}
        }
    }
    Some(link)
}
