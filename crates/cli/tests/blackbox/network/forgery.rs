//! Containers cannot take others' addresses: what leaves one carries its own MAC and its own addresses, or goes nowhere.

use std::net::UdpSocket;

use super::host::{Host, Place};
use crate::harness::process::patience;

/// One byte from an address of `place` to the receiver.
fn send(place: &Place, from: &str, to: &UdpSocket, word: u8) {
    let to = to.local_addr().expect("bound");
    let sent = place.within(|| UdpSocket::bind((from, 0)).and_then(|socket| socket.send_to(&[word], to)));
    sent.unwrap_or_else(|error| panic!("from {from}: {error}"));
}

fn receive(receiver: &UdpSocket) -> u8 {
    let mut word = [0];
    receiver.recv(&mut word).expect("something arrives");
    word[0]
}

#[test]
fn forged_senders_get_nowhere() {
    let host = Host::new();
    host.ok("network create --subnet 10.9.0.0/24 --ipv6 --subnet fd00:9::/64 lab");
    let liar = host.idle("liar", "--network lab --mac-address 02:00:00:00:00:02");
    let peer = host.idle("peer", "--network lab");
    liar.ip("addr add 10.9.0.77/24 dev eth0");
    liar.ip("addr add fd00:9::77/64 dev eth0 nodad");
    for (own, forged, to) in [("10.9.0.2", "10.9.0.77", "10.9.0.3"), ("fd00:9::2", "fd00:9::77", "fd00:9::3")] {
        let receiver = peer.within(|| UdpSocket::bind((to, 9))).expect("a free port");
        receiver.set_read_timeout(Some(patience())).expect("a socket");
        send(&liar, own, &receiver, 1);
        assert_eq!(receive(&receiver), 1, "from {own}");
        send(&liar, forged, &receiver, 2);
        liar.ip("link set eth0 address 02:00:00:00:00:77");
        send(&liar, own, &receiver, 3);
        liar.ip("link set eth0 address 02:00:00:00:00:02");
        // What arrives next is what was sent last.
        send(&liar, own, &receiver, 4);
        assert_eq!(receive(&receiver), 4, "{forged} or another MAC has arrived");
        // Nor is anybody told where the forged one would be.
        liar.ip("neigh flush dev eth0");
        send(&liar, forged, &receiver, 5);
        send(&liar, own, &receiver, 6);
        assert_eq!(receive(&receiver), 6, "{forged} has arrived");
        let known = peer.ip("neigh show");
        assert!(!known.contains(forged) && !known.contains("00:77"), "{known}");
    }
}
