//! Beside other firewalls: rules that are flushed by others come back, nobody else's are touched, and what the rules of
//! docker, of firewalld and of ufw do to containers of brig.

use super::host::{Host, Place, Protocol};
use crate::harness::process::{Process, tool};
use crate::harness::sandbox::is_docker;

/// As docker leaves its tables where nothing of its own runs: nothing is forwarded but what its chains accept.
const DOCKERS: &str = "
    table ip filter {
        chain INPUT { type filter hook input priority filter; policy accept; }
        chain DOCKER { }
        chain DOCKER-USER { counter return; }
        chain DOCKER-FORWARD { iifname docker0 counter accept; }
        chain FORWARD {
            type filter hook forward priority filter; policy drop;
            counter jump DOCKER-USER
            counter jump DOCKER-FORWARD
        }
    }
    table ip nat {
        chain DOCKER { }
        chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local counter jump DOCKER; }
        chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; }
    }
";
/// As ufw and firewalld close a machine: nothing comes in but answers and ssh.
const CLOSED: &str = "
    table inet firewalld {
        chain filter_INPUT {
            type filter hook input priority filter + 10; policy accept;
            ct state established,related accept
            iifname lo accept
            tcp dport 22 accept
            reject with icmpx admin-prohibited
        }
    }
";

/// A host on a LAN with a neighbour, and a container whose port 80 is published; a program answers there.
struct Scene {
    host: Host,
    outside: Place,
    web: Place,
    _server: super::host::Server,
}

impl Scene {
    fn new() -> Scene {
        let host = Host::new();
        let outside = Place::new();
        host.place().cable("lan", &["192.0.2.1/24"], &outside, &["192.0.2.2/24"]);
        host.ok("network create lab");
        let web = host.idle("web", "--network lab -p 8080:80 -p 8080:80/udp");
        let server = web.answer(80);
        Scene { host, outside, web, _server: server }
    }

    /// From outside at the published port, by both protocols.
    fn is_reached(&self) -> bool {
        let ask = |protocol| self.outside.ask_once(protocol, "192.0.2.1:8080").as_deref() == Some("192.0.2.2");
        ask(Protocol::Tcp) && ask(Protocol::Udp)
    }
}

/// Feeds nft(8) a file.
fn nft(rules: &str) {
    let mut command = std::process::Command::new("nft");
    command.args(["-f", "-"]);
    let mut process = Process::start(command, "nft -f -");
    process.send(rules.as_bytes());
    process.finish().expect(0);
}

#[test]
fn flushed_rules_come_back_with_a_reload_or_the_next_start() {
    if is_docker() {
        return;
    }
    let scene = Scene::new();
    assert!(scene.is_reached());
    for line in ["network reload", "run --rm bb true", "run --rm --network lab bb true"] {
        tool("nft", &["flush", "ruleset"]);
        assert!(!scene.is_reached(), "without rules");
        scene.host.ok(line);
        assert!(scene.is_reached(), "after {line}");
    }
    // One table of the two, and a set without its elements.
    let tables = tool("nft", &["list", "tables"]);
    for table in tables.lines().filter(|line| line.contains(" brig")) {
        tool(
            "nft",
            &[
                "delete",
                "table",
                table.trim_start_matches("table ").split(' ').next().expect("a family"),
                table.rsplit(' ').next().expect("a name"),
            ],
        );
        scene.host.ok("run --rm bb true");
        assert!(scene.is_reached(), "after {table} had been deleted");
    }
}

#[test]
fn rules_of_others_stay_as_they_are() {
    if is_docker() {
        return;
    }
    let host = Host::new();
    nft(DOCKERS);
    nft(CLOSED);
    let foreign = || {
        let tables = [["ip", "filter"], ["ip", "nat"], ["inet", "firewalld"]];
        tables.map(|[family, name]| tool("nft", &["-s", "list", "table", family, name]))
    };
    let before = foreign();
    host.ok("network create lab");
    host.serve("web", "--network lab -p 8080:80");
    host.ok("network connect bridge web");
    host.ok("network reload");
    host.ok("network disconnect lab web");
    host.ok("rm -f web");
    host.ok("network rm lab");
    assert_eq!(foreign(), before);
}

#[test]
fn a_machine_that_lets_nothing_in_still_publishes_ports_and_resolves_names() {
    if is_docker() {
        return;
    }
    let scene = Scene::new();
    nft(CLOSED);
    assert!(scene.is_reached());
    assert!(scene.host.ok("run --rm --network lab bb nslookup -type=a web.lab").contains("web.lab"));
    // The host itself is closed to containers, as to everybody.
    let gateway = scene.host.ok("network inspect -f '{{(index .IPAM.Config 0).Gateway}}' lab");
    let _listening = scene.host.place().answer(81);
    assert_eq!(scene.web.ask_once(Protocol::Tcp, &format!("{gateway}:81")), None);
    // As its reload: the table goes and comes again; ours is not asked.
    nft(&format!("delete table inet firewalld\n{CLOSED}"));
    assert!(scene.is_reached());
}

#[test]
fn where_docker_forwards_nothing_its_chain_for_users_lets_containers_through() {
    if is_docker() {
        return;
    }
    let scene = Scene::new();
    nft(DOCKERS);
    let _server = scene.outside.answer(80);
    let goes_out = || scene.web.ask_once(Protocol::Tcp, "192.0.2.2:80").as_deref() == Some("192.0.2.1");
    for line in ["port --who web", "network reload"] {
        scene.host.run(line).expect(0).says("ip filter FORWARD drops").says("DOCKER-USER");
    }
    for direction in ["-i", "-o"] {
        tool("iptables-nft", &["-I", "DOCKER-USER", direction, "brig+", "-j", "ACCEPT"]);
    }
    assert!(scene.is_reached() && goes_out());
}
