//! The expressions that rules are made of: load something into a register, compare it or look it up, decide. Registers are
//! words of 4 bytes, numbered from 0; larger values take several (linux/netfilter/nf_tables.h, NFTA_*).

use super::NFTA_DATA_VALUE;
use crate::netlink::Batch;

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;
/// The verdict register.
const NFT_REG_VERDICT: u32 = 0;
/// The first of the registers of 4 bytes.
const NFT_REG32_00: u32 = 8;
const NFT_LOOKUP_F_INV: u32 = 1;

/// A word of 4 bytes, 0 to 15.
pub type Register = u32;

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    Return,
    Jump(String),
}

/// What is known of a packet besides its bytes (NFT_META_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Meta {
    /// Ethernet's protocol, 2 bytes.
    Protocol = 0x1,
    /// 16 bytes.
    InputName = 6,
    OutputName = 7,
    /// 1 byte.
    NfProtocol = 15,
    L4Protocol = 16,
}

/// What connection tracking knows (NFT_CT_*), 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Ct {
    State = 0,
    Status = 2,
}

/// From where bytes of a packet count (NFT_PAYLOAD_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Payload {
    Link = 0,
    Network = 1,
    Transport = 2,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression<'a> {
    Meta {
        key: Meta,
        to: Register,
    },
    Ct {
        key: Ct,
        to: Register,
    },
    Payload {
        base: Payload,
        offset: u32,
        length: u32,
        to: Register,
    },
    /// Goes on when the bytes from `register` on equal `value`.
    Equal {
        register: Register,
        value: &'a [u8],
    },
    Differs {
        register: Register,
        value: &'a [u8],
    },
    /// `register` = `register` AND mask.
    And {
        register: Register,
        mask: &'a [u8],
    },
    /// Goes on when the key at `register` is in the set.
    InSet {
        register: Register,
        set: &'a str,
    },
    NotInSet {
        register: Register,
        set: &'a str,
    },
    /// Looks up the key at `register` and puts the data to `to`; a missing key ends the rule.
    Map {
        register: Register,
        map: &'a str,
        to: Register,
    },
    /// The verdict that a map has for the key; a missing key ends the rule.
    VerdictMap {
        register: Register,
        map: &'a str,
    },
    /// The kind of the destination address (RTN_*) as this machine's routes have it, 4 bytes.
    DestinationKind {
        to: Register,
    },
    /// Puts bytes into registers.
    Immediate {
        to: Register,
        value: &'a [u8],
    },
    /// Translates the destination to the address and port in registers.
    DestinationNat {
        is_ipv6: bool,
        address: Register,
        port: Register,
    },
    /// Translates the source to the address of the interface that the packet leaves by.
    Masquerade,
    Counter,
    Verdict(Verdict),
}

impl Verdict {
    pub(super) fn put(&self, batch: &mut Batch) {
        let (code, chain) = match self {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Jump(chain) => (-3i32, Some(chain)),
            Verdict::Return => (-5, None),
        };
        batch.nest(NFTA_DATA_VERDICT, |batch| {
            batch.be32(NFTA_VERDICT_CODE, code as u32);
            if let Some(chain) = chain {
                batch.text(NFTA_VERDICT_CHAIN, chain);
            }
        });
    }
}

impl Expression<'_> {
    pub(super) fn put(&self, batch: &mut Batch) {
        batch.text(NFTA_EXPR_NAME, self.name());
        batch.nest(NFTA_EXPR_DATA, |batch| self.put_data(batch));
    }

    fn name(&self) -> &'static str {
        match self {
            Expression::Meta { .. } => "meta",
            Expression::Ct { .. } => "ct",
            Expression::Payload { .. } => "payload",
            Expression::Equal { .. } | Expression::Differs { .. } => "cmp",
            Expression::And { .. } => "bitwise",
            Expression::InSet { .. }
            | Expression::NotInSet { .. }
            | Expression::Map { .. }
            | Expression::VerdictMap { .. } => "lookup",
            Expression::DestinationKind { .. } => "fib",
            Expression::DestinationNat { .. } => "nat",
            Expression::Masquerade => "masq",
            Expression::Counter => "counter",
            Expression::Immediate { .. } | Expression::Verdict(_) => "immediate",
        }
    }

    /// The numbers are those of NFTA_META_*, NFTA_CT_* and so on, in the order of the header.
    fn put_data(&self, batch: &mut Batch) {
        let number = |register: Register| NFT_REG32_00 + register;
        match self {
            Expression::Meta { key, to } => {
                batch.be32(1, number(*to));
                batch.be32(2, *key as u32);
            }
            Expression::Ct { key, to } => {
                batch.be32(1, number(*to));
                batch.be32(2, *key as u32);
            }
            Expression::Payload { base, offset, length, to } => {
                batch.be32(1, number(*to));
                batch.be32(2, *base as u32);
                batch.be32(3, *offset);
                batch.be32(4, *length);
            }
            Expression::Equal { register, value } => put_comparison(batch, number(*register), 0, value),
            Expression::Differs { register, value } => put_comparison(batch, number(*register), 1, value),
            Expression::And { register, mask } => {
                batch.be32(1, number(*register));
                batch.be32(2, number(*register));
                batch.be32(3, mask.len() as u32);
                batch.nest(4, |batch| batch.put(NFTA_DATA_VALUE, mask));
                batch.nest(5, |batch| batch.put(NFTA_DATA_VALUE, &vec![0; mask.len()]));
            }
            Expression::InSet { register, set } => {
                batch.text(1, set);
                batch.be32(2, number(*register));
            }
            Expression::NotInSet { register, set } => {
                batch.text(1, set);
                batch.be32(2, number(*register));
                batch.be32(5, NFT_LOOKUP_F_INV);
            }
            Expression::Map { register, map, to } => {
                batch.text(1, map);
                batch.be32(2, number(*register));
                batch.be32(3, number(*to));
            }
            Expression::VerdictMap { register, map } => {
                batch.text(1, map);
                batch.be32(2, number(*register));
                batch.be32(3, NFT_REG_VERDICT);
            }
            Expression::DestinationKind { to } => {
                batch.be32(1, number(*to));
                batch.be32(2, 3); // NFT_FIB_RESULT_ADDRTYPE
                batch.be32(3, 2); // NFTA_FIB_F_DADDR
            }
            Expression::Immediate { to, value } => {
                batch.be32(1, number(*to));
                batch.nest(2, |batch| batch.put(NFTA_DATA_VALUE, value));
            }
            Expression::DestinationNat { is_ipv6, address, port } => {
                batch.be32(1, 1); // NFT_NAT_DNAT
                batch.be32(2, if *is_ipv6 { 10 } else { 2 });
                batch.be32(3, number(*address));
                batch.be32(5, number(*port));
            }
            Expression::Masquerade | Expression::Counter => {}
            Expression::Verdict(verdict) => {
                batch.be32(1, NFT_REG_VERDICT);
                batch.nest(2, |batch| verdict.put(batch));
            }
        }
    }
}

/// `operator` 0 is equal, 1 is not.
fn put_comparison(batch: &mut Batch, register: u32, operator: u32, value: &[u8]) {
    batch.be32(1, register);
    batch.be32(2, operator);
    batch.nest(3, |batch| batch.put(NFTA_DATA_VALUE, value));
}
