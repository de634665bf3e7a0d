//! Interfaces, addresses and routes in network namespaces made for the test.

use super::*;
use crate::namespace::{Set, unshare};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Runs `test` on a thread of its own in a new network namespace, with a second one at hand.
pub(crate) fn in_new_network(test: impl FnOnce(OwnedFd) + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let run = move || {
        unshare(Set::NONE.with(Kind::Network)).unwrap();
        crate::loopback::bring_up().unwrap();
        test(namespace::new_network().unwrap());
    };
    std::thread::spawn(run).join().unwrap();
}

const MAC: Mac = [2, 0x42, 10, 9, 8, 7];

#[test]
fn a_veth_pair_with_its_peer_in_another_namespace() {
    in_new_network(|other| {
        let socket = Socket::route().unwrap();
        let mut batch = Batch::new();
        batch.add_bridge(&Bridge { name: "br0", mac: [2, 0, 0, 0, 0, 1], mtu: Some(1400) });
        batch.set_up("br0");
        socket.run(&batch, "make bridge").unwrap();
        let bridge = socket.link("br0").unwrap().unwrap();
        assert!(bridge.is_up);
        assert_eq!((bridge.mac, bridge.mtu), (Some([2, 0, 0, 0, 0, 1]), 1400));
        let mut batch = Batch::new();
        batch.add_address(bridge.index, ip("10.9.8.1"), 24);
        batch.add_address(bridge.index, ip("fd00:9::1"), 64);
        let veth = Veth {
            name: "v0",
            master: bridge.index,
            mtu: None,
            peer_name: "eth0",
            peer_mac: MAC,
            peer_namespace: other.as_fd(),
        };
        batch.add_veth(&veth);
        batch.set_hairpin("v0");
        batch.set_isolated("v0");
        socket.run(&batch, "make pair").unwrap();
        let port = socket.link("v0").unwrap().unwrap();
        assert_eq!((port.master, port.is_up), (Some(bridge.index), true));
        let inside = Socket::route_in(&other).unwrap();
        let eth0 = inside.link("eth0").unwrap().unwrap();
        assert_eq!((eth0.mac, eth0.is_up), (Some(MAC), false));
        let mut batch = Batch::new();
        batch.set_up("eth0");
        batch.add_address(eth0.index, ip("10.9.8.7"), 24);
        batch.add_address(eth0.index, ip("fd00:9::7"), 64);
        batch.add_default_route(ip("10.9.8.1"), eth0.index);
        batch.add_default_route(ip("fd00:9::1"), eth0.index);
        inside.run(&batch, "set up").unwrap();
        assert!(inside.addresses().unwrap().contains(&(eth0.index, ip("10.9.8.7"), 24)));
        let routes = inside.routes().unwrap();
        let default = routes.iter().filter(|route| route.destination.is_none() && route.gateway.is_some());
        assert_eq!(default.count(), 2);
        assert!(routes.iter().any(|route| route.destination == Some(ip("10.9.8.0")) && route.length == 24));

        let mut batch = Batch::new();
        batch.delete_link("v0");
        socket.run(&batch, "delete").unwrap();
        assert_eq!(inside.link("eth0").unwrap(), None);
    });
}

#[test]
fn refusals_carry_errno_and_do_not_stop_what_follows() {
    in_new_network(|_| {
        let socket = Socket::route().unwrap();
        let mut batch = Batch::new();
        batch.add_bridge(&Bridge { name: "br0", mac: [2, 0, 0, 0, 0, 1], mtu: None });
        batch.add_bridge(&Bridge { name: "br0", mac: [2, 0, 0, 0, 0, 2], mtu: None });
        batch.add_bridge(&Bridge { name: "br1", mac: [2, 0, 0, 0, 0, 3], mtu: None });
        assert_eq!(socket.run(&batch, "make").unwrap_err().errno, Errno::EXIST);
        assert!(socket.link("br1").unwrap().is_some());
        assert_eq!(socket.link("nothing").unwrap(), None);
        assert_eq!(socket.links().unwrap().len(), 3);
        let mut batch = Batch::new();
        batch.delete_link("nothing");
        assert_eq!(socket.run(&batch, "delete").unwrap_err().errno, Errno::NODEV);
    });
}

#[test]
fn macvlan_is_born_in_its_namespace() {
    in_new_network(|other| {
        let socket = Socket::route().unwrap();
        let mut batch = Batch::new();
        batch.add_bridge(&Bridge { name: "br0", mac: [2, 0, 0, 0, 0, 1], mtu: None });
        batch.set_up("br0");
        socket.run(&batch, "make").unwrap();
        let parent = socket.link("br0").unwrap().unwrap().index;
        let mut batch = Batch::new();
        let kind = VirtualKind::MacvlanBridge;
        batch.add_virtual(&Virtual { name: "eth0", kind, parent, namespace: other.as_fd(), mac: Some(MAC), mtu: None });
        match socket.run(&batch, "make macvlan") {
            // A kernel without the module.
            Err(error) if error.errno == Errno::OPNOTSUPP => return,
            result => result.unwrap(),
        }
        let inside = Socket::route_in(&other).unwrap();
        let mut batch = Batch::new();
        batch.set_up("eth0");
        inside.run(&batch, "set up").unwrap();
        let eth0 = inside.link("eth0").unwrap().unwrap();
        assert_eq!((eth0.mac, eth0.is_up), (Some(MAC), true));
    });
}

#[test]
fn cut_off_messages_are_the_end() {
    assert_eq!(Reader::messages(&[1, 2, 3]).count(), 0);
    assert_eq!(Reader::messages(&[255; 40]).count(), 0);
    assert_eq!(Reader::attributes(&[3, 0, 0, 0]).count(), 0);
    let mut batch = Batch::new();
    batch.begin(16, 0, &[0; 16]);
    batch.text(3, "abc");
    let bytes = batch.bytes();
    assert_eq!(Reader::messages(bytes).count(), 1);
    for length in 0..bytes.len() {
        assert_eq!(Reader::messages(&bytes[..length]).count(), 0);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for (_, body) in Reader::messages(&bytes) {
            Reader::attributes(body).for_each(drop);
        }
        Reader::attributes(&bytes).for_each(drop);
        let _ = acknowledgement(0, &bytes, "x");
        let _ = acknowledgement(NLM_F_CAPPED, &bytes, "x");
    }
}
