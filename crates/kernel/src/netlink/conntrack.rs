//! Flows that the kernel tracks (linux/netfilter/nfnetlink_conntrack.h). Translation is decided by a flow's first packet:
//! who goes on sending by UDP is served as before, whatever has become of the rules, until the flow is forgotten. Which
//! flows are to be forgotten decides the crate `net`.

use super::message::{Batch, NLM_F_DUMP, Reader};
use super::{Socket, route};
use crate::error::Result;
use std::net::{IpAddr, SocketAddr};

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;

/// What of the tuple is compared (net/netfilter/nf_conntrack_netlink.c, Linux 5.8).
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

impl Socket {
    /// Forgets flows that were sent to `to` by this IP protocol, before any translation; at an unspecified address:
    /// to the port at any address of that family for which `is_own` holds, so that others' flows to such a port elsewhere
    /// stay. For a socket of [`Socket::netfilter`]. `EINVAL` where the kernel lacks the module `nf_conntrack_netlink`.
    pub fn forget_flows(&self, protocol: u8, to: SocketAddr, is_own: impl Fn(IpAddr) -> bool) -> Result<()> {
        for flow in self.ask(&flows(protocol, to), "list flows")? {
            let flow = flow.body.get(4..).unwrap_or_default();
            let is_meant = |address| if to.ip().is_unspecified() { is_own(address) } else { address == to.ip() };
            if !destination(flow).is_some_and(is_meant) {
                continue;
            }
            let mut batch = Batch::new();
            batch.begin(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, &fixed(to.ip()));
            for (kind, value) in Reader::attributes(flow) {
                match kind {
                    CTA_TUPLE_ORIG => batch.nest(kind, |batch| copy(batch, value)),
                    CTA_ID | CTA_ZONE => batch.put(kind, value),
                    _ => {}
                }
            }
            match self.run(&batch, "forget flow") {
                // It ended meanwhile.
                Err(error) if error.errno == rustix::io::Errno::NOENT => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// The request for all to the port. The address is looked at by us: Linux 6.18 finds those of IPv6 that differ.
fn flows(protocol: u8, to: SocketAddr) -> Batch {
    let mut batch = Batch::new();
    batch.begin(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, &fixed(to.ip()));
    batch.nest(CTA_FILTER, |batch| {
        batch.u32(CTA_FILTER_ORIG_FLAGS, BY_PROTOCOL | BY_DESTINATION_PORT);
        batch.u32(CTA_FILTER_REPLY_FLAGS, 0);
    });
    batch.nest(CTA_TUPLE_ORIG, |batch| {
        batch.nest(CTA_TUPLE_PROTO, |batch| {
            batch.put(CTA_PROTO_NUM, &[protocol]);
            batch.put(CTA_PROTO_DST_PORT, &to.port().to_be_bytes());
        });
    });
    batch
}

/// Where a flow was sent to.
fn destination(flow: &[u8]) -> Option<IpAddr> {
    let (_, tuple) = Reader::attributes(flow).find(|(kind, _)| *kind == CTA_TUPLE_ORIG)?;
    let (_, ip) = Reader::attributes(tuple).find(|(kind, _)| *kind == CTA_TUPLE_IP)?;
    Reader::attributes(ip).find_map(|(kind, value)| match kind {
        CTA_IP_V4_DST | CTA_IP_V6_DST => route::address(value),
        _ => None,
    })
}

/// Attributes as they came, the two that nest with their mark.
fn copy(batch: &mut Batch, attributes: &[u8]) {
    for (kind, value) in Reader::attributes(attributes) {
        match kind {
            CTA_TUPLE_IP | CTA_TUPLE_PROTO => batch.nest_after(kind, value, |_| {}),
            _ => batch.put(kind, value),
        }
    }
}

/// struct nfgenmsg: family, version, resource.
fn fixed(address: IpAddr) -> [u8; 4] {
    let family = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
    [family as u8, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::super::tests::in_new_network;
    use super::*;
    use crate::nftables::expression::{Ct, Expression};
    use crate::nftables::{Base, Family, Hook, Table, Transaction};
    use std::net::UdpSocket;

    #[test]
    fn flows_are_forgotten_by_port_and_address() {
        in_new_network(|_| {
            let netfilter = Socket::netfilter().unwrap();
            // Nothing is tracked before a rule asks.
            let table = Table { family: Family::Inet, name: "t" };
            let mut change = Transaction::new();
            change.add_table(table);
            change.add_base_chain(table, "c", Base { kind: "filter", hook: Hook::Output, priority: 0 });
            change.add_rule(table, "c", &[Expression::Ct { key: Ct::State, to: 0 }]);
            change.commit(&netfilter).unwrap();
            for (to, other) in [("127.0.0.1", "127.0.0.2"), ("::1", "::2")] {
                let at = |address: &str, port| SocketAddr::new(address.parse().unwrap(), port);
                let count = |port| {
                    let all = if to.contains(':') { "::" } else { "0.0.0.0" };
                    netfilter.ask(&flows(17, at(all, port)), "count").unwrap().len()
                };
                let own = to.parse::<IpAddr>().unwrap();
                let forget = |to| netfilter.forget_flows(17, to, |address| address == own).unwrap();
                let servers = [7, 8].map(|port| UdpSocket::bind(at(to, port)).unwrap());
                for server in &servers {
                    UdpSocket::bind(at(to, 0)).unwrap().send_to(b"?", server.local_addr().unwrap()).unwrap();
                }
                assert_eq!((count(7), count(8)), (1, 1), "{to}");
                forget(at(other, 7));
                assert_eq!((count(7), count(8)), (1, 1), "{to}");
                forget(at(to, 7));
                assert_eq!((count(7), count(8)), (0, 1), "{to}");
                let anywhere = at(if to.contains(':') { "::" } else { "0.0.0.0" }, 8);
                netfilter.forget_flows(17, anywhere, |_| false).unwrap();
                assert_eq!(count(8), 1, "{to}: somebody else's");
                forget(anywhere);
                assert_eq!(count(8), 0, "{to}");
            }
        });
    }
}
