//! What a container sends to its resolver: whatever is understood is answered such that the asker takes the answer for
//! its own, it is no question itself, and it fits into a datagram of the first DNS.
#![no_main]

use libfuzzer_sys::fuzz_target;
use net::dns::message::{Question, TYPE_PTR, answers};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes that every asker takes (RFC 1035, 4.2.1).
const DATAGRAM: usize = 512;
const HEADER: usize = 12;

fuzz_target!(|data: &[u8]| {
    let (query, other) = data.split_at(data.len() / 2);
    // What comes from other resolvers is looked at before it is passed on.
    let _ = answers(query, other);
    let Some(question) = Question::parse(data) else { return };
    let v4: Vec<IpAddr> = (0..20).map(|last| Ipv4Addr::new(10, 88, 0, last).into()).collect();
    let v6: Vec<IpAddr> = (0..20).map(|last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into()).collect();
    let replies = [question.addresses(&v4), question.addresses(&v6), question.addresses(&[]), question.failure()];
    for reply in &replies {
        check(data, reply);
        assert!(reply.len() <= DATAGRAM, "{} bytes", reply.len());
    }
    check(data, &question.pointer("web.backend"));
    if let Some(address) = question.reverse() {
        assert_eq!(question.kind, TYPE_PTR);
        let name = match address {
            IpAddr::V4(_) => ".in-addr.arpa",
            IpAddr::V6(_) => ".ip6.arpa",
        };
        assert!(question.name.ends_with(name), "{address} from {}", question.name);
    }
});

fn check(query: &[u8], reply: &[u8]) {
    assert!(answers(query, reply) && Question::parse(reply).is_none());
    // The question comes back as it was: spelling counts to some.
    let end = query[HEADER..].iter().zip(&reply[HEADER..]).take_while(|(one, other)| one == other).count();
    assert!(end >= 5, "the question is another one");
}
