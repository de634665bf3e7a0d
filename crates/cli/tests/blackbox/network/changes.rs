//! What a container gets with its networks: names, ports, the host's names, while it runs and from its start.

use super::host::Host;
use crate::harness::process::tool;

/// It began where nobody has names, and its ports had nowhere to go for a while.
#[test]
fn names_and_ports_come_with_a_network() {
    let host = Host::new();
    host.ok("network create lab");
    host.ok("run -d --network lab --name db bb sleep 1000");
    host.serve("web", "-p 8080:80");
    assert!(!host.ok("exec web cat /etc/resolv.conf").contains("127.0.0.11"));
    host.ok("network disconnect bridge web");
    assert_eq!(host.ok("port web"), "");
    host.ok("network connect lab web");
    assert_eq!(host.ok("port web"), "80/tcp -> 0.0.0.0:8080");
    host.wait_for("http://127.0.0.1:8080/", "web");
    assert!(host.ok("exec web cat /etc/resolv.conf").contains("nameserver 127.0.0.11"));
    assert!(host.ok("exec web nslookup db").contains(&host.address("db")));
}

#[test]
fn links_and_the_names_of_the_host() {
    let host = Host::new();
    host.ok("network create --subnet 10.9.0.0/24 Lab");
    host.serve("web", "--network Lab");
    let hosts = host.ok("exec web cat /etc/hosts");
    assert!(hosts.contains("10.9.0.1\thost.containers.internal host.docker.internal"), "{hosts}");
    let own = host.ok("run --rm --add-host host.docker.internal:10.1.1.1 bb cat /etc/hosts");
    assert!(own.contains("10.1.1.1\thost.docker.internal") && own.contains("\thost.containers.internal\n"), "{own}");
    let get = |name: &str| format!("bb timeout 5 wget -qO- http://{name}/");
    for name in ["W", "web.lab"] {
        assert_eq!(host.ok(&format!("run --rm --network Lab --link web:w {}", get(name))), "web");
    }
}

#[test]
fn neighbours_are_kept_apart() {
    let host = Host::new();
    host.ok("network create --isolate --subnet 10.9.0.0/24 cells");
    host.serve("web", "--network cells -p 8080:80");
    host.wait_for("http://127.0.0.1:8080/", "web");
    // Whether or not frames between the bridge's ports are shown to the firewall.
    let shown = std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    for value in ["1", "0"] {
        if shown.exists() {
            std::fs::write(shown, value).expect("a setting of this namespace");
        }
        let neighbour = "run --rm --network cells bb sh -c 'timeout 1 wget -qO- http://10.9.0.2/ || echo no'";
        assert_eq!(host.ok(neighbour), "no", "{value}");
    }
    // Where they are, what is published stays apart from the neighbours, too.
    assert_eq!(host.ok("run --rm --network cells bb sh -c 'timeout 5 wget -qO- http://10.9.0.1:8080/'"), "web");
}

#[test]
fn a_firewall_that_drops_is_named() {
    let host = Host::new();
    host.serve("web", "-p 8080:80");
    assert_eq!(host.run("network reload").expect(0).stderr, "");
    tool(
        "nft",
        &["add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"],
    );
    for line in ["network reload", "port --who web"] {
        host.run(line).expect(0).says("ip filter FORWARD drops").says("DOCKER-USER");
    }
}
