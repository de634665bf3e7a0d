//! Who reaches whom, and under which address: from the host, another host on its LAN, containers of the same network, of
//! another one, of an internal one and of the default one; by IPv4 and IPv6, TCP and UDP, published and not.

use std::thread;

use super::host::{Host, Place, Protocol};
use crate::harness::process::wait_until;

const BOTH: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// From where, to which address, and the client's address as the server sees it; empty when there must be no answer.
type Row = (&'static str, &'static str, &'static str);

/// On `lab`, 10.9.0.0/24 and fd00:9::/64, `web` publishes its port 80; `peer` is there too. `far` is on `other` (8),
/// `inner` and `second` on `closed` (7), which is internal, `alone` and `lone` on `apart` (6), whose containers are kept from
/// each other, `plain` on the default network. The host is 192.0.2.1 and
/// 2001:db8::1 to `outside`, which routes the containers' networks through it.
const ROWS: &[Row] = &[
    // Without a port that is published: by the container's own address.
    ("host", "10.9.0.2:80", "10.9.0.1"),
    ("host", "[fd00:9::2]:80", "fd00:9::1"),
    ("peer", "10.9.0.2:80", "10.9.0.3"),
    ("peer", "[fd00:9::2]:80", "fd00:9::3"),
    ("second", "10.7.0.2:80", "10.7.0.3"),
    ("second", "[fd00:7::2]:80", "fd00:7::3"),
    ("web", "127.0.0.1:80", "127.0.0.1"),
    ("web", "10.9.0.2:80", "10.9.0.2"),
    ("host", "10.6.0.2:80", "10.6.0.1"),
    ("lone", "10.6.0.2:80", ""),
    ("lone", "[fd00:6::2]:80", ""),
    ("lone", "192.0.2.2:80", "192.0.2.1"),
    ("far", "10.9.0.2:80", ""),
    ("far", "[fd00:9::2]:80", ""),
    ("plain", "10.9.0.2:80", ""),
    ("inner", "10.9.0.2:80", ""),
    ("inner", "[fd00:9::2]:80", ""),
    ("web", "10.7.0.2:80", ""),
    ("web", "[fd00:7::2]:80", ""),
    ("outside", "10.9.0.2:80", ""),
    ("outside", "[fd00:9::2]:80", ""),
    ("outside", "10.7.0.2:80", ""),
    ("outside", "[fd00:7::2]:80", ""),
    // Published everywhere. Clients outside keep their address.
    ("outside", "192.0.2.1:8080", "192.0.2.2"),
    ("outside", "[2001:db8::1]:8080", "2001:db8::2"),
    ("host", "192.0.2.1:8080", "192.0.2.1"),
    ("host", "[2001:db8::1]:8080", "2001:db8::1"),
    ("host", "127.0.0.1:8080", "10.9.0.1"),
    // No translation from ::1 in the kernel.
    ("host", "[::1]:8080", ""),
    ("far", "192.0.2.1:8080", "10.9.0.1"),
    ("far", "[2001:db8::1]:8080", "fd00:9::1"),
    ("plain", "192.0.2.1:8080", "10.9.0.1"),
    ("peer", "192.0.2.1:8080", "10.9.0.1"),
    ("peer", "[2001:db8::1]:8080", "fd00:9::1"),
    ("peer", "10.9.0.1:8080", "10.9.0.1"),
    // The container itself.
    ("web", "192.0.2.1:8080", "10.9.0.1"),
    ("web", "[2001:db8::1]:8080", "fd00:9::1"),
    ("inner", "10.7.0.1:8080", ""),
    // Published at one address.
    ("outside", "192.0.2.1:8082", "192.0.2.2"),
    ("outside", "[2001:db8::1]:8082", "2001:db8::2"),
    ("host", "192.0.2.1:8082", "192.0.2.1"),
    ("host", "127.0.0.1:8082", ""),
    ("peer", "10.9.0.1:8082", ""),
    ("host", "127.0.0.1:8081", "10.9.0.1"),
    ("outside", "192.0.2.1:8081", ""),
    ("peer", "10.9.0.1:8081", ""),
    // Out, under the host's address.
    ("web", "192.0.2.2:80", "192.0.2.1"),
    ("web", "[2001:db8::2]:80", "2001:db8::1"),
    ("far", "192.0.2.2:80", "192.0.2.1"),
    ("plain", "192.0.2.2:80", "192.0.2.1"),
    ("inner", "192.0.2.2:80", ""),
    ("inner", "[2001:db8::2]:80", ""),
    // The host itself.
    ("web", "10.9.0.1:81", "10.9.0.2"),
    ("inner", "10.7.0.1:81", "10.7.0.2"),
];

/// A host with the containers and the LAN of the table.
struct Land {
    places: Vec<(&'static str, Place)>,
    _host: Host,
}

impl Land {
    fn new() -> Land {
        let host = Host::new();
        let outside = Place::new();
        let (here, there) = (["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]);
        host.place().cable("lan", &here, &outside, &there);
        for (name, number, flags) in
            [("lab", 9, ""), ("other", 8, ""), ("closed", 7, "--internal"), ("apart", 6, "--isolate")]
        {
            host.ok(&format!(
                "network create --subnet 10.{number}.0.0/24 --ipv6 --subnet fd00:{number}::/64 {flags} {name}"
            ));
            outside.ip(&format!("route add 10.{number}.0.0/24 via 192.0.2.1"));
            outside.ip(&format!("-6 route add fd00:{number}::/64 via 2001:db8::1"));
        }
        let ports = ["8080:80", "127.0.0.1:8081:80", "192.0.2.1:8082:80", "[2001:db8::1]:8082:80"];
        let publish = ports.map(|port| format!("-p {port} -p {port}/udp")).join(" ");
        let mut places = vec![("host", host.place()), ("outside", outside)];
        for (name, flags) in [
            ("web", format!("--network lab {publish}")),
            ("peer", "--network lab".to_owned()),
            ("far", "--network other".to_owned()),
            ("inner", "--network closed".to_owned()),
            ("second", "--network closed".to_owned()),
            ("alone", "--network apart".to_owned()),
            ("lone", "--network apart".to_owned()),
            ("plain", String::new()),
        ] {
            places.push((name, host.idle(name, &flags)));
        }
        Land { places, _host: host }
    }

    fn place(&self, name: &str) -> &Place {
        &self.places.iter().find(|(one, _)| *one == name).unwrap_or_else(|| panic!("a place called {name}")).1
    }
}

#[test]
fn who_reaches_whom_and_as_whom() {
    let land = Land::new();
    let mut servers: Vec<_> = ["web", "inner", "alone", "outside"].map(|name| land.place(name).answer(80)).into();
    servers.push(land.place("host").answer(81));
    let mut wrong = Vec::new();
    let (yes, no): (Vec<&Row>, Vec<&Row>) = ROWS.iter().partition(|row| !row.2.is_empty());
    for ((from, to, seen), protocol) in yes.into_iter().flat_map(|row| BOTH.map(|protocol| (row, protocol))) {
        match land.place(from).ask_until(protocol, to) {
            Some(answer) if answer == *seen => {}
            answer => wrong.push(format!("{from} to {to} by {protocol:?}: {answer:?}, expected {seen}")),
        }
    }
    // Each of these waits in vain: all at the same time.
    thread::scope(|scope| {
        let asked =
            no.into_iter().flat_map(|row| BOTH.map(|protocol| (row, protocol))).map(|((from, to, _), protocol)| {
                let place = land.place(from);
                (from, to, protocol, scope.spawn(move || place.ask_once(protocol, to)))
            });
        for (from, to, protocol, asking) in asked.collect::<Vec<_>>() {
            if let Some(answer) = asking.join().expect("no panic") {
                wrong.push(format!("{from} to {to} by {protocol:?}: {answer}, expected nothing"));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_client_of_udp_that_goes_on_talking_reaches_the_next_container() {
    let host = Host::new();
    let outside = Place::new();
    host.place().cable("lan", &["192.0.2.1/24"], &outside, &["192.0.2.2/24"]);
    host.ok("network create lab");
    let client = outside.within(|| std::net::UdpSocket::bind("192.0.2.2:4000")).expect("a free port");
    client.connect("192.0.2.1:8080").expect("an address");
    client.set_read_timeout(Some(std::time::Duration::from_millis(100))).expect("a socket");
    let answers = || {
        let _ = client.send(b"?");
        let mut buffer = [0; 64];
        client.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    for name in ["one", "two"] {
        // The port comes with another address each time; between the two there is none, and the client goes on.
        let _ = answers();
        let server = host.idle(name, "--network lab -p 8080:80/udp").answer(80);
        assert_eq!(wait_until(&format!("an answer of {name}"), answers), "192.0.2.2");
        host.ok(&format!("stop -t 0 {name}"));
        drop(server);
    }
}
