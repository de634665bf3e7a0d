//! What cannot be: the error names the reason and the remedy, and nothing of it is left.

use super::host::{Host, Place, Protocol};
use crate::harness::sandbox::is_docker;

#[test]
fn networks_that_cannot_be_made() {
    let host = Host::new();
    let outside = Place::new();
    host.place().cable("lan", &["192.0.2.1/24"], &outside, &[]);
    host.ok("network create --subnet 10.9.0.0/24 lab");
    for (flags, part) in [
        ("--subnet 10.9.0.128/25 other", "overlaps"),
        ("--subnet 10.0.0.0/8 other", "overlaps"),
        ("--subnet 192.0.2.0/25 other", "overlaps"),
        ("--subnet 10.8.0.0/31 other", "too small"),
        ("--subnet 10.8.0.0/24 --ip-range 10.7.0.0/25 other", "no matching subnet"),
        ("--subnet 10.8.0.0/24 --aux-address a=10.7.0.1 other", "no matching subnet"),
        ("--driver nosuch other", "nosuch"),
        ("-o com.docker.network.driver.mtu=1 other", "mtu"),
        ("-o com.docker.network.bridge.name=a-name-much-too-long other", "interface name"),
        ("a/b", "invalid network name"),
        ("lab", "already exists"),
    ] {
        host.run(&format!("network create {flags}")).expect(1).says(part);
    }
    host.run("network create --subnet 10.8.0.0/33 other").expect(125).says("invalid CIDR");
    assert_eq!(host.ok("network ls -q --filter type=custom").lines().count(), 1);
}

#[test]
fn pools_that_are_exhausted() {
    let host = Host::new();
    // The network's own address, the gateway's, one container's, and that of broadcasts.
    host.ok("network create --subnet 10.9.0.0/30 small");
    host.idle("box", "--network small");
    host.run("run --name late --network small bb true").expect(125).says("no available addresses");
    assert_eq!(host.ok("network inspect -f '{{len .Containers}}' small"), "1");
    host.ok("rm -f box");
    host.ok("start -a late");
    if is_docker() {
        return;
    }
    // Routes to everything that a network may be given.
    for pool in ["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"] {
        host.place().ip(&format!("route add blackhole {pool}"));
    }
    host.run("network create other").expect(1).says("--subnet");
    host.ok("network create --subnet 100.64.0.0/24 other");
}

#[test]
fn addresses_and_names_that_clash() {
    let host = Host::new();
    host.ok("network create --subnet 10.9.0.0/24 lab");
    host.idle("one", "--network lab --network-alias same");
    host.idle("two", "--network lab --network-alias same");
    let found = host.ok("exec one nslookup -type=a same.lab");
    assert!(found.contains("10.9.0.2") && found.contains("10.9.0.3"), "an alias of both is both: {found}");
    for (flags, part) in [
        ("--ip 10.9.0.2", "in use"),
        ("--ip 10.9.0.255", "in use"),
        ("--ip 10.9.0.0", "in use"),
        ("--ip 10.9.0", "invalid"),
        ("--ip6 fd00::2", "no subnet"),
        ("--mac-address 01:00:5e:00:00:01", "mac"),
        ("--mac-address ff:ff:ff:ff:ff:ff", "mac"),
        ("--mac-address 00:00:00:00:00:00", "mac"),
        ("--mac-address 02:00:00:00:00", "mac"),
    ] {
        host.run(&format!("run --rm --network lab {flags} bb true")).expect(125).says(part);
    }
    assert_eq!(host.ok("ps -aq").lines().count(), 2);
}

#[test]
fn ports_that_are_taken() {
    let host = Host::new();
    host.idle("web", "-p 8080:80 -p 127.0.0.1:8081:80/udp");
    let taken = |flags: &str, part: &str| {
        host.run(&format!("run --name late {flags} bb true")).expect(125).says("already allocated").says(part);
        // docker leaves the container that could not start as well.
        host.ok("rm late");
    };
    taken("-p 8080:1", "by container web");
    taken("-p 8000:1 -p 127.0.0.1:8080:1", "by container web");
    taken("-p 8081:1/udp", "by container web");
    let program = std::net::UdpSocket::bind("0.0.0.0:9000").expect("a free port");
    taken("-p 127.0.0.1:9000:1/udp", "by program");
    drop(program);
    // The other protocol, and ports of a range that are free.
    host.ok("run --rm -p 8080:1/udp -p 127.0.0.1:8081:1 bb true");
    host.idle("range", "-p 8080-8082:1");
    assert!(host.ok("port range").ends_with(":8081"), "the first that is free");
    host.run("run --rm -p 192.0.2.77:80:80 bb true").expect(125).says("cannot assign requested address");
}

#[test]
fn interfaces_that_the_kernel_or_the_host_does_not_have() {
    if is_docker() {
        return;
    }
    let host = Host::new();
    let outside = Place::new();
    host.place().cable("lan", &["192.0.2.1/24"], &outside, &["192.0.2.2/24"]);
    // A bridge of ours is never somebody else's interface.
    host.run("network create -o com.docker.network.bridge.name=lan taken").expect(1).says("an interface lan already");
    host.ok("network create -d macvlan -o parent=nosuch far");
    host.run("run --rm --network far bb true").expect(125).says("parent interface nosuch");
    host.ok("network create -d macvlan -o parent=lan -o macvlan_mode=nosuch odd");
    host.run("run --rm --network odd bb true").expect(125).says("unknown mode nosuch");
    host.ok("network rm odd");
    for driver in ["macvlan", "ipvlan"] {
        let create =
            format!("network create -d {driver} -o parent=lan --subnet 192.0.2.0/24 --gateway 192.0.2.2 {driver}");
        host.ok(&create);
        let run = host.run(&format!("run -d --name {driver} --network {driver} --ip 192.0.2.50 bb sleep 1000"));
        if run.code != 0 {
            run.expect(125).says(&format!("modprobe {driver}"));
            host.ok(&format!("rm {driver}"));
            continue;
        }
        // On the LAN under its own address.
        let _server = host.inside(driver).answer(80);
        assert_eq!(outside.ask_until(Protocol::Tcp, "192.0.2.50:80").as_deref(), Some("192.0.2.2"));
        host.ok(&format!("rm -f {driver}"));
        host.ok(&format!("network rm {driver}"));
    }
}
