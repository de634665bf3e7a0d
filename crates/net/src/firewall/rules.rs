//! The rules of both tables, as they would read in nft(8):
//!
//! ```text
//! chain raw          prerouting -300   drop what claims to go to 127.0.0.0/8 and did not come from this machine
//! chain prerouting   nat -100          jump dnat
//! chain output       nat -100          jump dnat
//! chain dnat         fib daddr type local, not ::1: dnat to map {ports4-at, ports4, ports6-at, ports6}
//! chain postrouting  nat 100           of each network: out of it, back into it through a published port, from 127.0.0.1:
//!                                      masquerade
//! chain forward      filter 0          known connections: accept; by interface: jump from-N, to-N
//! chain from-N       internal: to elsewhere: drop
//! chain to-N         from itself: accept; published ports: accept; else drop
//! ```
//! Addresses of clients outside are not changed on their way to a published port.

use crate::network::Network;
use kernel::nftables::expression::{Ct, Expression as E, Meta, Payload};
use kernel::nftables::{Base, Data, Element, Hook, Table, Transaction, Type, Value, Verdict, interface_key};
use std::net::IpAddr;

/// NFPROTO_IPV4 and NFPROTO_IPV6, as the one byte that `meta nfproto` gives.
const IPV4: &[u8] = &[2];
const IPV6: &[u8] = &[10];
/// Ethernet's protocols, in network order.
const ETHER_IPV4: &[u8] = &[0x08, 0x00];
const ETHER_ARP: &[u8] = &[0x08, 0x06];
const ETHER_IPV6: &[u8] = &[0x86, 0xdd];
/// fe80::/10
const LINK_LOCAL: &[u8] = &[0xfe, 0x80];
const LINK_LOCAL_MASK: &[u8] = &[0xff, 0xc0];
const LOOPBACK_IPV6: [u8; 16] = std::net::Ipv6Addr::LOCALHOST.octets();
/// RTN_LOCAL (linux/rtnetlink.h).
const LOCAL: [u8; 4] = 2u32.to_ne_bytes();
/// Bits of `ct state`: established and related; of `ct status`: the destination was translated (IPS_DST_NAT).
const KNOWN: [u8; 4] = 6u32.to_ne_bytes();
const TRANSLATED: [u8; 4] = 0x20u32.to_ne_bytes();

/// Where addresses are in the two headers of IP: offset of source, of destination, length.
fn layout(is_ipv6: bool) -> (u32, u32, u32) {
    if is_ipv6 { (8, 24, 16) } else { (12, 16, 4) }
}

fn verdict(verdict: Verdict) -> E<'static> {
    E::Verdict(verdict)
}

fn jump(chain: &str) -> Verdict {
    Verdict::Jump(chain.to_owned())
}

pub fn inet(change: &mut Transaction, table: Table<'_>, networks: &[Network]) {
    let to4 = [Type::Ipv4Address, Type::InetService];
    let to6 = [Type::Ipv6Address, Type::InetService];
    let port = [Type::InetProtocol, Type::InetService];
    change.add_set(table, "ports4", &port, Data::Value(&to4));
    change.add_set(table, "ports6", &port, Data::Value(&to6));
    let port4 = [Type::Ipv4Address, Type::InetProtocol, Type::InetService];
    let port6 = [Type::Ipv6Address, Type::InetProtocol, Type::InetService];
    change.add_set(table, "ports4-at", &port4, Data::Value(&to4));
    change.add_set(table, "ports6-at", &port6, Data::Value(&to6));
    change.add_set(table, "to", &[Type::InterfaceName], Data::Verdict);
    change.add_set(table, "from", &[Type::InterfaceName], Data::Verdict);
    raw(change, table);
    translation(change, table);
    forwarding(change, table);
    for network in networks {
        of_network(change, table, network);
    }
}

/// Before connection tracking undoes what it did: an answer to 127.0.0.1 carries the bridge's address here, so nothing
/// honest is lost. Also for ports published at 127.0.0.1 only, which neighbours on the LAN could reach otherwise.
fn raw(change: &mut Transaction, table: Table<'_>) {
    change.add_base_chain(table, "raw", Base { kind: "filter", hook: Hook::Prerouting, priority: -300 });
    let rule = [
        E::Meta { key: Meta::NfProtocol, to: 0 },
        E::Equal { register: 0, value: IPV4 },
        E::Meta { key: Meta::InputName, to: 0 },
        E::Differs { register: 0, value: &interface_key("lo") },
        E::Payload { base: Payload::Network, offset: 16, length: 1, to: 0 },
        E::Equal { register: 0, value: &[127] },
        verdict(Verdict::Drop),
    ];
    change.add_rule(table, "raw", &rule);
}

fn translation(change: &mut Transaction, table: Table<'_>) {
    change.add_chain(table, "dnat");
    // The kernel never sends what comes from ::1 out of another interface than lo: better refused at once than lost, for
    // whoever asks for `localhost` tries 127.0.0.1 next.
    let to_loopback = [
        E::Meta { key: Meta::NfProtocol, to: 0 },
        E::Equal { register: 0, value: IPV6 },
        E::Payload { base: Payload::Network, offset: 24, length: 16, to: 0 },
        E::Equal { register: 0, value: &LOOPBACK_IPV6 },
        verdict(Verdict::Return),
    ];
    change.add_rule(table, "dnat", &to_loopback);
    for (is_ipv6, at, everywhere) in [(false, "ports4-at", "ports4"), (true, "ports6-at", "ports6")] {
        let (_, destination, length) = layout(is_ipv6);
        let words = length / 4;
        let guard = [
            E::Meta { key: Meta::NfProtocol, to: 0 },
            E::Equal { register: 0, value: if is_ipv6 { IPV6 } else { IPV4 } },
            E::DestinationKind { to: 0 },
            E::Equal { register: 0, value: &LOCAL },
        ];
        let target = [E::DestinationNat { is_ipv6, address: 8, port: 8 + words }];
        let exact = [
            E::Payload { base: Payload::Network, offset: destination, length, to: 0 },
            E::Meta { key: Meta::L4Protocol, to: words },
            E::Payload { base: Payload::Transport, offset: 2, length: 2, to: words + 1 },
            E::Map { register: 0, map: at, to: 8 },
        ];
        change.add_rule(table, "dnat", &[&guard[..], &exact, &target].concat());
        let any = [
            E::Meta { key: Meta::L4Protocol, to: 0 },
            E::Payload { base: Payload::Transport, offset: 2, length: 2, to: 1 },
            E::Map { register: 0, map: everywhere, to: 8 },
        ];
        change.add_rule(table, "dnat", &[&guard[..], &any, &target].concat());
    }
    for (chain, hook) in [("prerouting", Hook::Prerouting), ("output", Hook::Output)] {
        change.add_base_chain(table, chain, Base { kind: "nat", hook, priority: -100 });
        change.add_rule(table, chain, &[verdict(jump("dnat"))]);
    }
    change.add_base_chain(table, "postrouting", Base { kind: "nat", hook: Hook::Postrouting, priority: 100 });
}

fn forwarding(change: &mut Transaction, table: Table<'_>) {
    change.add_base_chain(table, "forward", Base { kind: "filter", hook: Hook::Forward, priority: 0 });
    let known = [
        E::Ct { key: Ct::State, to: 0 },
        E::And { register: 0, mask: &KNOWN },
        E::Differs { register: 0, value: &[0; 4] },
        verdict(Verdict::Accept),
    ];
    change.add_rule(table, "forward", &known);
    // What leaves an internal network is dropped before a published port lets it into another one.
    for (key, map) in [(Meta::InputName, "from"), (Meta::OutputName, "to")] {
        change.add_rule(table, "forward", &[E::Meta { key, to: 0 }, E::VerdictMap { register: 0, map }]);
    }
}

/// The chains of a network, which bear its id: who adds the elements that lead there learns whether its rules are there.
fn chains(network: &Network) -> [(&'static str, String); 2] {
    let id = network.id.get(..12).unwrap_or_default();
    ["to", "from"].map(|map| (map, format!("{map}-{id}")))
}

/// Has packets of its bridge go through its chains.
pub fn add_network(change: &mut Transaction, table: Table<'_>, network: &Network) {
    let key = interface_key(&network.interface).to_vec();
    for (map, chain) in chains(network) {
        let value = Some(Value::Verdict(jump(&chain)));
        change.add_elements(table, map, &[Element { key: key.clone(), value }]);
    }
}

fn of_network(change: &mut Transaction, table: Table<'_>, network: &Network) {
    let interface = interface_key(&network.interface);
    let [(_, to), (_, from)] = chains(network);
    let came_from = [E::Meta { key: Meta::InputName, to: 0 }, E::Equal { register: 0, value: &interface }];
    let published = [
        E::Ct { key: Ct::Status, to: 0 },
        E::And { register: 0, mask: &TRANSLATED },
        E::Differs { register: 0, value: &[0; 4] },
    ];
    change.add_chain(table, &to);
    change.add_chain(table, &from);
    if network.talks_inside() {
        change.add_rule(table, &to, &[&came_from[..], &[verdict(Verdict::Accept)]].concat());
    }
    if !network.internal {
        change.add_rule(table, &to, &[&published[..], &[verdict(Verdict::Accept)]].concat());
    }
    change.add_rule(table, &to, &[verdict(Verdict::Drop)]);
    if network.internal {
        let leaves = [E::Meta { key: Meta::OutputName, to: 0 }, E::Differs { register: 0, value: &interface }];
        change.add_rule(table, &from, &[&leaves[..], &[verdict(Verdict::Drop)]].concat());
    }
    add_network(change, table, network);
    masquerading(change, table, network, &interface, &published);
}

fn masquerading(change: &mut Transaction, table: Table<'_>, network: &Network, interface: &[u8], published: &[E<'_>]) {
    let leaves_by = [E::Meta { key: Meta::OutputName, to: 0 }, E::Equal { register: 0, value: interface }];
    for pool in &network.pools {
        let is_ipv6 = pool.subnet.is_ipv6();
        let (source, _, length) = layout(is_ipv6);
        let (network_bytes, mask) = bytes(pool.subnet.address(), pool.subnet.length());
        let of_subnet = [
            E::Meta { key: Meta::NfProtocol, to: 0 },
            E::Equal { register: 0, value: if is_ipv6 { IPV6 } else { IPV4 } },
            E::Payload { base: Payload::Network, offset: source, length, to: 0 },
            E::And { register: 0, mask: &mask },
            E::Equal { register: 0, value: &network_bytes },
        ];
        if network.masquerades() {
            let elsewhere =
                [E::Meta { key: Meta::OutputName, to: 0 }, E::Differs { register: 0, value: interface }, E::Masquerade];
            change.add_rule(table, "postrouting", &[&of_subnet[..], &elsewhere].concat());
        }
        // A container that talks to a published port of its own network: the answer must come back the same way.
        let hairpin = [&of_subnet[..], &leaves_by, published, &[E::Masquerade]].concat();
        change.add_rule(table, "postrouting", &hairpin);
    }
    if !network.internal {
        let from_loopback = [
            E::Meta { key: Meta::NfProtocol, to: 0 },
            E::Equal { register: 0, value: IPV4 },
            E::Payload { base: Payload::Network, offset: 12, length: 1, to: 0 },
            E::Equal { register: 0, value: &[127] },
        ];
        change.add_rule(table, "postrouting", &[&from_loopback[..], &leaves_by, &[E::Masquerade]].concat());
    }
}

/// The network's bytes and its mask.
fn bytes(address: IpAddr, length: u8) -> (Vec<u8>, Vec<u8>) {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mask = (0..bytes.len() as u32).map(|at| {
        let bits = u32::from(length).saturating_sub(at * 8).min(8);
        (0xff00u32 >> bits) as u8
    });
    let mask = mask.collect();
    (bytes, mask)
}

/// What leaves a container carries its own MAC and addresses, or goes nowhere. Ports that are not ours pass.
pub fn bridge(change: &mut Transaction, table: Table<'_>) {
    change.add_set(table, "members", &[Type::InterfaceName], Data::Nothing);
    change.add_set(table, "macs", &[Type::InterfaceName, Type::EtherAddress], Data::Nothing);
    change.add_set(table, "hosts4", &[Type::InterfaceName, Type::Ipv4Address], Data::Nothing);
    change.add_set(table, "hosts6", &[Type::InterfaceName, Type::Ipv6Address], Data::Nothing);
    change.add_base_chain(table, "senders", Base { kind: "filter", hook: Hook::Prerouting, priority: -300 });
    let mut rule = |rule: &[E<'_>]| change.add_rule(table, "senders", rule);
    let port = E::Meta { key: Meta::InputName, to: 0 };
    rule(&[port.clone(), E::NotInSet { register: 0, set: "members" }, verdict(Verdict::Accept)]);
    let sender = E::Payload { base: Payload::Link, offset: 6, length: 6, to: 4 };
    rule(&[port.clone(), sender, E::NotInSet { register: 0, set: "macs" }, verdict(Verdict::Drop)]);
    let is = |protocol| [E::Meta { key: Meta::Protocol, to: 0 }, E::Equal { register: 0, value: protocol }];
    // Before senders are accepted: no container is a router for others, or sends their packets elsewhere (CVE-2020-13401):
    // router advertisements and redirects of ICMPv6, wherever among the extension headers (RFC 7113).
    let icmp = |kind| {
        [
            E::Meta { key: Meta::L4Protocol, to: 0 },
            E::Equal { register: 0, value: &[58] },
            E::Payload { base: Payload::Transport, offset: 0, length: 1, to: 0 },
            E::Equal { register: 0, value: kind },
        ]
    };
    for kind in [&[134u8], &[137]] {
        rule(&[&is(ETHER_IPV6)[..], &icmp(kind), &[verdict(Verdict::Drop)]].concat());
    }
    // Nor does one advertise the address of a neighbour as its own; those of the link are each one's own to make.
    let target = |length| E::Payload { base: Payload::Transport, offset: 8, length, to: 0 };
    let elsewhere =
        [target(2), E::And { register: 0, mask: LINK_LOCAL_MASK }, E::Differs { register: 0, value: LINK_LOCAL }];
    let foreign = [
        port.clone(),
        E::Payload { base: Payload::Transport, offset: 8, length: 16, to: 4 },
        E::NotInSet { register: 0, set: "hosts6" },
        verdict(Verdict::Drop),
    ];
    rule(&[&is(ETHER_IPV6)[..], &icmp(&[136]), &elsewhere, &foreign].concat());
    for (protocol, offset, length, set) in
        [(ETHER_IPV4, 12, 4, "hosts4"), (ETHER_ARP, 14, 4, "hosts4"), (ETHER_IPV6, 8, 16, "hosts6")]
    {
        let known = [
            port.clone(),
            E::Payload { base: Payload::Network, offset, length, to: 4 },
            E::InSet { register: 0, set },
            verdict(Verdict::Accept),
        ];
        rule(&[&is(protocol)[..], &known].concat());
    }
    // Link-local addresses are made by the container itself, and before that it asks with none.
    let source = |length| E::Payload { base: Payload::Network, offset: 8, length, to: 0 };
    let link_local = [
        source(2),
        E::And { register: 0, mask: LINK_LOCAL_MASK },
        E::Equal { register: 0, value: LINK_LOCAL },
        verdict(Verdict::Accept),
    ];
    rule(&[&is(ETHER_IPV6)[..], &link_local].concat());
    let none = [source(16), E::Equal { register: 0, value: &[0; 16] }, verdict(Verdict::Accept)];
    rule(&[&is(ETHER_IPV6)[..], &none].concat());
    rule(&[verdict(Verdict::Drop)]);
}
