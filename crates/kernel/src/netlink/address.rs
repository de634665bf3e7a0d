//! Addresses of interfaces (rtnetlink(7), RTM_*ADDR).

use super::message::{Batch, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Reader, u32_at};
use super::{Socket, route};
use crate::error::Result;
use std::net::IpAddr;

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// Duplicate address detection would make a new address useless for a second, and addresses are ours to give.
const IFA_F_NODAD: u8 = 2;

impl Batch {
    /// Gives interface `index` an address with the route to its network of `length` bits. `EEXIST` when it has it.
    pub fn add_address(&mut self, index: u32, address: IpAddr, length: u8) {
        let flags = if address.is_ipv6() { IFA_F_NODAD } else { 0 };
        let mut fixed = [0; 8];
        fixed[..4].copy_from_slice(&[route::family(address), length, flags, 0]);
        fixed[4..].copy_from_slice(&index.to_ne_bytes());
        self.begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &fixed);
        let bytes = route::octets(address);
        self.put(IFA_LOCAL, &bytes);
        self.put(IFA_ADDRESS, &bytes);
        if let IpAddr::V4(address) = address
            && length < 31
        {
            let broadcast = u32::from(address) | (u32::MAX >> length);
            self.put(IFA_BROADCAST, &broadcast.to_be_bytes());
        }
    }
}

impl Socket {
    /// All addresses in the namespace: interface index, address, bits of the network.
    pub fn addresses(&self) -> Result<Vec<(u32, IpAddr, u8)>> {
        let mut batch = Batch::new();
        batch.begin(RTM_GETADDR, NLM_F_DUMP, &[0; 8]);
        let replies = self.ask(&batch, "list addresses")?;
        let parse = |body: &[u8]| {
            let (mut address, mut local) = (None, None);
            for (kind, value) in Reader::attributes(body.get(8..)?) {
                match kind {
                    IFA_ADDRESS => address = route::address(value),
                    IFA_LOCAL => local = route::address(value),
                    _ => {}
                }
            }
            // IPv6 has only the first; of a point-to-point link the second is one's own.
            Some((u32_at(body, 4)?, local.or(address)?, *body.get(1)?))
        };
        Ok(replies.iter().filter(|reply| reply.kind == RTM_NEWADDR).filter_map(|reply| parse(&reply.body)).collect())
    }
}
