//! Connecting containers: all networks at a start, one while it runs, none at its end. An error takes back what was made.

use super::{DEFAULT, Driver, Endpoint, Network, Session, is_meant, ports, sweep};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::etc_files;
use crate::options::{Attachment, Network as Mode};
use crate::record::Record;
use kernel::namespace::{self, Kind};
use kernel::process::ProcessId;
use net::dns::{Names, Resolver};
use net::endpoint;
use net::ports::{Publish, Published, Reservations};
use std::os::fd::{AsFd, BorrowedFd};

/// What a monitor keeps while its container runs.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The sockets that reserve host ports, and which ports these are.
    reservations: Vec<Reservations>,
    published: Vec<Published>,
    /// For containers on a user's network.
    pub resolver: Option<Resolver>,
}

/// Whether its networks may be made while its first process makes the rest: not where that sets parameters which new
/// interfaces take over, or each interface has.
pub(crate) fn may_be_early(record: &Record) -> bool {
    let sysctls = &record.options.security.sysctls;
    !sysctls.keys().any(|name| ["conf", "neigh"].iter().any(|part| name.split(['.', '/']).any(|one| one == *part)))
}

/// Connects a container whose command does not run yet. The files of /etc are completed with its addresses.
pub(crate) fn attach_all(
    engine: &Engine,
    session: &Session,
    record: &Record,
    namespace: BorrowedFd<'_>,
) -> Result<Held> {
    if record.options.namespaces.network != Mode::Attached {
        return Ok(Held::default());
    }
    let attached = attach_each(engine, session, record, namespace)
        .and_then(|held| Ok(Held { resolver: resolver(engine, record, namespace)?, ..held }));
    if attached.is_err() {
        release_by(engine, session, record);
    }
    attached
}

fn resolver(engine: &Engine, record: &Record, namespace: BorrowedFd<'_>) -> Result<Option<Resolver>> {
    if !etc_files::has_resolver(record) {
        return Ok(None);
    }
    let places = engine.paths().networks();
    let networking = &record.options.networking;
    let mut servers = networking.dns.clone();
    if servers.is_empty() {
        let networks = networking.attachments.iter().filter_map(|one| net::network::find(&places, &one.network).ok());
        servers = networks.flat_map(|network| network.dns).collect();
    }
    let links: Vec<_> = networking.links.iter().map(|link| link.split_once(':').unwrap_or((link, link))).collect();
    let links: Vec<_> = links.into_iter().map(|(name, alias)| (alias.to_owned(), name.to_owned())).collect();
    let names = Names::new(places, record.id.as_str(), &links);
    Ok(Some(Resolver::open(namespace, names, servers)?))
}

fn attach_each(engine: &Engine, session: &Session, record: &Record, namespace: BorrowedFd<'_>) -> Result<Held> {
    let mut held = Held::default();
    let (mut has_way_out, mut has_ports) = (false, false);
    let mut made = Vec::new();
    for (number, attachment) in record.options.networking.attachments.iter().enumerate() {
        let network = super::find(engine, &attachment.network)?;
        let is_way_out = !has_way_out && !network.internal;
        has_way_out |= is_way_out;
        let publish = if !has_ports && carries_ports(&network) { ports::asked(record) } else { Vec::new() };
        has_ports |= carries_ports(&network);
        let interface = attachment.interface.clone().unwrap_or_else(|| format!("eth{number}"));
        let interface = &interface;
        let joining = Joining { session, record, namespace, interface, is_way_out, publish: &publish };
        let (endpoint, reservations) = attach(engine, &network, attachment, &joining)?;
        held.published.extend(endpoint.published.iter().cloned());
        held.reservations.push(reservations);
        made.push((network, endpoint));
    }
    etc_files::write_hosts(engine, record, &made)?;
    Ok(held)
}

/// Whether published ports of its containers are reached through it.
fn carries_ports(network: &Network) -> bool {
    network.driver == Driver::Bridge && !network.internal
}

struct Joining<'a> {
    session: &'a Session,
    record: &'a Record,
    namespace: BorrowedFd<'a>,
    interface: &'a str,
    is_way_out: bool,
    publish: &'a [Publish],
}

fn attach(
    engine: &Engine,
    network: &Network,
    attachment: &Attachment,
    joining: &Joining<'_>,
) -> Result<(Endpoint, Reservations)> {
    let places = engine.paths().networks();
    let record = joining.record;
    let request = endpoint::Request {
        container: record.id.as_str(),
        name: &record.name,
        names: names(network, record, attachment),
        namespace: joining.namespace,
        interface: joining.interface,
        ipv4: attachment.ipv4,
        ipv6: attachment.ipv6,
        mac: attachment.mac,
        is_default_route: joining.is_way_out,
        publish: joining.publish,
    };
    let result = match endpoint::attach(joining.session, &places, network, &request) {
        // Perhaps those that were killed have what we need.
        Err(net::Error::Exhausted(_) | net::Error::Conflict(_)) => {
            sweep(engine, network)?;
            endpoint::attach(joining.session, &places, network, &request)
        }
        result => result,
    };
    result.map_err(|error| match error {
        net::Error::PortInUse { ref host } => Error::Failed(format!(
            "driver failed programming external connectivity on endpoint {}: {error}{}",
            record.name,
            ports::holder(engine, host)
        )),
        error => reworded(error.into(), &format!("cannot connect to network {}: ", network.name)),
    })
}

fn reworded(error: Error, before: &str) -> Error {
    match error {
        Error::Conflict(text) => Error::Conflict(format!("{before}{text}")),
        Error::Invalid(text) => Error::Invalid(format!("{before}{text}")),
        Error::Failed(text) => Error::Failed(format!("{before}{text}")),
        error => error,
    }
}

/// On the default network containers do not find each other by name, as docker has it.
fn names(network: &Network, record: &Record, attachment: &Attachment) -> Vec<String> {
    if network.name == DEFAULT {
        return Vec::new();
    }
    let own = [record.name.clone(), record.id.short().to_owned(), record.process.hostname.clone()];
    let mut names: Vec<String> = Vec::new();
    for name in attachment.aliases.iter().cloned().chain(own).map(|name| name.to_ascii_lowercase()) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Takes over the ports and the resolver of a container whose monitor was killed.
pub(crate) fn adopt(engine: &Engine, container: &Container, process: ProcessId) -> Held {
    let endpoints = super::of_container(engine, container).unwrap_or_default();
    let endpoints = endpoints.into_iter().filter_map(|(_, endpoint)| endpoint);
    let published: Vec<Published> = endpoints.flat_map(|endpoint| endpoint.published).collect();
    let reservations = vec![net::ports::reserve_again(&published)];
    let namespace = namespace::of_process(process.pid, Kind::Network);
    let resolver =
        namespace.ok().and_then(|namespace| resolver(engine, &container.record, namespace.as_fd()).ok().flatten());
    Held { reservations, published, resolver }
}

/// After its networks have changed: a container that has come to names gets a resolver, and ports that are published
/// nowhere now go through the first network that carries them.
pub(crate) fn refresh(engine: &Engine, session: &Session, container: &Container, held: &mut Held) -> Result<()> {
    let record = &container.record;
    let Some(process) = container.process() else { return Ok(()) };
    if record.options.namespaces.network != Mode::Attached {
        return Ok(());
    }
    if held.resolver.is_none() {
        let namespace = namespace::of_process(process.pid, Kind::Network)?;
        held.resolver = resolver(engine, record, namespace.as_fd())?;
        etc_files::write_resolv_conf(engine, record)?;
    }
    let mut connected = connected(engine, container)?;
    if connected.iter().any(|(_, endpoint)| !endpoint.published.is_empty()) {
        return Ok(());
    }
    let Some((network, endpoint)) = connected.iter_mut().find(|(network, _)| carries_ports(network)) else {
        return Ok(());
    };
    if held.published.is_empty() {
        let (has_ipv4, has_ipv6) = (endpoint.ipv4.is_some(), endpoint.ipv6.is_some());
        let asked = ports::asked(record);
        let (published, reservations) = net::ports::reserve(&asked, has_ipv4, has_ipv6, network.host_address())?;
        held.published = published;
        held.reservations.push(reservations);
    }
    if held.published.is_empty() {
        return Ok(());
    }
    endpoint.published.clone_from(&held.published);
    Ok(endpoint::publish(session, &engine.paths().networks(), network, endpoint)?)
}

/// Disconnects a container from everything. What cannot be taken away now is swept later, when it is in somebody's way.
pub(crate) fn release(engine: &Engine, record: &Record) {
    release_by(engine, &Session::default(), record);
}

/// As `release`, for whoever has a session already.
pub(crate) fn release_by(engine: &Engine, session: &Session, record: &Record) {
    if record.options.namespaces.network != Mode::Attached {
        return;
    }
    let places = engine.paths().networks();
    let attachments = record.options.networking.attachments.iter();
    let mut ids: Vec<String> =
        attachments.filter_map(|one| net::network::find(&places, &one.network).ok()).map(|one| one.id).collect();
    // Also what a `connect` or `disconnect` has left that was killed.
    let further = endpoint::networks_of(&places, record.id.as_str()).into_iter().filter(|id| !ids.contains(id));
    ids.extend(further.collect::<Vec<_>>());
    for id in ids {
        let _ = endpoint::detach(session, &places, &id, record.id.as_str());
    }
}

/// Gives published ports back as soon as the container has ended: whoever sees its end may use them.
pub(crate) fn release_ports(engine: &Engine, session: &Session, record: &Record, held: &mut Held) {
    if record.options.networking.publish.is_empty() && !record.options.networking.publish_all {
        return;
    }
    let places = engine.paths().networks();
    for attachment in &record.options.networking.attachments {
        if let Ok(network) = net::network::find(&places, &attachment.network) {
            let _ = endpoint::unpublish(session, &places, &network, record.id.as_str());
        }
    }
    // The rules first: with the sockets gone the ports are others'.
    held.reservations.clear();
    held.published.clear();
}

/// The new name is the one by which others find the container.
pub(crate) fn follow_rename(engine: &Engine, container: &Container) -> Result<()> {
    let places = engine.paths().networks();
    for (network, endpoint) in super::of_container(engine, container)? {
        let Some(endpoint) = endpoint else { continue };
        let attachments = &container.record.options.networking.attachments;
        let attachment = attachments.iter().find(|one| is_meant(&network, &one.network)).cloned().unwrap_or_default();
        endpoint::change(&places, &endpoint.network, &endpoint.container, |endpoint| {
            endpoint.name = container.name().to_owned();
            endpoint.names = names(&network, &container.record, &attachment);
        })?;
    }
    Ok(())
}

/// Connects a container to one more network, at once if it runs, and for all its starts to come.
pub fn connect(engine: &Engine, container: &Container, attachment: Attachment) -> Result<()> {
    let network = super::find(engine, &attachment.network)?;
    let (mut now, _lock) = container.locked(engine)?;
    let before = now.record.options.clone();
    let options = &mut now.record.options;
    if options.namespaces.network == Mode::None && options.networking.attachments.is_empty() {
        // docker: from none to a network is possible, and the namespace is there.
        options.namespaces.network = Mode::Attached;
    }
    if options.namespaces.network != Mode::Attached {
        return Err(Error::Conflict(
            "container sharing network namespace with another container or host cannot be connected to any other network"
                .into(),
        ));
    }
    if matches!(network.driver, Driver::Host | Driver::Null) {
        let name = network.name;
        return Err(Error::Conflict(format!("container cannot be connected to the {name} network")));
    }
    let places = engine.paths().networks();
    let is_on_record = options.networking.attachments.iter().any(|one| is_meant(&network, &one.network));
    let is_connected = endpoint::read(&places, &network, now.id().as_str())?.is_some();
    // On record and not connected: a killed command got so far. It is carried on.
    if is_on_record && (is_connected || now.process().is_none()) {
        let (container, network) = (now.name(), network.name);
        return Err(Error::Conflict(format!("endpoint with name {container} already exists in network {network}")));
    }
    // On record first: what is on record is taken away with the container, whatever becomes of us.
    if !is_on_record {
        let attachments = &mut now.record.options.networking.attachments;
        attachments.push(Attachment { network: network.name.clone(), ..attachment.clone() });
        now.save(engine)?;
    }
    if let Some(process) = now.process()
        && let Err(error) = connect_now(engine, &Session::default(), &now, process, &network, &attachment)
    {
        now.record.options = before;
        now.save(engine)?;
        return Err(error);
    }
    tell_monitor(engine, &now);
    refresh_hosts(engine, &now)
}

/// It has the ports and the resolver. One that cannot be told was killed: the next command starts another.
fn tell_monitor(engine: &Engine, container: &Container) {
    if container.process().is_some()
        && let Ok(mut client) = crate::attach::connect(engine, container, crate::attach::Streams::NONE)
    {
        let _ = client.tell_of_networks();
    }
}

fn connect_now(
    engine: &Engine,
    session: &Session,
    container: &Container,
    process: ProcessId,
    network: &Network,
    attachment: &Attachment,
) -> Result<()> {
    let namespace = namespace::of_process(process.pid, Kind::Network)?;
    let others: Vec<(Network, Endpoint)> = connected(engine, container)?;
    let taken = |name: &str| others.iter().any(|(_, endpoint)| endpoint.interface == name);
    let free = (0..).map(|number| format!("eth{number}")).find(|name| !taken(name)).unwrap_or_default();
    let is_way_out = !network.internal && others.iter().all(|(other, _)| other.internal);
    let interface = attachment.interface.as_deref().unwrap_or(&free);
    let record = &container.record;
    let joining = Joining { session, record, namespace: namespace.as_fd(), interface, is_way_out, publish: &[] };
    attach(engine, network, attachment, &joining).map(drop)
}

fn connected(engine: &Engine, container: &Container) -> Result<Vec<(Network, Endpoint)>> {
    let all = super::of_container(engine, container)?;
    Ok(all.into_iter().filter_map(|(network, endpoint)| Some((network, endpoint?))).collect())
}

/// Disconnects a container from a network. What it publishes goes on through another one, if there is one. `force`: a
/// container that is gone is no error.
pub fn disconnect(engine: &Engine, container: &Container, network: &str) -> Result<()> {
    let network = super::find(engine, network)?;
    let (mut now, _lock) = container.locked(engine)?;
    let attachments = &now.record.options.networking.attachments;
    let Some(at) = attachments.iter().position(|one| is_meant(&network, &one.network)) else {
        let id = now.id();
        return Err(Error::Conflict(format!("container {id} is not connected to network {}", network.name)));
    };
    let places = engine.paths().networks();
    let left = endpoint::read(&places, &network, now.id().as_str())?;
    if let (Some(process), Some(left)) = (now.process(), &left) {
        let namespace = namespace::of_process(process.pid, Kind::Network)?;
        let session = Session::default();
        endpoint::remove_inside(left, namespace.as_fd())?;
        endpoint::detach(&session, &places, &network.id, now.id().as_str())?;
        if let Some((way_out, endpoint)) = connected(engine, &now)?.iter().find(|(other, _)| !other.internal) {
            endpoint::make_default_route(way_out, endpoint, namespace.as_fd())?;
        }
    }
    // Off the record last, for the same reason. It may be that only the address was left.
    endpoint::detach(&Session::default(), &places, &network.id, now.id().as_str())?;
    now.record.options.networking.attachments.remove(at);
    now.save(engine)?;
    tell_monitor(engine, &now);
    refresh_hosts(engine, &now)
}

fn refresh_hosts(engine: &Engine, container: &Container) -> Result<()> {
    if container.process().is_none() {
        return Ok(());
    }
    etc_files::write_hosts(engine, &container.record, &connected(engine, container)?)
}
