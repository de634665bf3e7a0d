//! Names while containers come and go: who stays is found by all its names at every moment, who has come is found at once,
//! and who has gone is not found any more.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::host::{Host, Place};
use crate::harness::process::patience;
use crate::slow::is_wanted;

/// What a name server answers: addresses, or a code of RFC 1035, 4.1.1 (3: no such name); `None` after a long time.
#[derive(Debug, PartialEq)]
enum Answer {
    Addresses(Vec<IpAddr>),
    Code(u8),
    Nothing,
}

/// Asks the resolver of the container whose namespace it is for an address of IPv4.
fn ask(place: &Place, name: &str) -> Answer {
    let socket = place.within(|| UdpSocket::bind("127.0.0.1:0")).expect("a free port");
    socket.connect("127.0.0.11:53").expect("an address");
    socket.set_read_timeout(Some(patience() / 6)).expect("a socket");
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend(label.bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    socket.send(&question).expect("it listens");
    let mut buffer = [0; 512];
    let Ok(length) = socket.recv(&mut buffer) else { return Answer::Nothing };
    let answer = &buffer[..length];
    let code = answer[3] & 15;
    if code != 0 {
        return Answer::Code(code);
    }
    // Each record: a pointer to the name, type, class, time to live, the length 4 and the address.
    let records = answer[question.len()..].chunks_exact(16).take(usize::from(answer[7]));
    let address = |record: &[u8]| Ipv4Addr::new(record[12], record[13], record[14], record[15]).into();
    Answer::Addresses(records.map(address).collect())
}

/// `rounds` containers come and go, several at a time, while names are looked up from two containers that stay.
fn check(workers: usize, rounds: usize) {
    let host = Host::new();
    host.ok("network create lab");
    let web = host.idle("web", "--network lab --network-alias www -h page");
    let peer = host.idle("peer", "--network lab");
    let id = host.ok("ps -q --filter name=web");
    let expected = Answer::Addresses(vec![host.address("web").parse().expect("an address")]);
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let lookups = [&web, &peer].map(|place| {
            let (done, asked, expected, id) = (&done, &asked, &expected, &id);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    for name in ["web", "www", "page", "web.lab", id] {
                        assert_eq!(ask(place, name), *expected, "{name}");
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            })
        });
        let churn = (0..workers).map(|worker| {
            let (host, peer, here) = (&host, &peer, host.place());
            scope.spawn(move || {
                let round = |round: usize| {
                    let name = format!("box-{worker}-{round}");
                    host.ok(&format!("run -d --name {name} --network lab --network-alias box bb sleep 1000"));
                    let address = host.address(&name).parse().expect("an address");
                    assert_eq!(ask(peer, &name), Answer::Addresses(vec![address]), "{name} has come");
                    host.ok(&format!("rm -f {name}"));
                    // On the host nobody knows it either.
                    assert!(matches!(ask(peer, &name), Answer::Code(_)), "{name} has gone");
                };
                here.within(|| (0..rounds).for_each(round));
            })
        });
        let churn: Vec<_> = churn.collect();
        let failed = churn.into_iter().map(|worker| worker.join()).filter(Result::is_err).count();
        done.store(true, Ordering::Relaxed);
        let unfound = lookups.into_iter().map(|lookup| lookup.join()).filter(Result::is_err).count();
        assert_eq!((failed, unfound), (0, 0), "of containers, of look-ups");
    });
    assert!(asked.load(Ordering::Relaxed) > rounds, "it was asked all the time");
}

#[test]
fn names_are_found_while_containers_come_and_go() {
    check(2, 4);
}

mod slow {
    #[test]
    fn names_are_found_while_a_hundred_containers_come_and_go() {
        if super::is_wanted() {
            super::check(5, 20);
        }
    }
}
