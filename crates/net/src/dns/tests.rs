//! Messages, whatever they are made of, and a resolver in a container with a server on the host behind it.

use super::message::{Question, TYPE_A, TYPE_AAAA};
use super::tcp::{put_message, take_message};
use super::*;
use crate::endpoint::{Request, attach};
use crate::firewall::Session;
use crate::network;
use crate::places::Places;
use crate::testing::{TempDir, container, on_new_host};
use kernel::netlink::within;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.extend([0, (kind >> 8) as u8, kind as u8, 0, 1]);
    bytes
}

#[test]
fn questions() {
    let question = Question::parse(&query("WEB.one", TYPE_A)).unwrap();
    assert_eq!((question.name.as_str(), question.kind, question.id), ("web.one", TYPE_A, 0x1234));
    let reverse = |name: &str| Question::parse(&query(name, message::TYPE_PTR)).unwrap().reverse();
    assert_eq!(reverse("4.3.2.10.in-addr.arpa"), Some("10.2.3.4".parse().unwrap()));
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
    assert_eq!(reverse(six), Some("fd00::1".parse().unwrap()));
    assert_eq!((reverse("x.in-addr.arpa"), reverse("1.ip6.arpa"), reverse("a.b")), (None, None, None));
    let mut response = query("a", TYPE_A);
    response[2] = 0x80;
    assert_eq!(Question::parse(&response), None);
    let [longest, longer] =
        [49, 50].map(|last| [&"a".repeat(50); 4].map(String::as_str).join(".") + "." + &"b".repeat(last));
    let addresses = [std::net::IpAddr::from([0; 16]); 20];
    assert!(Question::parse(&query(&longest, TYPE_AAAA)).unwrap().addresses(&addresses).len() <= 512);
    assert_eq!(Question::parse(&query(&longer, TYPE_AAAA)), None, "no name is that long");
    let answer = question.addresses(&["10.0.0.1".parse().unwrap()]);
    assert_eq!((&answer[..2], answer[7], &answer[answer.len() - 4..]), (&[0x12, 0x34][..], 1, &[10, 0, 0, 1][..]));
}

#[test]
fn resolv_conf() {
    let text =
        "# x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a b\noptions ndots:2\n";
    let found = Configuration::parse(text);
    assert_eq!(found.servers.len(), 2);
    assert_eq!(found.reachable(), ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((found.search, found.options), (vec!["a".to_owned(), "b".to_owned()], vec!["ndots:2".to_owned()]));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Some(question) = Question::parse(&bytes) {
            prop_assert!(question.addresses(&["10.0.0.1".parse().unwrap()]).len() <= bytes.len() + 16);
            let _ = (question.reverse(), question.pointer("a.b"), question.failure());
        }
        let mut buffer = bytes;
        while take_message(&mut buffer).is_some() {}
    }

    #[test]
    fn names_come_back(labels in proptest::collection::vec("[a-z0-9_-]{1,20}", 1..6), kind in any::<u16>()) {
        let name = labels.join(".");
        let question = Question::parse(&query(&name, kind)).unwrap();
        prop_assert_eq!((question.name, question.kind), (name, kind));
    }

    #[test]
    fn any_configuration_is_read(text in "\\PC{0,200}") {
        let _ = Configuration::parse(&text);
    }
}

/// Asks 127.0.0.11 inside; the answer.
fn ask(inside: &OwnedFd, resolver: &mut Resolver, query: &[u8]) -> Vec<u8> {
    let client = within(inside, || Ok(UdpSocket::bind("127.0.0.1:0").unwrap())).unwrap();
    client.send_to(query, (ADDRESS, 53)).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 600];
    for _ in 0..200 {
        resolver.work();
        if let Ok((length, from)) = client.recv_from(&mut buffer) {
            assert_eq!(from, (ADDRESS, 53).into());
            return buffer[..length].to_vec();
        }
    }
    panic!("no answer");
}

#[test]
fn containers_find_each_other_and_the_rest_is_sent_on() {
    on_new_host(|| {
        let dir = TempDir::new("dns");
        let places = Places::new(dir.path(), dir.path());
        let request = network::Request { name: "one".into(), ipv6: true, ..network::Request::default() };
        let network = network::create(&places, request).unwrap();
        let join = |number: u8, names: &[&str]| {
            let namespace = container();
            let request = Request {
                container: &format!("{number:02x}").repeat(32),
                name: names[0],
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                namespace: namespace.as_fd(),
                interface: "eth0",
                ipv4: None,
                ipv6: None,
                mac: None,
                is_default_route: true,
                publish: &[],
            };
            let endpoint = attach(&Session::default(), &places, &network, &request).unwrap().0;
            (namespace, endpoint)
        };
        let (inside, own) = join(1, &["one1"]);
        // The host's own resolver, at its loopback.
        let server = UdpSocket::bind("127.0.0.53:53").unwrap();
        let tcp_server = TcpListener::bind("127.0.0.53:53").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 600];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                let question = Question::parse(&buffer[..length]).unwrap();
                let _ = server.send_to(&question.addresses(&["192.0.2.9".parse().unwrap()]), from);
            }
        });
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp_server.accept() {
                let mut buffer = [0; 600];
                let length = stream.read(&mut buffer).unwrap();
                let mut out = Vec::new();
                let question = Question::parse(&buffer[2..length]).unwrap();
                put_message(&mut out, &question.addresses(&["192.0.2.9".parse().unwrap()]));
                stream.write_all(&out).unwrap();
            }
        });
        // The first server is not there: the second is asked.
        let servers = vec!["127.0.0.54".parse().unwrap(), "127.0.0.53".parse().unwrap()];
        let mut resolver = Resolver::open(
            inside.as_fd(),
            Names::new(places.clone(), &own.container, &[("short".into(), "web".into())]),
            servers,
        )
        .unwrap();
        let ends_with = |answer: &[u8], bytes: &[u8]| answer.ends_with(bytes);
        let (_other, web) = join(2, &["web", "alias"]);
        for name in ["web", "alias", "WEB", "web.one", "short"] {
            let answer = ask(&inside, &mut resolver, &query(name, TYPE_A));
            assert!(ends_with(&answer, &web.ipv4.unwrap().octets()), "{name}");
        }
        let answer = ask(&inside, &mut resolver, &query("web", TYPE_AAAA));
        assert!(ends_with(&answer, &web.ipv6.unwrap().octets()));
        let [a, b, c, d] = web.ipv4.unwrap().octets();
        let reverse = query(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"), message::TYPE_PTR);
        assert!(ends_with(&ask(&inside, &mut resolver, &reverse), b"\x03web\x03one\0"));
        assert!(ends_with(&ask(&inside, &mut resolver, &query("example.org", TYPE_A)), &[192, 0, 2, 9]));
        // One that comes later is found at once, one that goes is not.
        let (_third, late) = join(3, &["late"]);
        assert!(ends_with(&ask(&inside, &mut resolver, &query("late", TYPE_A)), &late.ipv4.unwrap().octets()));
        crate::endpoint::detach(&Session::default(), &places, &network.id, &late.container).unwrap();
        assert!(ends_with(&ask(&inside, &mut resolver, &query("late", TYPE_A)), &[192, 0, 2, 9]));
        // What is not a plain question stays here.
        let mut update = query("example.org", TYPE_A);
        update[2] |= 5 << 3;
        assert_eq!(ask(&inside, &mut resolver, &update)[2..4], [0xa9, 4]);
        let transfer = query("example.org", 252);
        assert_eq!(ask(&inside, &mut resolver, &transfer)[3] & 0xf, 2);
        // TCP, two questions over one connection, one of ours and one for outside.
        let mut stream = within(&inside, || Ok(TcpStream::connect((ADDRESS, 53)).unwrap())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        for (name, want) in [("web", web.ipv4.unwrap().octets()), ("example.org", [192, 0, 2, 9])] {
            let mut out = Vec::new();
            put_message(&mut out, &query(name, TYPE_A));
            stream.write_all(&out).unwrap();
            let mut incoming = Vec::new();
            let answer = (0..200).find_map(|_| {
                resolver.work();
                let mut buffer = [0; 600];
                if let Ok(length) = stream.read(&mut buffer) {
                    incoming.extend_from_slice(&buffer[..length]);
                }
                take_message(&mut incoming)
            });
            assert!(ends_with(&answer.unwrap(), &want), "{name}");
        }
    });
}
