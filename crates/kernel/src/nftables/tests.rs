//! Tables in network namespaces made for the test, asked of the kernel and tried with real packets.

use super::expression::{Ct, Expression as E, Meta, Payload};
use super::*;
use crate::netlink::tests::in_new_network;
use rustix::io::Errno;
use std::net::{TcpListener, TcpStream, UdpSocket};

const TABLE: Table<'static> = Table { family: Family::Inet, name: "t" };
const PORTS: [Type; 2] = [Type::InetProtocol, Type::InetService];
const TO: [Type; 2] = [Type::Ipv4Address, Type::InetService];

fn port_key(protocol: u8, port: u16) -> Vec<u8> {
    key(&[&[protocol], &port.to_be_bytes()])
}

/// A connection to a local port is sent to another one by a map.
fn redirecting(socket: &Socket) {
    let mut change = Transaction::new();
    change.add_table(TABLE);
    change.delete_table(TABLE);
    change.add_table(TABLE);
    change.add_set(TABLE, "ports", &PORTS, Data::Value(&TO));
    let base = Base { kind: "nat", hook: Hook::Output, priority: -100 };
    change.add_base_chain(TABLE, "output", base);
    let rule = [
        E::Meta { key: Meta::NfProtocol, to: 0 },
        E::Equal { register: 0, value: &[2] },
        E::DestinationKind { to: 0 },
        E::Equal { register: 0, value: &2u32.to_ne_bytes() },
        E::Meta { key: Meta::L4Protocol, to: 0 },
        E::Payload { base: Payload::Transport, offset: 2, length: 2, to: 1 },
        E::Map { register: 0, map: "ports", to: 4 },
        E::Counter,
        E::DestinationNat { is_ipv6: false, address: 4, port: 5 },
    ];
    change.add_rule(TABLE, "output", &rule);
    change.commit(socket).unwrap();
}

fn element(protocol: u8, port: u16, to: u16) -> Element {
    let value = Some(Value::Data(key(&[&[127, 0, 0, 1], &to.to_be_bytes()])));
    Element { key: port_key(protocol, port), value }
}

#[test]
fn map_elements_redirect_and_can_be_taken_away() {
    in_new_network(|_| {
        let socket = Socket::netfilter().unwrap();
        redirecting(&socket);
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp_element = element(6, 80, tcp.local_addr().unwrap().port());
        let udp_element = element(17, 80, udp.local_addr().unwrap().port());
        let mut change = Transaction::new();
        change.add_elements(TABLE, "ports", &[tcp_element.clone(), udp_element]);
        change.commit(&socket).unwrap();
        TcpStream::connect("127.0.0.1:80").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"x", "127.0.0.1:80").unwrap();
        assert_eq!(udp.recv_from(&mut [0; 4]).unwrap().1, client.local_addr().unwrap());

        assert_eq!(socket.element_keys(TABLE, "ports").unwrap().len(), 2);
        let mut change = Transaction::new();
        change.delete_elements(TABLE, "ports", &[Element::key(tcp_element.key)]);
        change.commit(&socket).unwrap();
        assert!(TcpStream::connect("127.0.0.1:80").is_err());
        assert_eq!(socket.element_keys(TABLE, "ports").unwrap(), [port_key(17, 80)]);
    });
}

#[test]
fn a_transaction_is_done_as_a_whole_or_not_at_all() {
    in_new_network(|_| {
        let socket = Socket::netfilter().unwrap();
        assert!(!socket.has_table(TABLE).unwrap());
        let mut change = Transaction::new();
        change.add_table(TABLE);
        change.delete_elements(TABLE, "nothing", &[Element::key(vec![0; 8])]);
        assert_eq!(change.commit(&socket).unwrap_err().errno, Errno::NOENT);
        assert!(!socket.has_table(TABLE).unwrap());
        redirecting(&socket);
        assert!(socket.has_table(TABLE).unwrap());
        assert!(socket.has_chain(TABLE, "output").unwrap());
        assert!(!socket.has_chain(TABLE, "input").unwrap());
        // The same again is no error, and what it replaces goes.
        redirecting(&socket);
        assert_eq!(socket.element_keys(TABLE, "ports").unwrap().len(), 0);
    });
}

#[test]
fn thousands_of_elements_in_one_transaction() {
    in_new_network(|_| {
        let socket = Socket::netfilter().unwrap();
        redirecting(&socket);
        let elements: Vec<Element> = (1..=5000).map(|port| element(6, port, port)).collect();
        let mut change = Transaction::new();
        change.add_elements(TABLE, "ports", &elements);
        change.commit(&socket).unwrap();
        assert_eq!(socket.element_keys(TABLE, "ports").unwrap().len(), 5000);
    });
}

#[test]
fn verdict_maps_sets_and_the_bridge_family() {
    in_new_network(|_| {
        let socket = Socket::netfilter().unwrap();
        let bridge = Table { family: Family::Bridge, name: "t" };
        let mut change = Transaction::new();
        change.add_table(TABLE);
        change.add_table(bridge);
        change.add_chain(TABLE, "target");
        change.add_set(TABLE, "jumps", &[Type::InterfaceName], Data::Verdict);
        change.add_base_chain(TABLE, "input", Base { kind: "filter", hook: Hook::Input, priority: 0 });
        change.add_rule(
            TABLE,
            "input",
            &[
                E::Ct { key: Ct::State, to: 0 },
                E::And { register: 0, mask: &6u32.to_ne_bytes() },
                E::Differs { register: 0, value: &[0; 4] },
                E::Verdict(Verdict::Accept),
            ],
        );
        change.add_rule(
            TABLE,
            "input",
            &[E::Meta { key: Meta::InputName, to: 0 }, E::VerdictMap { register: 0, map: "jumps" }],
        );
        change.add_rule(TABLE, "target", &[E::Verdict(Verdict::Drop)]);
        let value = Some(Value::Verdict(Verdict::Jump("target".to_owned())));
        change.add_elements(TABLE, "jumps", &[Element { key: interface_key("lo").to_vec(), value }]);
        let types = [Type::InterfaceName, Type::EtherAddress, Type::Ipv4Address];
        change.add_set(bridge, "hosts", &types, Data::Nothing);
        change.add_base_chain(bridge, "pre", Base { kind: "filter", hook: Hook::Prerouting, priority: -300 });
        let rule = [
            E::Meta { key: Meta::InputName, to: 0 },
            E::Payload { base: Payload::Link, offset: 6, length: 6, to: 4 },
            E::Payload { base: Payload::Network, offset: 12, length: 4, to: 6 },
            E::NotInSet { register: 0, set: "hosts" },
            E::Verdict(Verdict::Drop),
        ];
        change.add_rule(bridge, "pre", &rule);
        let host = key(&[&interface_key("v0"), &[2, 0, 0, 0, 0, 1], &[10, 0, 0, 1]]);
        change.add_elements(bridge, "hosts", &[Element::key(host)]);
        change.commit(&socket).unwrap();
        // Everything that comes in by lo is dropped now.
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", server.local_addr().unwrap()).unwrap();
        assert!(server.recv(&mut [0; 4]).is_err());
    });
}
