//! Our rules: one table `inet` for forwarding, published ports and isolation, one table `bridge` against forged senders.
//! Containers are elements of sets and maps, so one more costs the same whether it is the first or the thousandth; the
//! rules themselves change only with the networks, and then all at once. Nobody else's tables are touched.

mod rules;
#[cfg(test)]
mod tests;

use crate::endpoint::{self, Endpoint};
use crate::error::Result;
use crate::file;
use crate::network::{self, Driver, Network};
use crate::places::Places;
use crate::ports::{Protocol, Published};
use kernel::lock::Lock;
use kernel::netlink::Socket;
use kernel::nftables::{Element, Family, Hook, Table, Transaction, Value, interface_key, key};
use rustix::io::Errno;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The two tables of a place.
struct Tables<'a> {
    inet: Table<'a>,
    bridge: Table<'a>,
}

impl<'a> Tables<'a> {
    fn named(name: &'a str) -> Tables<'a> {
        Tables { inet: Table { family: Family::Inet, name }, bridge: Table { family: Family::Bridge, name } }
    }
}

/// The socket by which rules are changed, opened when it is first needed. The kernel lets nobody close one before it has
/// freed what was deleted, which takes it 4 to 20 ms, and keeps all changes of rules waiting meanwhile (Linux 6.15 and
/// later). So who must be quick keeps the session until nobody waits for them, and its end waits first, in nobody's way.
#[derive(Debug, Default)]
pub struct Session {
    socket: OnceCell<Socket>,
    has_deleted: Cell<bool>,
}

impl Session {
    fn socket(&self) -> kernel::Result<&Socket> {
        match self.socket.get() {
            Some(socket) => Ok(socket),
            None => {
                let new = Socket::netfilter()?;
                Ok(self.socket.get_or_init(|| new))
            }
        }
    }

    fn commit(&self, change: Transaction) -> kernel::Result<()> {
        change.commit(self.socket()?)
    }

    /// As `commit`, for changes that take something away.
    fn commit_deletion(&self, change: Transaction) -> kernel::Result<()> {
        self.has_deleted.set(true);
        self.commit(change)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.has_deleted.get() {
            kernel::grace_period::wait();
        }
    }
}

/// Adds what one container needs. False when the tables or the network's own chains are not there, or not as they should
/// be: then all is to be built again. The caller holds the lock, shared.
pub(crate) fn add(session: &Session, places: &Places, network: &Network, endpoint: &Endpoint) -> Result<bool> {
    let name = places.table();
    let tables = Tables::named(&name);
    let mut change = Transaction::new();
    // There already, if all is well; without the chain that it leads to the kernel refuses.
    rules::add_network(&mut change, tables.inet, network);
    for (table, set, elements) in elements(&tables, endpoint) {
        change.add_elements(table, set, &elements);
    }
    match session.commit(change) {
        Ok(()) => Ok(true),
        // Flushed by somebody, the first container of the network, or a port of a container that was killed.
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes away what one container had; what is gone already is no error.
pub(crate) fn remove(session: &Session, places: &Places, endpoint: &Endpoint) -> Result<()> {
    let name = places.table();
    let tables = Tables::named(&name);
    let mut endpoint = endpoint.clone();
    if !endpoint.published.is_empty() {
        // It was killed: a port that it had may have been given to another one since.
        let others = endpoint::list_all(places)?.into_iter().filter(|other| other.id != endpoint.id);
        let taken: Vec<Published> = others.flat_map(|other| other.published).collect();
        endpoint.published.retain(|one| !taken.iter().any(|other| other.host() == one.host()));
    }
    let endpoint = &endpoint;
    remove_each(session, &elements(&tables, endpoint))?;
    forget_flows(session, endpoint);
    Ok(())
}

/// As `remove`, its published ports only.
pub(crate) fn remove_ports(session: &Session, places: &Places, endpoint: &Endpoint) -> Result<()> {
    let name = places.table();
    let tables = Tables::named(&name);
    let mut elements = elements(&tables, endpoint);
    elements.retain(|(table, ..)| *table == tables.inet);
    remove_each(session, &elements)?;
    forget_flows(session, endpoint);
    Ok(())
}

/// Clients of UDP that go on sending are translated as when they began: to a container that is gone, or not at all. To
/// be called when rules about its published ports have changed. Where the kernel cannot, they are forgotten after 30 to
/// 120 seconds without a packet.
pub(crate) fn forget_flows(session: &Session, endpoint: &Endpoint) {
    let mut udp = endpoint.published.iter().filter(|one| one.protocol == Protocol::Udp).peekable();
    if udp.peek().is_none() {
        return;
    }
    let (Ok(socket), Ok(own)) = (session.socket(), Socket::route().and_then(|socket| socket.addresses())) else {
        return;
    };
    // As `fib daddr type local`: what is sent to others at the same port is theirs.
    let is_own = |address: IpAddr| address.is_loopback() || own.iter().any(|(_, one, _)| *one == address);
    for one in udp {
        let to = SocketAddr::new(one.host_address, one.host_port);
        let _ = socket.forget_flows(one.protocol.number(), to, is_own);
    }
}

fn remove_each(session: &Session, elements: &[(Table<'_>, &'static str, Vec<Element>)]) -> Result<()> {
    let mut change = Transaction::new();
    for (table, set, elements) in elements {
        change.delete_elements(*table, set, elements);
    }
    match session.commit_deletion(change) {
        Err(error) if error.errno == Errno::NOENT => {}
        result => return Ok(result?),
    }
    // One is missing, and then none was taken: each by itself.
    for (table, set, elements) in elements {
        for element in elements {
            let mut change = Transaction::new();
            change.delete_elements(*table, set, std::slice::from_ref(element));
            match session.commit_deletion(change) {
                Err(error) if error.errno != Errno::NOENT => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Replaces both tables by what definitions and endpoints say, in one transaction: there is no moment without rules, and
/// connections go on.
pub fn rebuild(session: &Session, places: &Places) -> Result<()> {
    file::make_directory(places.live())?;
    let _lock = Lock::exclusive(&places.firewall_lock())?;
    let name = places.table();
    let tables = Tables::named(&name);
    let mut change = Transaction::new();
    for table in [tables.inet, tables.bridge] {
        change.add_table(table);
        change.delete_table(table);
        change.add_table(table);
    }
    let networks: Vec<_> =
        network::list(places)?.into_iter().filter(|network| network.driver == Driver::Bridge).collect();
    rules::inet(&mut change, tables.inet, &networks);
    rules::bridge(&mut change, tables.bridge);
    let mut seen = BTreeSet::new();
    for endpoint in endpoint::list_all(places)?.iter().filter(|endpoint| !endpoint.port.is_empty()) {
        for (table, set, mut elements) in elements(&tables, endpoint) {
            // Of two who claim a port the older one was killed: the newer found it free.
            elements.retain(|element| seen.insert((set, element.key.clone())));
            change.add_elements(table, set, &elements);
        }
    }
    Ok(session.commit_deletion(change)?)
}

/// Chains of others that drop forwarded packets which none of their rules accepts: `ip filter FORWARD`. No rule of ours
/// can undo that, since a packet must pass every table. Rules that only xtables know are not seen.
pub fn foreign_drops() -> Result<Vec<String>> {
    let chains = Socket::netfilter()?.base_chains()?.into_iter();
    let dropping = chains.filter(|chain| chain.hook == Hook::Forward as u32 && chain.drops);
    let words = dropping.map(|chain| {
        let family = match chain.family {
            Family::Ipv4 => "ip",
            Family::Ipv6 => "ip6",
            Family::Inet | Family::Bridge => "inet",
        };
        format!("{family} {} {}", chain.table, chain.name)
    });
    Ok(words.collect())
}

/// Whether the tables are there.
pub fn is_present(places: &Places) -> Result<bool> {
    let name = places.table();
    let tables = Tables::named(&name);
    let socket = Socket::netfilter()?;
    Ok(socket.has_table(tables.inet)? && socket.has_table(tables.bridge)?)
}

/// All elements of a container, by table and set.
fn elements<'a>(tables: &Tables<'a>, endpoint: &Endpoint) -> Vec<(Table<'a>, &'static str, Vec<Element>)> {
    let port = interface_key(&endpoint.port);
    let mut all = vec![
        (tables.bridge, "members", vec![Element::key(port.to_vec())]),
        (tables.bridge, "macs", vec![Element::key(key(&[&port, &endpoint.mac]))]),
    ];
    if let Some(address) = endpoint.ipv4 {
        all.push((tables.bridge, "hosts4", vec![Element::key(key(&[&port, &address.octets()]))]));
    }
    if let Some(address) = endpoint.ipv6 {
        all.push((tables.bridge, "hosts6", vec![Element::key(key(&[&port, &address.octets()]))]));
    }
    for set in ["ports4", "ports4-at", "ports6", "ports6-at"] {
        let elements: Vec<Element> =
            endpoint.published.iter().filter_map(|published| port_element(endpoint, published, set)).collect();
        if !elements.is_empty() {
            all.push((tables.inet, set, elements));
        }
    }
    all
}

/// `None` when the port belongs into another map.
fn port_element(endpoint: &Endpoint, published: &Published, set: &str) -> Option<Element> {
    let protocol = [published.protocol.number()];
    let host_port = published.host_port.to_be_bytes();
    let everywhere = published.host_address.is_unspecified();
    let (of, host_key, address) = match published.host_address {
        IpAddr::V4(_) if everywhere => ("ports4", key(&[&protocol, &host_port]), endpoint.ipv4?.octets().to_vec()),
        IpAddr::V4(host) => {
            ("ports4-at", key(&[&host.octets(), &protocol, &host_port]), endpoint.ipv4?.octets().to_vec())
        }
        IpAddr::V6(_) if everywhere => ("ports6", key(&[&protocol, &host_port]), endpoint.ipv6?.octets().to_vec()),
        IpAddr::V6(host) => {
            ("ports6-at", key(&[&host.octets(), &protocol, &host_port]), endpoint.ipv6?.octets().to_vec())
        }
    };
    let value = Value::Data(key(&[&address, &published.container_port.to_be_bytes()]));
    (of == set).then_some(Element { key: host_key, value: Some(value) })
}
