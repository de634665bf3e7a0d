//! A container on a network: its interface, addresses, published ports and names, in a file that lives as long as they
//! do. `attach` makes everything and takes everything back on an error; `detach` also ends what a killed process left
//! half done, because the file is written before anything else is made.

use crate::addresses::Table;
use crate::allocation;
use crate::bridge::{self, needs_kernel};
use crate::error::{Error, Result};
use crate::file;
use crate::firewall::{self, Session};
use crate::network::{self, Driver, Network};
use crate::places::Places;
use crate::ports::{self, Publish, Published, Reservations};
use kernel::lock::Lock;
use kernel::netlink::{Batch, Mac, Socket, Veth, Virtual, VirtualKind, within};
use kernel::{Context, sysctl};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use spec::ContainerId;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    pub network: String,
    pub network_name: String,
    pub container: String,
    /// The container's name.
    pub name: String,
    /// All names by which others on the network find it.
    pub names: Vec<String>,
    /// The end on the host; empty for macvlan and ipvlan.
    pub port: String,
    /// In the container.
    pub interface: String,
    pub mac: Mac,
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    pub published: Vec<Published>,
    /// The network is: it leads nowhere else.
    #[serde(default)]
    pub internal: bool,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Full id.
    pub container: &'a str,
    pub name: &'a str,
    pub names: Vec<String>,
    /// The container's network namespace.
    pub namespace: BorrowedFd<'a>,
    pub interface: &'a str,
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    pub mac: Option<Mac>,
    /// The way out of the container.
    pub is_default_route: bool,
    pub publish: &'a [Publish],
}

/// Connects a container. The reservations keep its host ports and belong to whoever lives as long as it does.
pub fn attach(
    session: &Session,
    places: &Places,
    network: &Network,
    request: &Request<'_>,
) -> Result<(Endpoint, Reservations)> {
    let path = places.endpoint(&network.id, request.container);
    if path.exists() {
        return Err(Error::Conflict(format!(
            "endpoint with name {} already exists in network {}",
            request.name, network.name
        )));
    }
    let result = make(session, places, network, request);
    if result.is_err() {
        let _ = detach(session, places, &network.id, request.container);
    }
    result
}

fn make(
    session: &Session,
    places: &Places,
    network: &Network,
    request: &Request<'_>,
) -> Result<(Endpoint, Reservations)> {
    // Until our record is there, which keeps it from being removed.
    let held = network::hold(places, network)?;
    let host = Socket::route()?;
    let parent = match network.driver {
        Driver::Bridge => bridge::ensure(&host, network)?,
        Driver::Macvlan | Driver::Ipvlan => parent(&host, network)?,
        Driver::Host | Driver::Null => {
            return Err(Error::Invalid(format!("container cannot be connected to network {}", network.name)));
        }
    };
    let (ipv4, ipv6) = allocation::addresses(places, network, request)?;
    let (published, reservations) =
        ports::reserve(request.publish, ipv4.is_some(), ipv6.is_some(), network.host_address())?;
    let address = ipv4.map(IpAddr::from).or(ipv6.map(IpAddr::from)).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let endpoint = Endpoint {
        id: ContainerId::random(kernel::random::bytes()?).as_str().to_owned(),
        network: network.id.clone(),
        network_name: network.name.clone(),
        container: request.container.to_owned(),
        name: request.name.to_owned(),
        names: request.names.clone(),
        port: if network.driver == Driver::Bridge { port_name()? } else { String::new() },
        interface: request.interface.to_owned(),
        mac: request.mac.unwrap_or_else(|| bridge::mac_of(address)),
        ipv4,
        ipv6,
        published,
        internal: network.internal,
    };
    // Nobody replaces all rules between our file, which tells them about us, and our own elements.
    let lock = Lock::shared(&places.firewall_lock())?;
    file::write(&places.endpoint(&network.id, request.container), &endpoint)?;
    drop(held);
    match network.driver {
        Driver::Bridge => make_veth(&host, network, request, &endpoint, parent)?,
        _ => make_virtual(&host, network, request, &endpoint, parent)?,
    }
    configure(network, request, &endpoint)?;
    if network.driver == Driver::Bridge {
        bridge::open_to_loopback(network, &endpoint.published)?;
        if !firewall::add(session, places, network, &endpoint)? {
            drop(lock);
            firewall::rebuild(session, places)?;
        }
        firewall::forget_flows(session, &endpoint);
    }
    Ok((endpoint, reservations))
}

/// Disconnects a container, or what is left of it, from the network with this id; nothing there is no error. Its names and
/// addresses are free then.
pub fn detach(session: &Session, places: &Places, network: &str, container: &str) -> Result<()> {
    let path = places.endpoint(network, container);
    let endpoint = file::read::<Endpoint>(&path).ok().flatten();
    if let Some(endpoint) = &endpoint {
        // The interface first: somebody may share the namespace and live on, and must not send unguarded.
        remove_link(endpoint)?;
        if !endpoint.port.is_empty() {
            let _lock = Lock::shared(&places.firewall_lock())?;
            firewall::remove(session, places, endpoint)?;
        }
    }
    // Addresses last: nobody is given one that still works for somebody else.
    remove_record(places, &path)?;
    Table::all(&places.of_network(network)).iter().try_for_each(|table| table.free(container))
}

/// Ids of all networks that a container is on, whatever its definition says.
pub fn networks_of(places: &Places, container: &str) -> Vec<String> {
    let ids = std::fs::read_dir(places.live()).into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|id| places.endpoint(id, container).exists()).collect()
}

fn remove_record(places: &Places, path: &Path) -> Result<()> {
    let _lock = Lock::exclusive(&places.records_lock())?;
    let _ = std::fs::remove_file(file::unfinished(path));
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Err(kernel::Error::at("remove", path, errno).into())
        }
        _ => Ok(()),
    }
}

/// The kernel removes an interface with its namespace, but who joined the namespace may keep it.
fn remove_link(endpoint: &Endpoint) -> Result<()> {
    if endpoint.port.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.delete_link(&endpoint.port);
    match Socket::route()?.run(&batch, "remove interface") {
        Err(error) if error.errno != Errno::NODEV => Err(error.into()),
        _ => Ok(()),
    }
}

/// Removes the interface of a container that runs on, for a macvlan from inside of it. Gone already is no error.
pub fn remove_inside(endpoint: &Endpoint, namespace: BorrowedFd<'_>) -> Result<()> {
    if !endpoint.port.is_empty() {
        return remove_link(endpoint);
    }
    let mut batch = Batch::new();
    batch.delete_link(&endpoint.interface);
    match Socket::route_in(namespace)?.run(&batch, "remove interface") {
        Err(error) if error.errno != Errno::NODEV => Err(error.into()),
        _ => Ok(()),
    }
}

pub fn read(places: &Places, network: &Network, container: &str) -> Result<Option<Endpoint>> {
    file::read(&places.endpoint(&network.id, container))
}

/// Changes what is on record; `false` when it is gone. Under the lock under which records are removed, or one that a
/// parallel `detach` has just removed would be written again.
pub fn change(places: &Places, network: &str, container: &str, change: impl FnOnce(&mut Endpoint)) -> Result<bool> {
    let path = places.endpoint(network, container);
    let _lock = Lock::exclusive(&places.records_lock())?;
    let Some(mut endpoint) = file::read::<Endpoint>(&path)? else { return Ok(false) };
    change(&mut endpoint);
    file::write(&path, &endpoint)?;
    Ok(true)
}

/// Those of a network.
pub fn list(places: &Places, network: &Network) -> Result<Vec<Endpoint>> {
    list_in(&places.endpoints(&network.id))
}

/// Those of all networks, the newest record first.
pub(crate) fn list_all(places: &Places) -> Result<Vec<Endpoint>> {
    let mut all = Vec::new();
    for network in std::fs::read_dir(places.live()).into_iter().flatten().flatten() {
        let directory = network.path().join("endpoints");
        for endpoint in list_in(&directory)? {
            let record = std::fs::metadata(directory.join(format!("{}.json", endpoint.container)));
            all.push((record.and_then(|record| record.modified()).ok(), endpoint));
        }
    }
    all.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
    Ok(all.into_iter().map(|(_, endpoint)| endpoint).collect())
}

pub(crate) fn list_in(directory: &std::path::Path) -> Result<Vec<Endpoint>> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(Vec::new()) };
    let paths =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json"));
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for path in paths {
        // One that is damaged must not keep all others from their rules.
        endpoints.extend(file::read(&path).ok().flatten());
    }
    endpoints.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(endpoints)
}

/// Frees what belongs to containers that do not live; `lives` is given ids, of addresses the first 32 digits. It is asked
/// when the record or the address has been seen: whoever takes one lives before that.
pub fn sweep(places: &Places, network: &Network, lives: impl Fn(&str) -> bool) -> Result<()> {
    let session = Session::default();
    for endpoint in list(places, network)? {
        if !lives(&endpoint.container) {
            detach(&session, places, &network.id, &endpoint.container)?;
        }
    }
    Table::all(&places.of_network(&network.id)).iter().try_for_each(|table| table.sweep(&lives))
}

fn parent(host: &Socket, network: &Network) -> Result<u32> {
    let driver = network.driver.name();
    let name = network.options.get("parent").ok_or_else(|| {
        Error::Invalid(format!(
            "network {} has no parent: make {driver} networks with --opt parent=INTERFACE",
            network.name
        ))
    })?;
    let link = host.link(name)?;
    Ok(link
        .ok_or_else(|| Error::NotFound(format!("parent interface {name} of network {} is not there", network.name)))?
        .index)
}

/// Another name for each time: the interface of the last run may still be on its way out.
fn port_name() -> Result<String> {
    let random: [u8; 5] = kernel::random::bytes()?;
    Ok(format!("brigv{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

fn make_veth(host: &Socket, network: &Network, request: &Request<'_>, endpoint: &Endpoint, bridge: u32) -> Result<()> {
    let mut batch = Batch::new();
    batch.add_veth(&Veth {
        name: &endpoint.port,
        master: bridge,
        mtu: network.mtu(),
        peer_name: request.interface,
        peer_mac: endpoint.mac,
        peer_namespace: request.namespace,
    });
    if !endpoint.published.is_empty() {
        batch.set_hairpin(&endpoint.port);
    }
    if !network.talks_inside() {
        // Frames between two ports do not pass the firewall of IP, unless br_netfilter is loaded.
        batch.set_isolated(&endpoint.port);
    }
    host.run(&batch, "make interface").map_err(|error| needs_kernel(error, "veth"))
}

fn make_virtual(
    host: &Socket,
    network: &Network,
    request: &Request<'_>,
    endpoint: &Endpoint,
    parent: u32,
) -> Result<()> {
    let kind = virtual_kind(network)?;
    let is_macvlan = network.driver == Driver::Macvlan;
    let mut batch = Batch::new();
    batch.add_virtual(&Virtual {
        name: request.interface,
        kind,
        parent,
        namespace: request.namespace.as_fd(),
        mac: is_macvlan.then_some(endpoint.mac),
        mtu: network.mtu(),
    });
    host.run(&batch, "make interface").map_err(|error| needs_kernel(error, network.driver.name()))
}

fn virtual_kind(network: &Network) -> Result<VirtualKind> {
    let option = |name: &str| network.options.get(name).map(String::as_str);
    let unknown = |mode: &str| Err(Error::Invalid(format!("unknown mode {mode} of driver {}", network.driver.name())));
    if network.driver == Driver::Macvlan {
        return match option("macvlan_mode").unwrap_or("bridge") {
            "bridge" => Ok(VirtualKind::MacvlanBridge),
            "private" => Ok(VirtualKind::MacvlanPrivate),
            "vepa" => Ok(VirtualKind::MacvlanVepa),
            "passthru" => Ok(VirtualKind::MacvlanPassthru),
            mode => unknown(mode),
        };
    }
    match option("ipvlan_mode").unwrap_or("l2") {
        "l2" => Ok(VirtualKind::IpvlanL2),
        "l3" => Ok(VirtualKind::IpvlanL3),
        "l3s" => Ok(VirtualKind::IpvlanL3s),
        mode => unknown(mode),
    }
}

/// Addresses and the way out, from inside.
fn configure(network: &Network, request: &Request<'_>, endpoint: &Endpoint) -> Result<()> {
    let inside = within(request.namespace, || {
        if network.driver == Driver::Bridge {
            confine_ipv6(request.interface, endpoint.ipv6.is_some())?;
        }
        Socket::route()
    })?;
    let gone = || Error::Failed(format!("interface {} is gone again", request.interface));
    let index = inside.link(request.interface)?.ok_or_else(gone)?.index;
    let mut batch = Batch::new();
    let addresses = [endpoint.ipv4.map(IpAddr::from), endpoint.ipv6.map(IpAddr::from)];
    for address in addresses.into_iter().flatten() {
        if let Some(pool) = network.pool(address.is_ipv6()) {
            batch.add_address(index, address, pool.subnet.length());
        }
    }
    // Before the routes, which need it.
    batch.set_up(request.interface);
    if request.is_default_route {
        add_default_routes(&mut batch, network, index);
    }
    Ok(inside.run(&batch, "configure interface")?)
}

/// In the namespace that the thread is in: routers of neighbours are not followed, and where the network has no IPv6 there
/// is none at all.
fn confine_ipv6(interface: &str, has_ipv6: bool) -> kernel::Result<()> {
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return Ok(());
    }
    let proc = File::open("/proc").during_at("open", "/proc")?;
    let (name, value) = if has_ipv6 { ("accept_ra", "0") } else { ("disable_ipv6", "1") };
    sysctl::write(&proc, &format!("net/ipv6/conf/{interface}/{name}"), value)
}

fn add_default_routes(batch: &mut Batch, network: &Network, index: u32) {
    if network.internal {
        return;
    }
    let straight =
        network.driver == Driver::Ipvlan && network.options.get("ipvlan_mode").is_some_and(|mode| mode != "l2");
    for pool in &network.pools {
        match pool.gateway {
            _ if straight => batch.add_default_route_to_link(pool.subnet.is_ipv6(), index),
            Some(gateway) => batch.add_default_route(gateway, index),
            None => {}
        }
    }
}

/// Gives a container that has lost its way out one through this endpoint.
pub fn make_default_route(network: &Network, endpoint: &Endpoint, namespace: BorrowedFd<'_>) -> Result<()> {
    let inside = Socket::route_in(namespace)?;
    let Some(link) = inside.link(&endpoint.interface)? else { return Ok(()) };
    let mut batch = Batch::new();
    add_default_routes(&mut batch, network, link.index);
    match inside.run(&batch, "set default route") {
        Err(error) if error.errno != Errno::EXIST => Err(error.into()),
        _ => Ok(()),
    }
}

/// Puts `endpoint` on record with ports that are reserved already, and has packets sent there.
pub fn publish(session: &Session, places: &Places, network: &Network, endpoint: &Endpoint) -> Result<()> {
    let lock = Lock::shared(&places.firewall_lock())?;
    bridge::open_to_loopback(network, &endpoint.published)?;
    if !change(places, &endpoint.network, &endpoint.container, |record| record.clone_from(endpoint))? {
        return Err(Error::NotFound(format!(
            "container {} is not on network {}",
            endpoint.name, endpoint.network_name
        )));
    }
    if !firewall::add(session, places, network, endpoint)? {
        drop(lock);
        firewall::rebuild(session, places)?;
    }
    firewall::forget_flows(session, endpoint);
    Ok(())
}

/// Takes the published ports away from an endpoint that ends, so that they can be given to others before the rest of it
/// is cleared away.
pub fn unpublish(session: &Session, places: &Places, network: &Network, container: &str) -> Result<()> {
    let Some(endpoint) = read(places, network, container)? else { return Ok(()) };
    if endpoint.published.is_empty() {
        return Ok(());
    }
    let _lock = Lock::shared(&places.firewall_lock())?;
    firewall::remove_ports(session, places, &endpoint)?;
    change(places, &network.id, container, |endpoint| endpoint.published.clear())?;
    Ok(())
}
