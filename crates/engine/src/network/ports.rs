//! Published ports: which are asked for, who has one that is wanted, and from where each can be reached.

use crate::container::Container;
use crate::engine::Engine;
use crate::list;
use crate::options::{Protocol, Publish};
use crate::record::Record;
use net::ports::Published;
use std::net::SocketAddr;

/// `-p` and, with `-P`, every exposed port at a random one.
pub(super) fn asked(record: &Record) -> Vec<Publish> {
    let networking = &record.options.networking;
    let mut all = networking.publish.clone();
    if networking.publish_all {
        for text in &record.process.exposed_ports {
            let Some((port, protocol)) = exposed(text) else { continue };
            if !all.iter().any(|one| (one.container_port, one.protocol) == (port, protocol)) {
                all.push(Publish { protocol, container_port: port, host_address: None, host_ports: (0, 0) });
            }
        }
    }
    all
}

/// `80/tcp` or `80`.
fn exposed(text: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some((port.parse().ok()?, protocol.parse().ok()?))
}

/// What a container that runs publishes, by its own port.
pub fn publishes(engine: &Engine, container: &Container) -> Vec<Published> {
    let endpoints = super::of_container(engine, container).unwrap_or_default();
    let mut all: Vec<Published> =
        endpoints.into_iter().filter_map(|(_, endpoint)| endpoint).flat_map(|endpoint| endpoint.published).collect();
    all.sort_by_key(|one| (one.container_port, one.protocol, one.host_address));
    all
}

/// Words for the end of an error about `host`, an address with a port: who has it.
pub(super) fn holder(engine: &Engine, host: &str) -> String {
    let Ok(wanted) = host.parse::<SocketAddr>() else { return String::new() };
    let clashes = |one: &Published| {
        one.host_port == wanted.port()
            && (one.host_address == wanted.ip() || one.host_address.is_unspecified() || wanted.ip().is_unspecified())
    };
    for id in list::ids(engine).unwrap_or_default() {
        if let Ok(Some(container)) = Container::read(engine, &id)
            && publishes(engine, &container).iter().any(clashes)
        {
            return format!(" by container {}", container.name());
        }
    }
    program_with(wanted.port()).map(|name| format!(" by program {name} of this machine")).unwrap_or_default()
}

/// Looks through /proc for who has a socket at this port; the process with the lowest number.
fn program_with(port: u16) -> Option<String> {
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|name| std::fs::read_to_string(format!("/proc/net/{name}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    let inodes: Vec<String> = lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (_, local) = fields.get(1)?.rsplit_once(':')?;
            (u16::from_str_radix(local, 16).ok()? == port).then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
        })
        .collect();
    let mut pids: Vec<u32> = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let has = |pid: &u32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
    };
    let pid = pids.into_iter().find(has)?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("{} (pid {pid})", name.trim()))
}

/// From where a published port can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine only.
    Machine,
    /// Whoever reaches this one address of the machine.
    Address,
    /// Whoever reaches any address of the machine. Firewalls that look at packets for the machine itself do not see these.
    Everywhere,
}

pub fn reach(published: &Published) -> Reach {
    match published.host_address {
        address if address.is_loopback() => Reach::Machine,
        address if address.is_unspecified() => Reach::Everywhere,
        _ => Reach::Address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposed_ports_as_images_have_them() {
        assert_eq!(exposed("80/tcp"), Some((80, Protocol::Tcp)));
        assert_eq!(exposed("53/udp"), Some((53, Protocol::Udp)));
        assert_eq!(exposed("80"), Some((80, Protocol::Tcp)));
        assert_eq!((exposed("x/tcp"), exposed("80/x")), (None, None));
    }
}
