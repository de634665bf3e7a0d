//! What a user of one network meets: addresses, published ports, names, connecting and disconnecting, extra names.

use super::host::Host;
use crate::harness::process::{Process, wait_until};
use crate::harness::words;

#[test]
fn the_default_network_has_an_address_a_way_out_and_the_hosts_name_in_hosts() {
    let host = Host::new();
    let seen = host.ok("run --rm -h box bb sh -c 'ip -4 addr show eth0; ip route; grep box /etc/hosts'");
    for part in ["inet 172.30.0.2/24", "default via 172.30.0.1 dev eth0", "172.30.0.2\tbox"] {
        assert!(seen.contains(part), "no {part} in {seen}");
    }
    assert_eq!(host.ok("network ls --format '{{.Name}} {{.Driver}}'"), "bridge bridge\nhost host\nnone null");
    // What it had is free again.
    host.wait_empty();
}

#[test]
fn published_ports_are_reached_and_conflicts_name_the_holder() {
    let host = Host::new();
    host.serve("web", "-p 8080:80 -p 127.0.0.1:8081:80 -p 80");
    host.wait_for("http://127.0.0.1:8080/", "web");
    host.wait_for("http://127.0.0.1:8081/", "web");
    assert_eq!(host.ok("port web 80").lines().count(), 3);
    assert!(host.ok("port --who web").contains("127.0.0.1:8081  (this machine only)"));
    assert!(host.ok("ps --format '{{.Ports}}'").contains("0.0.0.0:8080->80/tcp"));
    for taken in ["-p 8080:80", "-p 127.0.0.1:8080:80"] {
        let line = format!("run --rm {taken} bb true");
        host.run(&line).expect(125).says("port is already allocated").says("by container web");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:9090").expect("a free port");
    host.run("run --rm -p 9090:80 bb true").expect(125).says("already allocated by program");
    drop(listener);
    host.ok("run --rm -p 9090:80 bb true");
    host.wait_for("http://127.0.0.1:8080/", "web");
    // Through a restart the ports stay, and with the end they are free.
    host.ok("restart -t 0 web");
    host.wait_for("http://127.0.0.1:8080/", "web");
    host.ok("stop -t 0 web");
    host.ok("run --rm -p 8080:80 bb true");
}

#[test]
fn names_on_a_network_of_ones_own() {
    let host = Host::new();
    host.ok("network create lab");
    host.serve("web", "--network lab --network-alias alias");
    let id = host.ok("ps -q");
    for name in ["web", "alias", &id, "web.lab", "WEB"] {
        let line =
            format!("run --rm --network lab bb sh -c 'until timeout 2 wget -qO- http://{name}/; do sleep 0.1; done'");
        assert_eq!(host.ok(&line), "web", "{name}");
    }
    let address = host.address("web");
    assert!(host.ok(&format!("run --rm --network lab bb nslookup {address}")).contains("web.lab"));
    // Not from elsewhere, neither by name nor by address.
    host.run("run --rm bb nslookup web 127.0.0.11").expect(1);
    let far = format!("run --rm bb sh -c 'timeout 1 wget -qO- http://{address}/ || echo no'");
    assert!(host.ok(&far).ends_with("no"));
    host.ok("rename web other");
    assert_eq!(host.ok("run --rm --network lab bb timeout 5 wget -qO- http://other/"), "web");
    host.run("network rm lab").expect(1).says("active endpoints");
    host.ok("rm -f other");
    host.ok("network rm lab");
    host.run("run --rm --network lab bb true").expect(125).says("network lab not found");
}

#[test]
fn connect_and_disconnect_while_it_runs() {
    let host = Host::new();
    host.ok("network create lab");
    host.serve("web", "-p 8080:80");
    host.wait_for("http://127.0.0.1:8080/", "web");
    host.ok("network connect --alias www lab web");
    assert_eq!(host.ok("run --rm --network lab bb timeout 5 wget -qO- http://www/"), "web");
    host.run("network connect lab web").expect(1).says("already exists in network lab");
    host.ok("network disconnect bridge web");
    host.wait_for("http://127.0.0.1:8080/", "web");
    assert_eq!(host.ok("exec web ls /sys/class/net"), "eth1\nlo");
    host.ok("restart -t 0 web");
    host.wait_for("http://127.0.0.1:8080/", "web");
    host.ok("network disconnect lab web");
    assert_eq!(host.ok("exec web ls /sys/class/net"), "lo");
}

#[test]
fn addresses_that_are_asked_for() {
    let host = Host::new();
    host.ok("network create --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 --ipv6 lab");
    let look = "bb sh -c 'ip addr show eth0'";
    let seen = host.ok(&format!("run --rm --network lab --ip 10.9.0.7 --mac-address 02:00:00:00:00:07 {look}"));
    assert!(
        seen.contains("inet 10.9.0.7/24") && seen.contains("02:00:00:00:00:07") && seen.contains("inet6 fd"),
        "{seen}"
    );
    assert!(host.ok(&format!("run --rm --network lab {look}")).contains("inet 10.9.0.128/24"));
    assert!(host.ok(&format!("run --rm --network lab:ip=10.9.0.8 {look}")).contains("inet 10.9.0.8/24"));
    host.ok("run -d --network lab --ip 10.9.0.9 bb sleep 1000");
    for (flags, part) in [
        ("--network lab --ip 10.9.0.9", "Address already in use"),
        ("--network lab --ip 10.9.0.1", "already in use"),
        ("--network lab --ip 10.8.0.1", "no subnet"),
        ("--mac-address x", "not a valid mac address"),
        ("--network lab --network host", "conflicting options"),
        ("--network container:nosuch", "nosuch"),
        ("--add-host x", "bad format for add-host"),
        ("-p 1-2:3-5", "invalid ranges"),
    ] {
        host.run(&format!("run --rm {flags} bb true")).expect(125).says(part);
    }
    for (flags, part) in [
        ("--subnet 10.9.0.0/16 other", "overlaps"),
        ("lab", "already exists"),
        ("host", "predefined"),
        ("-o nope=1 other", "not supported"),
        ("--gateway 10.1.1.1 other", "no matching subnet"),
    ] {
        host.run(&format!("network create {flags}")).expect(1).says(part);
    }
    assert_eq!(host.ok("network ls -q --filter type=custom").lines().count(), 1);
}

#[test]
fn shared_and_internal_networks_and_extra_names() {
    let host = Host::new();
    host.serve("web", "--add-host db:10.1.1.1 --add-host gate:host-gateway");
    assert_eq!(host.ok("run --rm --network container:web bb timeout 5 wget -qO- http://127.0.0.1/"), "web");
    let hosts = host.ok("exec web cat /etc/hosts");
    assert!(hosts.contains("10.1.1.1\tdb") && hosts.contains("172.30.0.1\tgate"), "{hosts}");
    let resolv = host.ok("run --rm --dns 10.1.1.2 --dns-search a.b --dns-option ndots:3 bb cat /etc/resolv.conf");
    assert_eq!(resolv, "nameserver 10.1.1.2\nsearch a.b\noptions ndots:3");
    assert!(host.ok("run --rm --link web:w bb cat /etc/hosts").contains("\tw "));
    host.ok("network create --internal closed");
    assert!(!host.ok("run --rm --network closed bb ip route").contains("default"));
    host.run(&format!("run --rm --network closed bb timeout 1 wget -qO- http://{}/", host.address("web"))).expect(1);
}

#[test]
fn what_kills_leave_is_cleared_by_the_next_command() {
    let host = Host::new();
    host.serve("web", "-p 8080:80");
    host.wait_for("http://127.0.0.1:8080/", "web");
    let ports = || {
        let names = std::fs::read_to_string("/proc/thread-self/net/dev").expect("interfaces");
        names.lines().filter(|line| line.trim_start().starts_with("brigv")).count()
    };
    assert_eq!(ports(), 1);
    // The monitor alone: the next command takes over, and the ports are still kept.
    let pid = host.ok("inspect -f '{{.State.Pid}}' web");
    let monitor = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let monitor = monitor.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).expect("a parent").to_owned();
    crate::harness::process::kill(monitor.parse().expect("a pid"), "KILL");
    wait_until("the monitor's end", || {
        (!std::path::Path::new(&format!("/proc/{monitor}/fd/0")).exists()).then_some(())
    });
    assert_eq!(host.ok("ps --format '{{.State}}'"), "running");
    host.run("run --rm -p 8080:80 bb true").expect(125).says("by container web");
    host.wait_for("http://127.0.0.1:8080/", "web");
    // Both.
    let monitor = host.brig.root().join("containers").join(host.ok("ps -q --no-trunc")).join("state.json");
    let state: String = std::fs::read_to_string(monitor).expect("a state");
    let monitor = state.split("\"monitor_pid\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).expect("a pid");
    crate::harness::process::kill(monitor.parse().expect("a pid"), "KILL");
    crate::harness::process::kill(pid.parse().expect("a pid"), "KILL");
    wait_until("the end", || (!std::path::Path::new(&format!("/proc/{pid}/fd/0")).exists()).then_some(()));
    host.ok("ps -a");
    host.wait_empty();
    wait_until("no interface", || (ports() == 0).then_some(()));
    host.ok("run --rm -p 8080:80 bb true");
}

#[test]
fn many_at_once_have_addresses_of_their_own() {
    let host = Host::new();
    let all: Vec<Process> = (0..24)
        .map(|number| {
            let line = format!("run --rm -p {}:80 bb sh -c 'hostname -i; sleep 1'", 9000 + number);
            let mut command = host.brig.bare();
            command.args(words::split_as_typed(&line));
            Process::start(command, &line)
        })
        .collect();
    let mut addresses: Vec<String> = all.into_iter().map(|one| one.finish().expect(0).text()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 24, "{addresses:?}");
}
