//! Routes (rtnetlink(7), RTM_*ROUTE): the default route of a container, and all routes of all tables of the host, by
//! which free networks are found.

use super::Socket;
use super::message::{Batch, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Reader, u32_at};
use crate::error::Result;
use std::net::IpAddr;

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_TABLE: u16 = 15;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;

/// A route as it is. Without `destination` it is a default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub is_ipv6: bool,
    pub destination: Option<IpAddr>,
    /// Bits.
    pub length: u8,
    pub table: u32,
    /// Index of the interface.
    pub interface: Option<u32>,
    pub gateway: Option<IpAddr>,
}

pub(crate) fn family(address: IpAddr) -> u8 {
    (if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET }) as u8
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

impl Batch {
    /// A default route through `gateway` on interface `index`.
    pub fn add_default_route(&mut self, gateway: IpAddr, index: u32) {
        self.default_route(Some(gateway), gateway.is_ipv6(), index);
    }

    /// A default route straight out of interface `index`, as ipvlan in its L3 modes wants it.
    pub fn add_default_route_to_link(&mut self, is_ipv6: bool, index: u32) {
        self.default_route(None, is_ipv6, index);
    }

    fn default_route(&mut self, gateway: Option<IpAddr>, is_ipv6: bool, index: u32) {
        let scope = if gateway.is_some() { RT_SCOPE_UNIVERSE } else { RT_SCOPE_LINK };
        let family = (if is_ipv6 { libc::AF_INET6 } else { libc::AF_INET }) as u8;
        let fixed = [family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, 0, 0, 0, 0];
        self.begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &fixed);
        self.u32(RTA_OIF, index);
        if let Some(gateway) = gateway {
            self.put(RTA_GATEWAY, &octets(gateway));
        }
    }
}

impl Socket {
    /// Every route of every table, both families.
    pub fn routes(&self) -> Result<Vec<Route>> {
        let mut batch = Batch::new();
        // AF_UNSPEC and no table: everything.
        batch.begin(RTM_GETROUTE, NLM_F_DUMP, &[0; 12]);
        let replies = self.ask(&batch, "list routes")?;
        Ok(replies.iter().filter(|reply| reply.kind == RTM_NEWROUTE).filter_map(|reply| parse(&reply.body)).collect())
    }
}

fn parse(body: &[u8]) -> Option<Route> {
    let mut route = Route {
        is_ipv6: i32::from(*body.first()?) == libc::AF_INET6,
        destination: None,
        length: *body.get(1)?,
        table: u32::from(*body.get(4)?),
        interface: None,
        gateway: None,
    };
    for (kind, value) in Reader::attributes(body.get(12..)?) {
        match kind {
            RTA_DST => route.destination = address(value),
            RTA_OIF => route.interface = u32_at(value, 0),
            RTA_GATEWAY => route.gateway = address(value),
            RTA_TABLE => route.table = u32_at(value, 0)?,
            _ => {}
        }
    }
    Some(route)
}
