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
use net::dns::Resolver;
use net::endpoint;
use net::ports::{Publish, Reservations};
use std::os::fd::{AsFd, BorrowedFd};

/// What a monitor keeps while its container runs.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The sockets that reserve host ports.
    reservations: Vec<Reservations>,
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
        .and_then(|reservations| Ok(Held { reservations, resolver: resolver(engine, record, namespace)? }));
    if attached.is_err() {
        release_by(engine, session, record);
    }
    attached
}

fn resolver(engine: &Engine, record: &Record, namespace: BorrowedFd<'_>) -> Result<Option<Resolver>> {
    if !etc_files::has_resolver(record) {
        return Ok(None);
    }
    let servers = record.options.networking.dns.clone();
    Ok(Some(Resolver::open(engine.paths().networks(), record.id.as_str(), namespace, servers)?))
}

fn attach_each(
    engine: &Engine,
    session: &Session,
    record: &Record,
    namespace: BorrowedFd<'_>,
) -> Result<Vec<Reservations>> {
    let mut held = Vec::new();
    let mut way_out = None;
    let mut made = Vec::new();
    for (number, attachment) in record.options.networking.attachments.iter().enumerate() {
        let network = super::find(engine, &attachment.network)?;
        let is_way_out = way_out.is_none() && !network.internal;
        let publish = if is_way_out && network.driver == Driver::Bridge { ports::asked(record) } else { Vec::new() };
        if is_way_out {
            way_out = Some(network.id.clone());
        }
        let interface = attachment.interface.clone().unwrap_or_else(|| format!("eth{number}"));
        let interface = &interface;
        let joining = Joining { session, record, namespace, interface, is_way_out, publish: &publish };
        let (endpoint, reservations) = attach(engine, &network, attachment, &joining)?;
        made.push((network, endpoint));
        held.push(reservations);
    }
    etc_files::write_hosts(engine, record, &made)?;
    Ok(held)
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
    let published = endpoints.iter().filter_map(|(_, endpoint)| endpoint.as_ref()).map(|one| &one.published);
    let reservations = published.map(|one| net::ports::reserve_again(one)).collect();
    let namespace = namespace::of_process(process.pid, Kind::Network);
    let resolver =
        namespace.ok().and_then(|namespace| resolver(engine, &container.record, namespace.as_fd()).ok().flatten());
    Held { reservations, resolver }
}

/// Disconnects a container from everything. What cannot be taken away now is swept later, when it is in somebody's way.
pub(crate) fn release(engine: &Engine, record: &Record) {
    release_by(engine, &Session::default(), record);
}

/// As `release`, for whoever has a session already.
pub(crate) fn release_by(engine: &Engine, session: &Session, record: &Record) {
    let places = engine.paths().networks();
    for attachment in &record.options.networking.attachments {
        if let Ok(network) = net::network::find(&places, &attachment.network) {
            let _ = endpoint::detach(session, &places, &network, record.id.as_str());
        }
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
}

/// The new name is the one by which others find the container.
pub(crate) fn follow_rename(engine: &Engine, container: &Container, old: &str) -> Result<()> {
    let places = engine.paths().networks();
    for (_, endpoint) in super::of_container(engine, container)? {
        let Some(endpoint) = endpoint else { continue };
        endpoint::change(&places, &endpoint.network, &endpoint.container, |endpoint| {
            endpoint.name = container.name().to_owned();
            for name in endpoint.names.iter_mut().filter(|name| *name == old) {
                *name = container.name().to_ascii_lowercase();
            }
        })?;
    }
    Ok(())
}

/// Connects a container to one more network, at once if it runs, and for all its starts to come.
pub fn connect(engine: &Engine, container: &Container, attachment: Attachment) -> Result<()> {
    let network = super::find(engine, &attachment.network)?;
    let (mut now, _lock) = container.locked(engine)?;
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
    if options.networking.attachments.iter().any(|one| is_meant(&network, &one.network)) {
        let (container, network) = (now.name(), network.name);
        return Err(Error::Conflict(format!("endpoint with name {container} already exists in network {network}")));
    }
    let session = Session::default();
    if let Some(process) = now.process() {
        connect_now(engine, &session, &now, process, &network, &attachment)?;
    }
    now.record.options.networking.attachments.push(Attachment { network: network.name.clone(), ..attachment });
    if let Err(error) = now.save(engine) {
        let _ = endpoint::detach(&session, &engine.paths().networks(), &network, now.id().as_str());
        return Err(error);
    }
    refresh_hosts(engine, &now)
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
    let attachments = &mut now.record.options.networking.attachments;
    let Some(at) = attachments.iter().position(|one| is_meant(&network, &one.network)) else {
        let id = now.id();
        return Err(Error::Conflict(format!("container {id} is not connected to network {}", network.name)));
    };
    attachments.remove(at);
    now.save(engine)?;
    let places = engine.paths().networks();
    let left = endpoint::read(&places, &network, now.id().as_str())?;
    if let (Some(process), Some(left)) = (now.process(), &left) {
        let namespace = namespace::of_process(process.pid, Kind::Network)?;
        let session = Session::default();
        endpoint::remove_inside(left, namespace.as_fd())?;
        endpoint::detach(&session, &places, &network, now.id().as_str())?;
        let mut others = connected(engine, &now)?;
        if let Some((way_out, endpoint)) = others.iter_mut().find(|(other, _)| !other.internal) {
            endpoint::make_default_route(way_out, endpoint, namespace.as_fd())?;
            if way_out.driver == Driver::Bridge && !left.published.is_empty() {
                endpoint.published.clone_from(&left.published);
                endpoint::publish(&session, &places, way_out, endpoint)?;
            }
        }
    }
    refresh_hosts(engine, &now)
}

fn refresh_hosts(engine: &Engine, container: &Container) -> Result<()> {
    if container.process().is_none() {
        return Ok(());
    }
    etc_files::write_hosts(engine, &container.record, &connected(engine, container)?)
}
