//! Reachability with real packets: a host, containers on two networks and one internal, a machine outside, each a network
//! namespace of its own.

use super::*;
use crate::endpoint::{Request, attach, detach, list};
use crate::network::{Network, create, find};
use crate::ports::{Protocol, Publish};
use crate::testing::{TempDir, container, on_new_host};
use kernel::namespace::{Kind, join};
use kernel::netlink::{Batch, Bridge, Veth, within};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(1);

/// Answers each connection with the address it came from, for ever.
fn serve(namespace: &OwnedFd, port: u16) {
    let listener = within(namespace, || Ok(TcpListener::bind(("0.0.0.0", port)).unwrap())).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = listener.accept() {
            let _ = stream.write_all(from.ip().to_string().as_bytes());
        }
    });
}

/// What the server says about us; `None` when it cannot be reached.
fn ask(namespace: Option<&OwnedFd>, to: &str) -> Option<String> {
    let to: SocketAddr = to.parse().unwrap();
    let connect = || {
        let mut stream = TcpStream::connect_timeout(&to, WAIT).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    };
    match namespace {
        Some(namespace) => within(namespace, || Ok(connect())).unwrap(),
        None => connect(),
    }
}

struct Host {
    places: Places,
    _dir: TempDir,
}

impl Host {
    fn new() -> Host {
        let dir = TempDir::new("firewall");
        Host { places: Places::new(dir.path(), dir.path()), _dir: dir }
    }

    fn network(&self, name: &str, internal: bool) -> Network {
        let request = network::Request { name: name.to_owned(), internal, ..network::Request::default() };
        create(&self.places, request).unwrap()
    }

    fn request<'a>(&self, namespace: &'a OwnedFd, container: &'a str) -> Request<'a> {
        Request {
            container,
            name: "x",
            names: Vec::new(),
            namespace: namespace.as_fd(),
            interface: "eth0",
            ipv4: None,
            ipv6: None,
            mac: None,
            is_default_route: true,
            publish: &[],
        }
    }

    fn join(
        &self,
        network: &Network,
        number: u8,
        publish: &[Publish],
    ) -> (OwnedFd, Endpoint, crate::ports::Reservations) {
        let namespace = container();
        let (container, name) = (format!("{number:02x}").repeat(32), format!("c{number}"));
        let request =
            Request { name: &name, names: vec![name.clone()], publish, ..self.request(&namespace, &container) };
        let (endpoint, held) = attach(&Session::default(), &self.places, network, &request).unwrap();
        serve(&namespace, 80);
        (namespace, endpoint, held)
    }
}

/// A machine on the host's LAN, 192.0.2.0/24: the host is .1, it is .2 and has no route to containers.
fn outside() -> OwnedFd {
    let namespace = container();
    let socket = Socket::route().unwrap();
    let mut batch = Batch::new();
    batch.add_bridge(&Bridge { name: "lan", mac: [2, 0, 0, 0, 0, 9], mtu: None });
    batch.set_up("lan");
    socket.run(&batch, "lan").unwrap();
    let index = socket.link("lan").unwrap().unwrap().index;
    let mut batch = Batch::new();
    batch.add_address(index, "192.0.2.1".parse().unwrap(), 24);
    let (peer_mac, peer_namespace) = ([2, 0, 0, 0, 0, 8], namespace.as_fd());
    batch.add_veth(&Veth { name: "out", master: index, mtu: None, peer_name: "eth0", peer_mac, peer_namespace });
    socket.run(&batch, "out").unwrap();
    let inside = Socket::route_in(&namespace).unwrap();
    let index = inside.link("eth0").unwrap().unwrap().index;
    let mut batch = Batch::new();
    batch.add_address(index, "192.0.2.2".parse().unwrap(), 24);
    batch.set_up("eth0");
    inside.run(&batch, "address").unwrap();
    serve(&namespace, 80);
    namespace
}

fn publish(port: u16) -> Publish {
    Publish { protocol: Protocol::Tcp, container_port: 80, host_address: None, host_ports: (port, port) }
}

#[test]
fn who_reaches_whom() {
    on_new_host(|| {
        let host = Host::new();
        let outside = outside();
        let (one, two, closed) = (host.network("one", false), host.network("two", false), host.network("closed", true));
        let (a, a_end, _a) = host.join(&one, 1, &[publish(8080)]);
        let (b, _, _b) = host.join(&one, 2, &[]);
        let (c, _, _c) = host.join(&two, 3, &[]);
        let (d, d_end, _d) = host.join(&closed, 4, &[]);
        let (e, _, _e) = host.join(&closed, 5, &[]);
        let at = |endpoint: &Endpoint| format!("{}:80", endpoint.ipv4.unwrap());
        let gateway = one.pools[0].gateway.unwrap().to_string();
        // Host and neighbours.
        assert_eq!(ask(None, &at(&a_end)), Some(gateway.clone()));
        assert_eq!(ask(Some(&b), &at(&a_end)), list(&host.places, &one).unwrap()[1].ipv4.map(|ip| ip.to_string()));
        assert!(ask(Some(&e), &at(&d_end)).is_some());
        // Published: the client outside keeps its address; from the host, by any of its addresses; from the container itself.
        assert_eq!(ask(Some(&outside), "192.0.2.1:8080").as_deref(), Some("192.0.2.2"));
        assert_eq!(ask(None, "192.0.2.1:8080").as_deref(), Some("192.0.2.1"));
        assert_eq!(ask(None, "127.0.0.1:8080"), Some(gateway.clone()));
        assert_eq!(ask(Some(&a), "192.0.2.1:8080"), Some(gateway.clone()));
        assert_eq!(ask(Some(&b), &format!("{gateway}:8080")), Some(gateway.clone()));
        assert!(ask(Some(&c), "192.0.2.1:8080").is_some());
        // Out, under the host's address.
        assert_eq!(ask(Some(&a), "192.0.2.2:80").as_deref(), Some("192.0.2.1"));
        // What must not be.
        assert_eq!(ask(Some(&c), &at(&a_end)), None, "another network");
        assert_eq!(ask(Some(&d), "192.0.2.2:80"), None, "out of an internal network");
        assert_eq!(ask(Some(&d), &at(&a_end)), None, "from an internal network");
        assert_eq!(ask(Some(&outside), &at(&a_end)), None, "around the published ports");
        // A foreign flush, and the way back.
        let name = host.places.table();
        let mut change = Transaction::new();
        change.delete_table(Tables::named(&name).inet);
        change.delete_table(Tables::named(&name).bridge);
        change.commit(&Socket::netfilter().unwrap()).unwrap();
        assert!(!is_present(&host.places).unwrap());
        rebuild(&Session::default(), &host.places).unwrap();
        assert_eq!(ask(Some(&outside), "192.0.2.1:8080").as_deref(), Some("192.0.2.2"));
        // The end.
        detach(&Session::default(), &host.places, &one.id, &a_end.container).unwrap();
        assert_eq!(ask(Some(&outside), "192.0.2.1:8080"), None);
        detach(&Session::default(), &host.places, &one.id, &a_end.container).unwrap();
    });
}

#[test]
fn neighbours_cannot_reach_what_is_published_at_the_loopback() {
    on_new_host(|| {
        let host = Host::new();
        let outside = outside();
        let one = host.network("one", false);
        let local = Publish { host_address: Some("127.0.0.1".parse().unwrap()), ..publish(8080) };
        let (a, _, _a) = host.join(&one, 1, &[local]);
        assert!(ask(None, "127.0.0.1:8080").is_some());
        assert_eq!(ask(None, "192.0.2.1:8080"), None);
        // With a route to 127.0.0.1 by the host, as an attacker would set it.
        for (namespace, gateway) in
            [(&outside, "192.0.2.1".to_owned()), (&a, one.pools[0].gateway.unwrap().to_string())]
        {
            within(namespace, || {
                let _ = std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1");
                Ok(())
            })
            .unwrap();
            let moved = within(namespace, || {
                let ip = |line: &str| std::process::Command::new("ip").args(line.split(' ')).status();
                let _ = ip("addr del 127.0.0.1/8 dev lo");
                Ok(ip(&format!("route add 127.0.0.1/32 via {gateway} dev eth0")).is_ok_and(|status| status.success()))
            });
            assert!(moved.unwrap(), "ip");
            assert_eq!(ask(Some(namespace), "127.0.0.1:8080"), None);
        }
    });
}

#[test]
fn forged_senders_get_nowhere() {
    on_new_host(|| {
        let host = Host::new();
        let one = host.network("one", false);
        let (a, a_end, _a) = host.join(&one, 1, &[]);
        let (b, b_end, _b) = host.join(&one, 2, &[]);
        let receiver = within(&b, || Ok(UdpSocket::bind((IpAddr::from(b_end.ipv4.unwrap()), 9)).unwrap())).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let send = |from: IpAddr, word: &[u8]| {
            let sender = within(&a, || Ok(UdpSocket::bind((from, 0)).unwrap())).unwrap();
            let _ = sender.send_to(word, receiver.local_addr().unwrap());
        };
        let receive = || {
            let mut word = [0; 1];
            receiver.recv(&mut word).unwrap();
            word
        };
        let own = a_end.ipv4.unwrap().into();
        send(own, b"1");
        assert_eq!(&receive(), b"1");
        // Another address on the same interface.
        let inside = Socket::route_in(&a).unwrap();
        let index = inside.link("eth0").unwrap().unwrap().index;
        let forged = one.pools[0].subnet.nth(77);
        let mut batch = Batch::new();
        batch.add_address(index, forged, 24);
        inside.run(&batch, "forge").unwrap();
        // What arrives next is what was sent last.
        send(forged, b"2");
        send(own, b"3");
        assert_eq!(&receive(), b"3");
    });
}

#[test]
fn errors_leave_nothing() {
    on_new_host(|| {
        let host = Host::new();
        let one = host.network("one", false);
        let (_a, a_end, _held) = host.join(&one, 1, &[publish(8080)]);
        let namespace = container();
        let id = "77".repeat(32);
        let request = Request { publish: &[publish(8080)], ..host.request(&namespace, &id) };
        let places = &host.places;
        let error = |request: &Request<'_>| attach(&Session::default(), places, &one, request).unwrap_err().to_string();
        assert!(error(&request).contains("port is already allocated"));
        assert!(error(&Request { ipv4: a_end.ipv4, publish: &[], ..request.clone() }).contains("in use"));
        let elsewhere = Some("10.99.99.99".parse().unwrap());
        assert!(error(&Request { ipv4: elsewhere, publish: &[], ..request.clone() }).contains("no subnet"));
        assert!(error(&Request { interface: "a-name-too-long-for-it", publish: &[], ..request.clone() }).len() > 5);
        assert_eq!(list(places, &one).unwrap().len(), 1);
        assert_eq!(find(places, "one").unwrap().name, "one");
        // All addresses but the gateway's and the first container's are free: the next 252 get one.
        for number in 0..252 {
            let id = format!("{:064x}", number + (1u128 << 126));
            let id = format!("{}{id}", "f".repeat(32)).chars().skip(32).collect::<String>();
            let id: String = id.chars().rev().collect();
            crate::addresses::Table::of(&places.of_network(&one.id), false).take(&id, 2..=254, |_| false).unwrap();
        }
        assert!(matches!(
            attach(&Session::default(), places, &one, &Request { publish: &[], ..request }),
            Err(crate::Error::Exhausted(_))
        ));
    });
}

#[test]
fn a_failed_first_start_leaves_no_network_without_rules() {
    on_new_host(|| {
        let host = Host::new();
        let (one, two) = (host.network("one", false), host.network("two", false));
        let (a, a_end, _a) = host.join(&one, 1, &[publish(8080)]);
        // Its bridge is made before the port is found to be taken.
        let namespace = container();
        let id = "77".repeat(32);
        let request = Request { container: &id, publish: &[publish(8080)], ..host.request(&namespace, &id) };
        assert!(attach(&Session::default(), &host.places, &two, &request).is_err());
        let (_b, b_end, _held) = host.join(&two, 2, &[]);
        assert!(ask(None, &format!("{}:80", a_end.ipv4.unwrap())).is_some());
        assert_eq!(ask(Some(&a), &format!("{}:80", b_end.ipv4.unwrap())), None);
        // Killed before the bridge had its address.
        let socket = Socket::route().unwrap();
        let three = host.network("three", false);
        let mut batch = Batch::new();
        batch.add_bridge(&Bridge { name: &three.interface, mac: crate::bridge::mac(&three), mtu: None });
        socket.run(&batch, "half of it").unwrap();
        let (c, _, _c) = host.join(&three, 3, &[]);
        assert!(ask(Some(&c), &format!("{}:8080", three.pools[0].gateway.unwrap())).is_some());
    });
}

#[test]
fn a_port_of_a_container_that_was_killed_is_anothers() {
    on_new_host(|| {
        let host = Host::new();
        let one = host.network("one", false);
        let (_a, old, held) = host.join(&one, 1, &[publish(8080)]);
        drop(held);
        let (_b, new, _held) = host.join(&one, 2, &[publish(8080)]);
        assert!(ask(None, "127.0.0.1:8080").is_some());
        rebuild(&Session::default(), &host.places).unwrap();
        // What is cleared away late takes nothing from the other.
        detach(&Session::default(), &host.places, &one.id, &old.container).unwrap();
        assert!(ask(None, "127.0.0.1:8080").is_some());
        assert_eq!(list(&host.places, &one).unwrap(), [new]);
    });
}

#[test]
fn rules_for_many_containers_are_made_again() {
    on_new_host(|| {
        let host = Host::new();
        let one = host.network("one", false);
        let (_a, like, _held) = host.join(&one, 1, &[publish(8080)]);
        for number in 0..2000u32 {
            let container = format!("{:064x}", number + 1000);
            let (port, ipv4) = (format!("brigv{number}"), Some(std::net::Ipv4Addr::from(number + 1000)));
            let mut published = like.published.clone();
            published[0].host_port = 10_000 + number as u16;
            let endpoint = Endpoint { container: container.clone(), port, ipv4, published, ..like.clone() };
            file::write(&host.places.endpoint(&one.id, &container), &endpoint).unwrap();
        }
        rebuild(&Session::default(), &host.places).unwrap();
        assert!(ask(None, "127.0.0.1:8080").is_some());
    });
}

#[test]
fn a_bridge_of_somebody_else_is_left_alone() {
    on_new_host(|| {
        let host = Host::new();
        let mut one = host.network("one", false);
        one.interface = "theirs".into();
        let socket = Socket::route().unwrap();
        let mut batch = Batch::new();
        batch.add_bridge(&Bridge { name: "theirs", mac: [2, 0, 0, 0, 0, 9], mtu: None });
        socket.run(&batch, "their bridge").unwrap();
        let error = crate::bridge::ensure(&socket, &one).unwrap_err().to_string();
        assert!(error.contains("not the bridge of network one"), "{error}");
        assert!(!crate::bridge::remove(&one).unwrap());
        assert!(socket.link("theirs").unwrap().is_some());
        let options = [(network::OPTION_NAME.to_owned(), "theirs".to_owned())].into();
        let request = network::Request { name: "two".into(), options, ..network::Request::default() };
        assert!(create(&host.places, request).unwrap_err().to_string().contains("already"));
    });
}

/// Unused namespaces of helpers must not keep the thread from its own.
#[test]
fn the_thread_stays_where_it_was() {
    on_new_host(|| {
        let other = container();
        let own = kernel::namespace::open(std::path::Path::new("/proc/thread-self/ns/net")).unwrap();
        within(&other, || Ok(())).unwrap();
        let now = kernel::namespace::open(std::path::Path::new("/proc/thread-self/ns/net")).unwrap();
        assert!(kernel::namespace::is_same(&own, &now).unwrap());
        join(&own, Kind::Network).unwrap();
    });
}
