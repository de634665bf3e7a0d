//! Networks as users know them, and when in a container's life it is connected: after its namespaces are there and before
//! its command runs (`monitor/main.rs`), until its end, its removal or the repair of what was killed. How it is done is in
//! the crate `net`.

mod life;
mod ports;

pub(crate) use life::{
    Held, adopt, attach_all, follow_rename, may_be_early, refresh, release, release_by, release_ports,
};
pub use life::{connect, disconnect};
pub use net::endpoint::Endpoint;
pub(crate) use net::firewall::Session;
pub use net::network::{DEFAULT, Driver, Network, OPTION_ICC, Pool, Request};
pub use net::ports::Published;
pub use net::prefix::Prefix;
pub use ports::{Reach, publishes, reach};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filter::Label;
use crate::list;
use crate::name_pattern::NamePattern;
use crate::options::Network as Mode;

pub fn create(engine: &Engine, request: Request) -> Result<Network> {
    Ok(net::network::create(&engine.paths().networks(), request)?)
}

/// By name, id or unambiguous prefix of an id. The default network is made when it is asked for.
pub fn find(engine: &Engine, name: &str) -> Result<Network> {
    Ok(net::network::find(&engine.paths().networks(), name)?)
}

/// All with `host` and `none`, by name.
pub fn all(engine: &Engine) -> Result<Vec<Network>> {
    find(engine, DEFAULT)?;
    let mut networks = net::network::list(&engine.paths().networks())?;
    networks.extend(["host", "none"].into_iter().filter_map(Network::without_definition));
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(networks)
}

/// `Conflict` while a container that runs is on it.
pub fn remove(engine: &Engine, name: &str) -> Result<Network> {
    let network = find(engine, name)?;
    sweep(engine, &network)?;
    Ok(net::network::remove(&engine.paths().networks(), &network.name)?)
}

/// Removes networks that no container names.
pub fn prune(engine: &Engine, filters: &crate::prune::Filters) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let containers = list::all(engine)?;
    for network in net::network::list(&engine.paths().networks())? {
        let used = containers.iter().any(|container| names(container).any(|name| is_meant(&network, name)));
        if used || network.name == DEFAULT || !filters.matches(Some(network.created), &network.labels) {
            continue;
        }
        match remove(engine, &network.name) {
            Ok(network) => removed.push(network.name),
            // Somebody has joined it since.
            Err(Error::Conflict(_) | Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// Puts back what somebody has removed: the firewall's rules, addresses and parameters of bridges.
pub fn reload(engine: &Engine) -> Result<()> {
    Ok(net::network::restore(&engine.paths().networks())?)
}

/// Chains of other firewalls, as nft(8) names them, that drop what containers send and get, unless a rule of theirs
/// accepts it.
pub fn foreign_drops() -> Result<Vec<String>> {
    Ok(net::firewall::foreign_drops()?)
}

/// Those on a network now.
pub fn endpoints_of(engine: &Engine, network: &Network) -> Result<Vec<Endpoint>> {
    Ok(net::endpoint::list(&engine.paths().networks(), network)?)
}

/// A container's networks, each with its endpoint while it is connected. Networks that are gone are left out.
pub fn of_container(engine: &Engine, container: &Container) -> Result<Vec<(Network, Option<Endpoint>)>> {
    let places = engine.paths().networks();
    let mut found = Vec::new();
    for name in names(container) {
        let Ok(network) = net::network::find(&places, name) else { continue };
        let endpoint = net::endpoint::read(&places, &network, container.id().as_str())?;
        found.push((network, endpoint));
    }
    Ok(found)
}

fn names(container: &Container) -> impl Iterator<Item = &str> {
    container.record.options.networking.attachments.iter().map(|attachment| attachment.network.as_str())
}

/// `NetworkMode`: `none`, `host`, `container:ID`, `ns:PATH` or the first network's name.
pub fn mode(options: &crate::options::Options) -> String {
    match &options.namespaces.network {
        Mode::None => "none".to_owned(),
        Mode::Host => "host".to_owned(),
        Mode::Container(name) => format!("container:{name}"),
        Mode::Ns(path) => format!("ns:{path}"),
        Mode::Attached => options.networking.attachments.first().map(|one| one.network.clone()).unwrap_or_default(),
    }
}

/// The file of a container's network namespace, as other programs may enter it; `None` while it does not run.
pub fn namespace_file(container: &Container) -> Option<String> {
    container.pid().map(|pid| format!("/proc/{pid}/ns/net"))
}

/// What is shown as a container's networks.
pub fn names_of(container: &Container) -> Vec<String> {
    match &container.record.options.namespaces.network {
        Mode::Attached => names(container).map(str::to_owned).collect(),
        Mode::Container(_) | Mode::Ns(_) => Vec::new(),
        _ => vec![mode(&container.record.options)],
    }
}

/// `typed` is this network's name or the beginning of its id.
pub(crate) fn is_meant(network: &Network, typed: &str) -> bool {
    let typed = if matches!(typed, "default" | net::network::DEFAULT_INTERFACE) { DEFAULT } else { typed };
    network.name == typed || (typed.len() >= 4 && network.id.starts_with(typed))
}

/// Frees what containers have that do not live.
fn sweep(engine: &Engine, network: &Network) -> Result<()> {
    Ok(net::endpoint::sweep(&engine.paths().networks(), network, |id| lives(engine, id))?)
}

/// By the beginning of its id. A monitor that lives may be about to start its container; who cannot be asked lives.
fn lives(engine: &Engine, id: &str) -> bool {
    let Ok(ids) = list::ids(engine) else { return true };
    let found = ids.iter().filter(|one| one.as_str().starts_with(id));
    found.map(|id| Container::read(engine, id)).any(|container| match container {
        Ok(Some(container)) => !crate::monitor::is_dead(engine, &container).unwrap_or(false) || container.is_running(),
        Ok(None) => false,
        Err(_) => true,
    })
}

/// docker's filters of `network ls`; values of one key are alternatives, keys must all hold.
#[derive(Debug, Default)]
pub struct Filters {
    drivers: Vec<String>,
    ids: Vec<String>,
    names: Vec<NamePattern>,
    labels: Vec<Label>,
    types: Vec<String>,
    dangling: Option<bool>,
}

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Filters> {
        let mut parsed = Filters::default();
        for filter in filters {
            let (key, value) = filter
                .split_once('=')
                .ok_or_else(|| Error::Invalid(format!("invalid argument \"{filter}\" for \"-f, --filter\" flag: bad format of filter (expected name=value)")))?;
            let invalid = || Error::Invalid(format!("invalid filter '{key}={value}'"));
            match key {
                "driver" => parsed.drivers.push(value.to_owned()),
                "id" => parsed.ids.push(value.to_owned()),
                "name" => parsed.names.push(NamePattern::parse(value)?),
                "label" => parsed.labels.push(Label::parse(value)),
                "type" if matches!(value, "custom" | "builtin") => parsed.types.push(value.to_owned()),
                "scope" if value == "local" => {}
                "dangling" => parsed.dangling = Some(crate::filter::boolean(value).ok_or_else(invalid)?),
                _ => return Err(invalid()),
            }
        }
        Ok(parsed)
    }

    pub fn matches(&self, engine: &Engine, network: &Network) -> Result<bool> {
        let builtin = network.name == DEFAULT || matches!(network.driver, Driver::Host | Driver::Null);
        let kind = if builtin { "builtin" } else { "custom" };
        let any =
            |values: &[String], holds: &dyn Fn(&str) -> bool| values.is_empty() || values.iter().any(|v| holds(v));
        let plain = any(&self.drivers, &|driver| network.driver.name() == driver)
            && any(&self.ids, &|id| network.id.starts_with(id))
            && any(&self.types, &|one| one == kind)
            && (self.names.is_empty() || self.names.iter().any(|pattern| pattern.matches(&network.name)))
            && self.labels.iter().all(|label| label.is_among(&network.labels));
        match self.dangling {
            Some(wanted) if plain => Ok((!builtin && endpoints_of(engine, network)?.is_empty()) == wanted),
            _ => Ok(plain),
        }
    }
}
