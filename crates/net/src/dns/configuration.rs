//! The host's resolvers (resolv.conf(5)), read anew whenever they are needed, so that changes are followed. What they are
//! for a container without a resolver of ours: systemd-resolved's stub at the host's loopback stands for the servers behind it.

use std::net::IpAddr;

/// Larger files are cut.
const BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    pub servers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

impl Configuration {
    /// From `/etc/resolv.conf`; empty when there is none.
    pub fn of_host() -> Configuration {
        Configuration::of_file("/etc/resolv.conf")
    }

    fn of_file(path: &str) -> Configuration {
        let text = std::fs::read(path).unwrap_or_default();
        Configuration::parse(&String::from_utf8_lossy(&text[..text.len().min(BYTES_MAX)]))
    }

    pub fn parse(text: &str) -> Configuration {
        let mut found = Configuration::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                // A link-local address comes with its interface, which means nothing elsewhere.
                Some("nameserver") => found.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
                // The last one counts.
                Some("search" | "domain") => found.search = words.map(str::to_owned).collect(),
                Some("options") => found.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        found
    }

    /// The servers that a namespace of its own can reach. Docker's choice where nothing is left: a public one.
    pub fn reachable(&self) -> Vec<IpAddr> {
        let outside = |servers: &[IpAddr]| -> Vec<IpAddr> {
            servers.iter().copied().filter(|server| !server.is_loopback() && !server.is_unspecified()).collect()
        };
        let own = outside(&self.servers);
        if !own.is_empty() {
            return own;
        }
        let behind = outside(&Configuration::of_file("/run/systemd/resolve/resolv.conf").servers);
        if behind.is_empty() { vec![IpAddr::from([8, 8, 8, 8]), IpAddr::from([8, 8, 4, 4])] } else { behind }
    }
}
